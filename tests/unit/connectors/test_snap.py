"""Snap customer lists: settings, bodies, each of the twelve documented statuses, and jobs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pytest

from mayfly.connectors.destinations.snap import CONNECTOR
from mayfly.connectors.destinations.snap_answers import answer
from mayfly.connectors.destinations.snap_audience import (
    AT_SNAP,
    GIVEN_UP_SECONDS,
    LIMITS,
    Receipt,
    Snap,
    SnapSettings,
    users_body,
)
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.destination import Done, JobRef, Pending, Progress, Submitted
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form
from scripted_http import Scripted, Token, batch, context, digest, reply

T = TypeVar("T")
EMAIL = "EMAIL_SHA256"
LIST = {
    "id": "5677923948298240",
    "ad_account_id": "account-1",
    "name": "VIP",
    "source_type": "FIRST_PARTY",
    "retention_in_days": 9999,
    "upload_status": "NO_UPLOAD",
}


def told(many: str, one: str, *found: dict[str, Any], **more: Any) -> HttpReply:
    """An answer as the documentation shows it."""
    entries = [{"sub_request_status": "SUCCESS", one: inner} for inner in found]
    return reply({"request_status": "SUCCESS", "request_id": "57c4d347", many: entries, **more})


def segments(*found: dict[str, Any], **more: Any) -> HttpReply:
    """Lists."""
    return told("segments", "segment", *found, **more)


def counted(count: object) -> HttpReply:
    """The answer to a request about people."""
    return told("users", "user", {"number_uploaded_users": count})


def snap(*answers: HttpReply, now: float = 1_000.0, audience: str = "VIP", **more: Any) -> Any:
    """A connector with its answers; `http` has the calls."""
    http = Scripted(*answers)
    settings = SnapSettings(account_id="account-1", access_token=Token(), audience=audience, **more)
    made = Snap(settings, http, context(EMAIL), now=lambda: now)
    return made, http


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own."""
    return asyncio.run(scenario)


def written(made: Snap, operation: Operation, values: list[bytes | None]) -> Done | Submitted:
    """The answer to a batch."""
    return run(made.write(batch(operation, EMAIL, values), Progress(rows=len(values))))


def code_of(scenario: Coroutine[Any, Any, Any]) -> str:
    """What it is refused with."""
    with pytest.raises(EngineError) as caught:
        run(scenario)
    return caught.value.code


def test_each_digest_goes_once_and_a_row_without_one_is_refused() -> None:
    """Snap takes no duplicate in a request; the job holds all rows that have a digest."""
    made, http = snap(segments(LIST), counted(2))
    given = written(made, Operation.ADD, [digest(1), None, digest(2), digest(1), b""])
    assert isinstance(given, Submitted)
    assert given.job == JobRef(batch=7, rows=3, reference="5677923948298240/add/all/1000")
    assert given.known is not None
    assert given.known.codes.to_pylist() == [0, 2, 0, 0, 2]
    assert {r.code for r in given.known.reasons.values()} == {"no_identifier"}
    call = http.calls[1]
    assert (call.method, call.path) == ("POST", "v1/segments/5677923948298240/users")
    assert call.headers["authorization"] == "Bearer token-1"
    data = [[digest(1).hex()], [digest(2).hex()]]
    assert call.json == {"users": [{"schema": [EMAIL], "data": data}]}


def test_a_removal_goes_by_the_same_schema() -> None:
    """With a body, too; where the account has no list nothing is sent, and none is made."""
    made, http = snap(segments(LIST), counted(1))
    given = written(made, Operation.REMOVE, [digest(1)])
    assert isinstance(given, Submitted)
    assert given.job.reference == "5677923948298240/remove/all/1000"
    assert http.calls[1].method == "DELETE"
    assert http.calls[1].json["users"][0]["data"] == [[digest(1).hex()]]
    made, http = snap(segments())
    given = written(made, Operation.REMOVE, [digest(1)])
    assert isinstance(given, Done)
    assert given.outcomes.codes.to_pylist() == [0]
    assert len(http.calls) == 1


def test_nobody_to_send_is_nothing_to_ask() -> None:
    """No list is looked up, and none is made."""
    made, http = snap()
    given = written(made, Operation.ADD, [None, None])
    assert isinstance(given, Done)
    assert given.outcomes.count(OutcomeCode.REJECTED) == 2
    assert http.calls == []


