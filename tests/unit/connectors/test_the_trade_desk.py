"""The Trade Desk: settings, what is sent, and what becomes of each row."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pyarrow as pa
import pytest

from mayfly.connectors.destinations.the_trade_desk import CONNECTOR, SPEC, TheTradeDesk
from mayfly.connectors.destinations.the_trade_desk_requests import LIMITS
from mayfly.connectors.destinations.the_trade_desk_settings import DATA_CENTRES, TradeDeskSettings
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, IntegrityError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import HostsRequest
from mayfly.ports.destination import Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from trade_desk_world import (
    InProcess,
    Secret,
    batch,
    context,
    desk,
    email_digest,
    guid,
    phone_digest,
)

UPLOAD, MAP = "/data/advertiser", "/v3/identity/map"
DELETION = "/data/deletion-optout/advertiser"


def written(
    http: InProcess,
    rows: ProtectedBatch,
    progress: Progress | None = None,
    *names: str,
    **how: Any,
) -> Outcomes:
    """Outcomes of one batch, of a sync with its fields."""
    destination = desk(http, context(*(names or rows.rows.column_names)), **how)

    async def scenario() -> Outcomes:
        answer = await destination.write(rows, progress or Progress(rows=len(rows)))
        assert isinstance(answer, Done)
        return answer.outcomes

    return asyncio.run(scenario())


def erased(http: InProcess, rows: ProtectedBatch) -> Outcomes:
    """Outcomes of an erasure."""
    answer = asyncio.run(desk(http, context(*rows.rows.column_names)).erase(rows))
    assert isinstance(answer, Done)
    return answer.outcomes


def added(**columns: Any) -> ProtectedBatch:
    """People to add."""
    return batch(Operation.ADD, columns)


def removed(**columns: Any) -> ProtectedBatch:
    """People to remove by one field."""
    return batch(Operation.REMOVE, columns)


def reasons(outcomes: Outcomes) -> list[str]:
    """Reason of each row; empty where it is accepted."""
    return [outcomes.reasons[r].code if r in outcomes.reasons else "" for r in range(len(outcomes))]


def euid(http: InProcess, subject: int, year: int = 0) -> str:
    """What the operator makes of an e-mail."""
    return http.app.trade_desk.operator.raw("euid", "email", email_digest(subject), year)


def test_each_identifier_is_an_item_of_its_own() -> None:
    """A row with four makes four, each with the one segment and its time to live."""
    http = InProcess()
    raw_uid2 = "A" * 42 + "b="
    rows = added(
        EMAIL=[email_digest(1)],
        PHONE=[phone_digest(1)],
        TDID=[guid(1)],
        DAID=[guid(2)],
        UID2=[raw_uid2],
        EUID=["z" * 44],
    )
    outcomes = written(http, rows, ttl_days=30)
    assert outcomes.codes.to_pylist() == [0]
    (call,) = http.to(UPLOAD)
    assert set(call.json) == {"AdvertiserId", "DataLoadTraceId", "Items"}
    assert call.json["AdvertiserId"] == "abc123"
    assert call.json["DataLoadTraceId"] == "run-1.0"
    data = [{"Name": "Contract", "TtlInMinutes": 30 * 24 * 60}]
    phone = http.app.trade_desk.operator.raw("euid", "phone", phone_digest(1), 0)
    assert call.json["Items"] == [
        {"EUID": euid(http, 1), "Data": data},
        {"EUID": phone, "Data": data},
        {"TDID": guid(1), "Data": data},
        {"DAID": guid(2), "Data": data},
        {"UID2": raw_uid2, "Data": data},
        {"EUID": "z" * 44, "Data": data},
    ]
    assert call.headers == {"ttd-auth": "token-1", "content-type": "application/json"}


def test_a_name_is_written_as_json() -> None:
    """Quotes, scripts and emoji of a segment's name arrive as they are."""
    http = InProcess()
    name = 'Ré"luis\\ ☕ 顧客'
    written(http, added(TDID=[guid(1)]), segment=name)
    assert http.to(UPLOAD)[0].json["Items"][0]["Data"][0]["Name"] == name
    assert http.app.trade_desk.members({"audience": f"abc123/{name}"})["count"] == 1