def test_a_list_is_made_where_there_is_none_of_the_name() -> None:
    """A customer list, which keeps people for as long as the settings say."""
    other = {**LIST, "name": "vip"}
    new = segments({**LIST, "retention_in_days": 90})
    made, http = snap(segments(other), new, counted(1), retention_days=90)
    assert isinstance(written(made, Operation.ADD, [digest(1)]), Submitted)
    assert http.calls[1].json == {
        "segments": [
            {
                "name": "VIP",
                "description": "Kept by Mayfly",
                "source_type": "FIRST_PARTY",
                "retention_in_days": 90,
                "ad_account_id": "account-1",
            }
        ]
    }


def test_all_pages_are_read_by_their_cursor_alone() -> None:
    """Where the next page is said to be is not followed."""
    link = "https://elsewhere.example/v1/adaccounts/account-1/segments?limit=1000&cursor=abc"
    first = segments({**LIST, "name": "Other"}, paging={"next_link": link})
    made, http = snap(first, segments(LIST, paging={}))
    assert run(made.locate(None)) == LIST["id"]
    assert [c.path for c in http.calls] == ["v1/adaccounts/account-1/segments"] * 2
    assert http.calls[1].params == {"limit": "1000", "cursor": "abc"}
    for wrong in ("https://elsewhere.example/", "http://[", f"x?cursor={'a' * 2_001}"):
        made, _ = snap(segments(paging={"next_link": wrong}))
        assert code_of(made.locate(None)) == "unknown_answer"


def test_lists_that_cannot_be_the_one_are_refused() -> None:
    """Two of a name, one of another kind, one that forgets too soon, one of another account."""
    twin = {**LIST, "id": "5677923948298241"}
    lookalike = {**twin, "source_type": "LOOKALIKE"}
    assert code_of(snap(segments(LIST, twin))[0].locate(None)) == "audience_ambiguous"
    assert run(snap(segments(LIST, lookalike))[0].locate(None)) == LIST["id"]
    assert code_of(snap(segments(lookalike))[0].locate(None)) == "audience_of_other_kind"
    short = {**LIST, "retention_in_days": 30}
    assert code_of(snap(segments(short))[0].locate(None)) == "audience_forgets"
    foreign = {**LIST, "ad_account_id": "account-2"}
    by_id, http = snap(segments(foreign), audience=str(LIST["id"]))
    assert code_of(by_id.locate(None)) == "audience_missing"
    assert http.calls[0].path == "v1/segments/5677923948298240"


def test_a_list_that_has_another_name_now_stops_the_sync() -> None:
    """One that is gone does not: the new one is begun with."""
    made, _ = snap(segments(), segments({**LIST, "name": "Renamed"}))
    assert code_of(made.locate("5677923948298240")) == "audience_renamed"
    made, _ = snap(segments(), reply({"error_code": "E3003"}, 404))
    assert run(made.locate("5677923948298240")) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "request_refused"),
        (401, "reauthorise"),
        (403, "reauthorise"),
        (404, "snap_not_there"),
        (405, "request_refused"),
        (406, "request_refused"),
        (410, "snap_not_there"),
        (418, "request_refused"),
        (429, "rate_limited"),
        (500, "destination_busy"),
        (503, "destination_busy"),
    ],
)
def test_each_documented_status_is_told_by_its_kind(status: int, code: str) -> None:
    """Eleven beside 200, each with Snap's code, and without its text."""
    body = {
        "request_status": "ERROR",
        "debug_message": "marked-7f3a",
        "display_message": "marked-7f3a",
        "error_code": "E3003",
    }
    with pytest.raises(EngineError) as caught:
        answer(reply(body, status))
    assert caught.value.code == code
    assert "E3003" in caught.value.message
    assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "unknown_answer"),
        ({"request_status": "PARTIAL"}, "request_refused"),
        ({"request_status": "marked 7f3a"}, "request_refused"),
        ({"request_status": "SUCCESS"}, "unknown_answer"),
        ({"request_status": "SUCCESS", "users": []}, "unknown_answer"),
        ({"request_status": "SUCCESS", "users": ["x"]}, "unknown_answer"),
        (
            {"request_status": "SUCCESS", "users": [{"sub_request_status": "ERROR"}]},
            "request_refused",
        ),
        ({"request_status": "SUCCESS", "users": [{"sub_request_status": "x"}]}, "request_refused"),
        (
            {"request_status": "success", "users": [{"sub_request_status": "success"}]},
            "unknown_answer",
        ),
        (b"\xff<html>", "garbage_answer"),
        ([], "garbage_answer"),
    ],
)
def test_a_200_that_is_no_success_is_none(body: object, code: str) -> None:
    """Whatever it is: the request as a whole, or its one part."""
    made, _ = snap(segments(LIST), reply(body))
    given = made.write(batch(Operation.ADD, EMAIL, [digest(1)]), Progress(rows=1))
    with pytest.raises(EngineError) as caught:
        run(given)
    assert caught.value.code == code
    assert "marked" not in str(caught.value)


@pytest.mark.parametrize("count", [3, -1, True, "2", None])
def test_a_count_that_cannot_be_is_refused(count: object) -> None:
    """More than were sent, or no number."""
    made, _ = snap(segments(LIST), counted(count))
    given = made.write(batch(Operation.ADD, EMAIL, [digest(1), digest(2)]), Progress(rows=2))
    assert code_of(given) == "unknown_answer"


def test_fewer_than_were_sent_leave_all_unconfirmed() -> None:
    """Snap names nobody; it is kept with the job, so that another process knows it, too."""
    made, _ = snap(segments(LIST), counted(1))
    given = written(made, Operation.ADD, [digest(1), digest(2)])
    assert isinstance(given, Submitted)
    assert given.job.reference == "5677923948298240/add/fewer/1000"
    other, _ = snap(segments({**LIST, "upload_status": "COMPLETE"}), now=1_060.0)
    polled = run(other.poll(given.job))
    assert isinstance(polled, Done)
    assert polled.outcomes.codes.to_pylist() == [1, 1]
    assert {r.code for r in polled.outcomes.reasons.values()} == {"invalid_count_only"}


def test_a_list_that_is_deleted_under_a_request_is_gone() -> None:
    """The run stops, and no row is blamed."""
    made, _ = snap(segments(LIST), reply({"error_code": "E3003"}, 404))
    given = made.write(batch(Operation.ADD, EMAIL, [digest(1)]), Progress(rows=1))
    assert code_of(given) == "audience_gone"


def test_a_status_is_not_asked_for_before_it_is_time() -> None:
    """A minute after the request, then each minute, and ever more seldom."""
    clock = [1_000.0]
    working = segments({**LIST, "upload_status": "PROCESSING"})
    http = Scripted(working, working, segments({**LIST, "upload_status": "COMPLETE"}))
    settings = SnapSettings(account_id="account-1", access_token=Token(), audience="VIP")
    made = Snap(settings, http, context(EMAIL), now=lambda: clock[0])
    job = JobRef(batch=7, rows=2, reference="5677923948298240/add/all/1000")
    pauses = []
    for moment in (1_001.0, 1_060.0, 1_100.0, 2_000.0, 2_249.0):
        clock[0] = moment
        polled = run(made.poll(job))
        assert isinstance(polled, Pending)
        pauses.append((polled.retry_after_seconds, len(http.calls)))
    assert pauses == [(59.0, 0), (60.0, 1), (20.0, 1), (250.0, 2), (1.0, 2)]
    clock[0] = 2_250.0
    polled = run(made.poll(job))
    assert isinstance(polled, Done)
    assert polled.outcomes.codes.to_pylist() == [0, 0]


@pytest.mark.parametrize(
    ("act", "found", "codes"),
    [
        ("add", None, [3]),
        ("add", "NO_UPLOAD", None),
        ("add", "PROCESSING", None),
        ("remove", None, [0]),
        ("remove", "NO_UPLOAD", [0]),
        ("remove", "PROCESSING", None),
    ],
)
def test_what_a_list_says_is_what_became_of_a_job(
    act: str, found: str | None, codes: list[int] | None
) -> None:
    """Additions to a list that is gone go again; nobody is in it, whom a removal was about."""
    gone = reply({"error_code": "E3003"}, 404)
    told_ = gone if found is None else segments({**LIST, "upload_status": found})
    made, _ = snap(told_, now=1_060.0)
    polled = run(made.poll(JobRef(batch=7, rows=1, reference=f"56779/{act}/all/1000")))
    if codes is None:
        assert isinstance(polled, Pending)
    else:
        assert isinstance(polled, Done)
        assert polled.outcomes.codes.to_pylist() == codes