def test_rows_without_anything_are_rejected_unsent() -> None:
    """And those that have something are sent, whatever is missing of it."""
    http = InProcess()
    rows = added(EMAIL=[email_digest(1), None, None], TDID=[None, guid(2), None])
    outcomes = written(http, rows)
    assert outcomes.codes.to_pylist() == [0, 0, 2]
    assert reasons(outcomes) == ["", "", "no_identifier"]
    assert len(http.to(UPLOAD)[0].json["Items"]) == 2


def test_nothing_is_asked_where_nothing_is_there() -> None:
    """A batch of nulls makes no request at all."""
    http = InProcess()
    outcomes = written(http, added(EMAIL=[None, None]))
    assert outcomes.count(OutcomeCode.REJECTED) == 2
    assert http.calls == []


def test_who_opted_out_is_not_added_and_what_else_is_known_of_him_is_removed() -> None:
    """The whole row is rejected, and his device leaves the segment it was in."""
    http = InProcess()
    written(http, added(EMAIL=[email_digest(1), email_digest(2)], TDID=[guid(1), guid(2)]))
    assert http.members()["TDID"] == [guid(1), guid(2)]
    http.app.trade_desk.operator.opted_out.add(email_digest(1))
    again = added(EMAIL=[email_digest(1), email_digest(2)], TDID=[guid(1), guid(2)])
    outcomes = written(http, again)
    assert outcomes.codes.to_pylist() == [2, 0]
    reason = outcomes.reasons[0]
    assert (reason.code, reason.vendor_code) == ("opted_out", "optout")
    assert http.members()["TDID"] == [guid(2)]


def test_what_is_shared_with_one_who_opted_out_stays_for_the_other() -> None:
    """A household's device is removed first, and added again for who did not opt out."""
    http = InProcess()
    http.app.trade_desk.operator.opted_out.add(email_digest(2))
    rows = added(EMAIL=[email_digest(1), email_digest(2)], TDID=[guid(7), guid(7)])
    assert written(http, rows).codes.to_pylist() == [0, 2]
    assert http.members()["TDID"] == [guid(7)]
    assert len(http.to(UPLOAD)) == 2


def test_the_phone_of_who_opted_out_by_e_mail_is_not_sent_either() -> None:
    """What the operator would map is removed, under its name of before, too."""
    http = InProcess()
    told = http.app.trade_desk.operator
    written(http, added(EMAIL=[email_digest(1)], PHONE=[phone_digest(1)]))
    told.year = 1
    told.opted_out.add(email_digest(1))
    outcomes = written(http, added(EMAIL=[email_digest(1)], PHONE=[phone_digest(1)]))
    assert reasons(outcomes) == ["opted_out"]
    (gone,) = http.to(UPLOAD)[1:]
    assert {item["Data"][0]["TtlInMinutes"] for item in gone.json["Items"]} == {0}
    assert [item["EUID"] for item in gone.json["Items"]] == [
        told.raw("euid", "phone", phone_digest(1), year) for year in (1, 0)
    ]


def test_a_row_with_one_invalid_identifier_counts_as_delivered() -> None:
    """The other was taken, and must be removed when it has to be; alone it is rejected."""
    http = InProcess()
    rows = added(EMAIL=[b"short", b"short"], TDID=[guid(1), None])
    outcomes = written(http, rows)
    assert outcomes.codes.to_pylist() == [1, 2]
    assert reasons(outcomes) == ["partly_taken", "invalid_identifier"]


def test_failed_lines_are_told_by_row() -> None:
    """The item's number is the row's where a row has one item, and is not where it has two."""
    http = InProcess()
    line = {"ItemNumber": "2", "ErrorCode": "UserNotMapped", "Message": "x"}
    body = HttpReply(status=200, headers={}, body=orjson.dumps({"FailedLines": [line]}))
    http.planned[UPLOAD] = [body, body]
    one = written(http, added(TDID=[guid(1), guid(2), guid(3)]))
    assert one.codes.to_pylist() == [0, 2, 0]
    assert one.reasons[1].vendor_code == "UserNotMapped"
    two = written(http, added(TDID=[None, guid(2)], DAID=[guid(3), guid(4)]))
    assert two.codes.to_pylist() == [2, 0]


def test_a_removal_names_the_identifier_of_before_too() -> None:
    """Whoever was added last year under another identifier is removed under that one."""
    http = InProcess()
    written(http, added(EMAIL=[email_digest(1), email_digest(2)]))
    http.app.trade_desk.operator.year = 1
    written(http, added(EMAIL=[email_digest(2)]))
    assert len(http.members()["EUID"]) == 3
    outcomes = written(http, removed(EMAIL=[email_digest(1), email_digest(2)]))
    assert outcomes.codes.to_pylist() == [0, 0]
    assert http.members() == {}


def test_a_removal_of_who_opted_out_is_told_and_not_tried_for_ever() -> None:
    """No identifier is known to remove; the operator tells the vendor itself."""
    http = InProcess()
    http.app.trade_desk.operator.opted_out.add(email_digest(1))
    outcomes = written(http, removed(EMAIL=[email_digest(1), email_digest(2)]))
    assert outcomes.codes.to_pylist() == [1, 0]
    assert reasons(outcomes) == ["opted_out", ""]


def test_an_erasure_is_a_deletion_and_not_a_time_to_live() -> None:
    """Under both identifiers, from the endpoint of data subjects' requests."""
    http = InProcess()
    vendor = http.app.trade_desk
    written(http, added(EMAIL=[email_digest(1)], TDID=[guid(1)]))
    vendor.operator.year = 1
    vendor.operator.opted_out.add(email_digest(3))
    rows = batch(
        Operation.REMOVE,
        {
            "EMAIL": [email_digest(1), email_digest(9), email_digest(3)],
            "TDID": [guid(1), None, None],
        },
    )
    outcomes = erased(http, rows)
    assert reasons(outcomes) == ["", "", "opted_out"]
    assert outcomes.codes.to_pylist() == [0, 0, 1]
    (call,) = http.to(DELETION)
    assert call.json["RequestType"] == "Deletion"
    assert {"Data"} & set(call.json["Items"][0]) == set()
    assert http.members() == {}
    assert ("EUID", euid(http, 1)) in vendor.deleted
    assert ("EUID", euid(http, 1, year=1)) in vendor.deleted