def test_after_two_days_of_work_rows_are_unconfirmed() -> None:
    """Nobody waits for good."""
    working = segments({**LIST, "upload_status": "PROCESSING"})
    made, _ = snap(working, now=1_000.0 + GIVEN_UP_SECONDS)
    polled = run(made.poll(JobRef(batch=7, rows=2, reference="56779/add/all/1000")))
    assert isinstance(polled, Done)
    assert polled.outcomes.codes.to_pylist() == [1, 1]
    assert polled.outcomes.reasons[0].code == "processing_unknown"


def test_a_job_of_another_form_is_refused() -> None:
    """Before anybody is asked."""
    made, http = snap()
    assert code_of(made.poll(JobRef(batch=7, rows=1, reference="12/3"))) == "bad_job_reference"
    assert http.calls == []
    receipt = Receipt(segment_id="12", adds=False, all_counted=False, taken_at=3)
    assert Receipt.read(receipt.reference()) == receipt


def test_as_many_rows_as_a_request_takes_and_one_more() -> None:
    """The larger one is refused, unsent."""
    rows = [n.to_bytes(32) for n in range(LIMITS.rows_max + 1)]
    made, http = snap(segments(LIST), counted(LIMITS.rows_max))
    assert isinstance(written(made, Operation.ADD, [*rows[:-1]]), Submitted)
    assert len(http.calls[1].content) < LIMITS.bytes_max
    with pytest.raises(ContractError) as caught:
        written(made, Operation.ADD, [*rows])
    assert caught.value.code == "too_many_rows"


def test_a_body_is_json_for_any_number_of_digests() -> None:
    """One, or several."""
    for many in (1, 2, 5):
        texts = [digest(n).hex() for n in range(many)]
        body = orjson.loads(users_body(EMAIL, pa.array(texts)))
        assert body["users"][0]["data"] == [[text] for text in texts]


def test_only_digests_of_the_sync_s_own_field_go() -> None:
    """Another form and another column are refused before a call."""
    made, http = snap()
    clear = batch(Operation.ADD, EMAIL, [b"person1@example.com"], form=Form.CLEAR)
    with pytest.raises(IntegrityError) as caught:
        run(made.write(clear, Progress(rows=1)))
    assert caught.value.code == "wrong_form"
    other = batch(Operation.ADD, "PHONE_SHA256", [digest(1)])
    assert code_of(made.write(other, Progress(rows=1))) == "columns_mismatch"
    inserts = batch(Operation.INSERT, EMAIL, [digest(1)])
    assert code_of(made.write(inserts, Progress(rows=1))) == "unknown_operation"
    assert http.calls == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("EMAIL_SHA256", "PHONE_SHA256"), "identifiers_mixed"),
        (("EMAIL",), "unknown_field"),
        ((), "identifiers_mixed"),
    ],
)
def test_a_list_holds_one_kind_of_identifier(fields: tuple[str, ...], code: str) -> None:
    """A sync with another mapping is refused as it is opened, and before, as it is planned."""
    settings = SnapSettings(account_id="account-1", access_token=Token(), audience="VIP")
    with pytest.raises(ConfigError) as caught:
        Snap(settings, Scripted(), context(*fields))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"account_id": "a/b"}, "bad_account_id"),
        ({"audience": " "}, "bad_audience"),
        ({"audience": "a" * 376}, "bad_audience"),
        ({"endpoint": "https://elsewhere.example"}, "bad_endpoint"),
    ],
)
def test_settings_are_checked(given: dict[str, str], code: str) -> None:
    """With what is wrong."""
    whole: dict[str, Any] = {"account_id": "a", "access_token": Token(), "audience": "VIP"}
    with pytest.raises(ConfigError) as caught:
        SnapSettings(**{**whole, **given})
    assert caught.value.code == code
    assert "token-1" not in repr(SnapSettings(**whole))


def test_check_asks_for_the_account() -> None:
    """And for nothing else; another one's answer is refused."""
    made, http = snap(told("adaccounts", "adaccount", {"id": "account-1"}))
    run(made.check())
    assert [c.path for c in http.calls] == ["v1/adaccounts/account-1"]
    made, _ = snap(told("adaccounts", "adaccount", {"id": "account-2"}))
    assert code_of(made.check()) == "unknown_answer"


def test_people_are_sent_again_before_they_are_forgotten() -> None:
    """After a third of the time that the list keeps them."""
    assert CONNECTOR.renewal is not None
    settings = DestinationSettings(name="s", type="snap", options={"retention_days": 90})
    assert CONNECTOR.renewal(settings) == timedelta(days=30)
    assert math.isclose(AT_SNAP.next_at(0.0, 86_400.0), 86_400.0 + 1_800.0)