@pytest.mark.parametrize("rows", [LIMITS.rows_max, LIMITS.rows_max + 1, 5_001])
def test_requests_and_mappings_hold_as_much_as_they_may(rows: int) -> None:
    """5,000 digests are mapped at once, and 1,600 items sent."""
    http = InProcess()
    outcomes = written(http, added(EMAIL=[email_digest(n) for n in range(rows)]))
    assert outcomes.count(OutcomeCode.ACCEPTED) == rows
    sizes = [len(call.json["Items"]) for call in http.to(UPLOAD)]
    assert sum(sizes) == rows
    assert max(sizes) == LIMITS.rows_max
    assert len(http.to(MAP)) == -(-rows // 5_000)


def test_a_row_of_two_digests_counts_twice() -> None:
    """For the operator and for the request."""
    http = InProcess()
    subjects = range(2_501)
    rows = added(
        EMAIL=[email_digest(n) for n in subjects], PHONE=[phone_digest(n) for n in subjects]
    )
    assert written(http, rows).count(OutcomeCode.ACCEPTED) == 2_501
    assert [len(call.json["Items"]) for call in http.to(UPLOAD)] == [1600, 1600, 1600, 200, 2]
    assert len(http.to(MAP)) == 2


def test_a_request_that_is_too_large_is_sent_in_halves_from_then_on() -> None:
    """HTTP 413 halves; what was found out once is not tried again."""
    http = InProcess()
    http.app.trade_desk.body_bytes_max = 50_000
    subjects = range(2_000)
    assert (
        written(http, added(TDID=[guid(n) for n in subjects])).count(OutcomeCode.ACCEPTED) == 2000
    )
    sizes = [len(call.json["Items"]) for call in http.to(UPLOAD)]
    assert sizes[:3] == [1600, 800, 400]
    assert max(sizes[2:]) <= 400
    assert len(http.members()["TDID"]) == 2_000


def test_a_request_that_is_too_large_with_one_row_ends_the_run() -> None:
    """There is nothing left to halve."""
    http = InProcess()
    http.app.trade_desk.body_bytes_max = 10
    with pytest.raises(ContractError) as raised:
        written(http, added(TDID=[guid(1), guid(2), guid(3)]))
    assert raised.value.code == "request_too_large"
    assert [len(call.json["Items"]) for call in http.to(UPLOAD)] == [3, 1]


def test_at_most_four_requests_are_on_their_way() -> None:
    """Whoever calls, and with how many batches at the same time."""
    http = InProcess()
    destination = desk(http, context("TDID"))

    async def scenario() -> None:
        batches = [
            batch(
                Operation.ADD, {"TDID": [guid(n) for n in range(900 * b, 900 * b + 900)]}, number=b
            )
            for b in range(8)
        ]
        await asyncio.gather(
            *(destination.write(rows, Progress(rows=len(rows))) for rows in batches)
        )

    asyncio.run(scenario())
    assert http.most[UPLOAD] == 4
    assert len(http.members()["TDID"]) == 7_200
    assert SPEC.concurrency == 4


def test_a_retry_begins_where_no_answer_came() -> None:
    """The first request is not repeated, and its rows are not mapped again."""
    http = InProcess()
    away = HttpReply(status=503, headers={"retry-after": "9"}, body=b"Handler disabled")
    rows = added(EMAIL=[email_digest(n) for n in range(2_000)])
    progress = Progress(rows=2_000)
    http.planned[UPLOAD] = [HttpReply(status=200, headers={}, body=b"{}"), away]
    with pytest.raises(TransientError) as raised:
        written(http, rows, progress)
    assert raised.value.retry_after_seconds == 9.0
    assert progress.next_row == 1_600
    assert written(http, rows, progress).count(OutcomeCode.ACCEPTED) == 2_000
    assert [len(call.json["Items"]) for call in http.to(UPLOAD)] == [1600, 400, 400]


def test_check_asks_both_and_writes_nothing() -> None:
    """The operator maps nobody, and the platform refuses a request without items."""
    http = InProcess()
    asyncio.run(desk(http, context("EMAIL")).check())
    assert [call.path for call in http.calls] == [MAP, UPLOAD]
    assert http.to(UPLOAD)[0].json == {"AdvertiserId": "abc123", "Items": []}
    assert http.app.trade_desk.segments == {}


def test_people_and_secrets_stay_out_of_addresses_and_traces() -> None:
    """The token is in a header alone; no digest, no secret and no identifier in any URL."""
    http = InProcess()
    written(http, added(EMAIL=[email_digest(1)], TDID=[guid(1)]))
    for call in http.calls:
        assert call.url in {f"http://127.0.0.1:8765{p}" for p in (UPLOAD, MAP)}
        assert b"token-1" not in call.content
    assert email_digest(1).hex().encode() not in http.to(UPLOAD)[0].content


def test_a_column_in_another_form_is_refused() -> None:
    """A clear e-mail, whatever its seal says, does not leave through this connector."""
    http = InProcess()
    head = added(EMAIL=[email_digest(1)]).head
    table = pa.table({"EMAIL": pa.array(["person1@example.com"])})
    clear = ProtectedBatch(head, table, {"EMAIL": Form.CLEAR}, seal=THE_SEAL)
    with pytest.raises(IntegrityError) as raised:
        written(http, clear)
    assert raised.value.code == "wrong_form"
    other = ProtectedBatch(
        head, pa.table({"X": pa.array([b"x"])}), {"X": Form.DIGEST}, seal=THE_SEAL
    )
    with pytest.raises(ContractError):
        written(http, other, None, "EMAIL")
    assert http.calls == []


def test_inserts_jobs_and_removals_by_two_fields_are_refused() -> None:
    """A segment takes no inserts, has no jobs, and cannot tell what was applied."""
    http = InProcess()
    destination = desk(http, context("TDID", "DAID"))
    for rows in (
        batch(Operation.INSERT, {"TDID": [guid(1)]}),
        batch(Operation.REMOVE, {"TDID": [guid(1)], "DAID": [guid(1)]}),
    ):
        with pytest.raises(ContractError):
            asyncio.run(destination.write(rows, Progress(rows=1)))
    with pytest.raises(ContractError):
        asyncio.run(destination.poll(JobRef(batch=0, rows=1, reference="x")))
    assert asyncio.run(destination.applied(rows.head)) is None
    asyncio.run(destination.close())
    assert http.calls == []


def settings(**changes: Any) -> TradeDeskSettings:
    """Settings with some of them changed."""
    base: dict[str, Any] = {"advertiser_id": "a1", "token": Secret("t0ken"), "segment": "VIP"}
    return TradeDeskSettings(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"advertiser_id": ""}, "bad_advertiser_id"),
        ({"advertiser_id": "a/../b"}, "bad_advertiser_id"),
        ({"data_provider_id": "a b"}, "bad_advertiser_id"),
        ({"segment": " "}, "bad_segment"),
        ({"segment": "x" * 257}, "bad_segment"),
        ({"ttl_days": 29}, "bad_ttl"),
        ({"ttl_days": 181}, "bad_ttl"),
        ({"endpoint": "http://euw-data.adsrvr.org"}, "bad_endpoint"),
        ({"endpoint": "https://usw-data.adsrvr.org"}, "bad_endpoint"),
        ({"endpoint": "https://euw-data.adsrvr.org.example.com"}, "bad_endpoint"),
    ],
)
def test_settings_that_lead_elsewhere_are_refused(changes: dict[str, Any], code: str) -> None:
    """Ids, a name, a time to live, and the data centre's own host or literal loopback."""
    with pytest.raises(ConfigError) as raised:
        settings(**changes)
    assert raised.value.code == code


def test_settings_at_their_bounds() -> None:
    """The longest name, and both ends of the time to live; the token is not shown."""
    made = settings(segment="x" * 256, ttl_days=180, data_provider_id="prov1")
    assert made.owner == {"AdvertiserId": "a1", "DataProviderId": "prov1"}
    assert settings(ttl_days=30).segments(0) == [{"Name": "VIP", "TtlInMinutes": 0}]
    assert "t0ken" not in repr(made)


def test_what_a_sync_needs_is_said_when_it_is_opened() -> None:
    """An operator for e-mails, a time to live that a removal outlasts, and known fields."""
    http = InProcess()
    with pytest.raises(ConfigError) as raised:
        TheTradeDesk(settings(), http, context("EMAIL"))
    assert raised.value.code == "no_operator"
    TheTradeDesk(settings(ttl_days=180), http, context("TDID", "UID2"))
    with pytest.raises(ConfigError) as raised:
        desk(http, context("PHONE"), ttl_days=91)
    assert raised.value.code == "bad_ttl"
    with pytest.raises(ConfigError) as raised:
        desk(http, context("EMAIL", "SHOE_SIZE"))
    assert raised.value.code == "unknown_field"


def test_the_specification_declares_the_form_of_every_field() -> None:
    """Digests by the platform's own rules; ids in clear by a closed shape, UID2s in their case."""
    digests = {f.name: f.rule for f in SPEC.fields if f.form is Form.DIGEST}
    assert digests == {
        "EMAIL": ("the-trade-desk", "email"),
        "PHONE": ("the-trade-desk", "phone"),
    }
    clear = {f.name: f.keeps_case for f in SPEC.fields if f.form is Form.CLEAR}
    assert clear == {"TDID": False, "DAID": False, "UID2": True, "EUID": True}
    shape = next(f.shape for f in SPEC.fields if f.name == "UID2")
    assert re.fullmatch(shape or "", "AdvIvSiaum0P5s3X/7X8h8sz+OhF2IG8DNbEnkWSbYM=")
    assert all(f.identifier for f in SPEC.fields)
    assert SPEC.always_external


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ({}, {"euw-data.adsrvr.org"}),
        ({"uid2_api_key": object()}, {"euw-data.adsrvr.org", "prod.euid.eu"}),
        (
            {
                "uid2_api_key": object(),
                "identity": "uid2",
                "uid2_operator": "us_west",
                "data_centre": "us_west",
            },
            {"usw-data.adsrvr.org", "usw.prod.uidapi.com"},
        ),
    ],
)
def test_a_run_may_reach_one_data_centre_and_one_operator(
    options: dict[str, Any], hosts: set[str]
) -> None:
    """Those of its settings, in Europe by default; all of them stand in the specification."""
    made = DestinationSettings(name="ttd", type="the_trade_desk", options=options)
    assert CONNECTOR.hosts is not None
    found = CONNECTOR.hosts(HostsRequest(settings=made, reveal=lambda _: Secret("x")))
    assert found == hosts
    assert found <= SPEC.hosts
    assert len(SPEC.hosts) == len(DATA_CENTRES) + 8
