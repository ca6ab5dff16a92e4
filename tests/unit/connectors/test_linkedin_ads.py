"""LinkedIn: settings, bodies, the answers to ten statuses, and which segment is meant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkedin_world import ACCOUNT, Secret, batch, digest, guid, linkedin
from mayfly.connectors.destinations.linkedin_ads import CONNECTOR, SPEC
from mayfly.connectors.destinations.linkedin_ads_answers import (
    DAY_PAUSE_SECONDS,
    MINUTE_SECONDS,
    answer,
    outcomes,
    people_answer,
)
from mayfly.connectors.destinations.linkedin_ads_audience import LinkedInAds, LinkedInSettings
from mayfly.connectors.destinations.linkedin_ads_requests import SPECS, users_body
from mayfly.connectors.identified_rows import IdentifiedRows
from mayfly.domain.batch import Operation
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

URL = "http://127.0.0.1:1"
MARKED = "marked-person1@example.com"
ACCOUNT_URN = f"urn:li:sponsoredAccount:{ACCOUNT}"


def reply(status: int, body: Any = None, **headers: str) -> HttpReply:
    """A reply with a JSON body."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=names, body=orjson.dumps(body) if body else b"")


def refusal(status: int, code: str = "", message: str = MARKED, **headers: str) -> HttpReply:
    """As LinkedIn's errors look, with foreign text in it."""
    named = {"code": code} if code else {}
    return reply(status, {"status": status, "message": message, **named}, **headers)


def segment(number: int, name: str = "Contract", **more: Any) -> dict[str, Any]:
    """As LinkedIn lists one."""
    return {"id": number, "name": name, "type": "USER", "account": ACCOUNT_URN, **more}


@dataclass
class Scripted:
    """An `HttpClient` that answers one thing after the other."""

    replies: list[HttpReply]
    calls: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)

    async def request(self, method: str, url: str, **rest: Any) -> HttpReply:
        """See the port."""
        path = url.removeprefix(f"{URL}/rest/")
        self.calls.append((method, path, rest.get("params") or {}, rest.get("content") or b""))
        self.headers = rest["headers"]
        return self.replies.pop(0)

    async def close(self) -> None:
        """Nothing is open."""


def made(http: Scripted, **how: Any) -> LinkedInAds:
    """A connector that is answered so."""
    return linkedin(http, url=URL, **how)


@pytest.mark.parametrize(
    ("given_", "kind", "code"),
    [
        (refusal(400, "ILLEGAL_ARGUMENT"), ContractError, "linkedin_request_refused"),
        (refusal(413), ContractError, "linkedin_request_refused"),
        (refusal(422, "INVALID_INPUT"), ContractError, "linkedin_request_refused"),
        (refusal(401, "EXPIRED_ACCESS_TOKEN"), ConfigError, "reauthorise"),
        (refusal(403, "ACCESS_DENIED"), ConfigError, "reauthorise"),
        (refusal(404, "NOT_FOUND"), ContractError, "linkedin_not_found"),
        (refusal(426, "NONEXISTENT_VERSION"), ConfigError, "version_ended"),
        (refusal(429, "TOO_MANY_REQUESTS"), TransientError, "rate_limited"),
        (refusal(500), TransientError, "destination_busy"),
        (refusal(503), TransientError, "destination_busy"),
        (refusal(301), ContractError, "redirected"),
        (reply(400), ContractError, "garbage_answer"),
        (reply(200), TransientError, "garbage_answer"),
        (reply(200, [MARKED]), TransientError, "garbage_answer"),
    ],
)
def test_each_answer_says_what_to_do(given_: HttpReply, kind: type[EngineError], code: str) -> None:
    """By its kind; nothing of LinkedIn's text is in it."""
    with pytest.raises(EngineError) as caught:
        answer(given_)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in f"{caught.value} {caught.value.hint}"


def test_a_refusal_of_people_may_be_about_one_of_them() -> None:
    """Only where a request carried people, and only for what may lie with one of them."""
    with pytest.raises(RequestRefusedError) as caught:
        people_answer(refusal(400))
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ContractError) as other:
        people_answer(refusal(404))
    assert not isinstance(other.value, RequestRefusedError)


DAY = f"Resource level throttle APPLICATION DAY limit is reached for {MARKED}."


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        (refusal(429), MINUTE_SECONDS),
        (refusal(429, message="A MONDAY limit"), MINUTE_SECONDS),
        (refusal(429, message=DAY), DAY_PAUSE_SECONDS),
        (refusal(429, message=DAY, date="Sun, 29 Nov 2026 23:00:00 GMT"), 3_600 + MINUTE_SECONDS),
        (refusal(429, message=DAY, retry_after="7"), 7),
    ],
)
def test_a_daily_limit_is_waited_for_until_midnight(given_: HttpReply, seconds: float) -> None:
    """Of LinkedIn's own clock; one per minute for a minute; what LinkedIn asks for comes first."""
    with pytest.raises(TransientError) as caught:
        answer(given_)
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("answered", "code"),
    [
        ({}, "unknown_answer"),
        ({"elements": "no"}, "unknown_answer"),
        ({"elements": [{"status": 201}]}, "counts_differ"),
        ({"elements": [{"status": 201}] * 3}, "counts_differ"),
        ({"elements": [{"status": 201}, {}]}, "unknown_answer"),
        ({"elements": [{"status": 201}, {"status": True}]}, "unknown_answer"),
        ({"elements": [{"status": 201}, MARKED]}, "unknown_answer"),
        ({"elements": [{"status": 201}, {"status": 302}]}, "unknown_answer"),
        ({"elements": [{"status": 201}, {"status": 418}]}, "unknown_answer"),
        ({"elements": [{"status": 403}] * 2}, "reauthorise"),
    ],
)
def test_an_answer_that_is_not_understood_is_an_error(
    answered: Mapping[str, Any], code: str
) -> None:
    """And never an outcome."""
    with pytest.raises(EngineError) as caught:
        outcomes(answered, 2)
    assert caught.value.code == code
    assert "marked" not in str(caught.value)


def test_a_code_that_is_text_stays_away() -> None:
    """Where LinkedIn's code could be a value, the status stands in its place."""
    element = {"status": 400, "error": {"code": MARKED, "serviceErrorCode": 7, "message": MARKED}}
    found = outcomes({"elements": [element, {"status": 400, "error": {"code": MARKED}}]}, 2)
    assert [found.reasons[n].vendor_code for n in (0, 1)] == ["7", "400"]


@given(st.lists(st.sampled_from([200, 201, 400, 409, 422, 404, 429, 500]), max_size=30))
def test_outcomes_stand_in_the_order_of_the_answer(statuses: list[int]) -> None:
    """One for each element, with a reason exactly where it is not plainly accepted."""
    found = outcomes({"elements": [{"status": s} for s in statuses]}, len(statuses))
    kinds = {200: 0, 201: 0, 400: 2, 409: 2, 422: 2}
    assert found.codes.to_pylist() == [kinds.get(s, 3) for s in statuses]
    assert sorted(found.reasons) == found.not_accepted()


def test_a_body_names_each_identifier_that_is_there() -> None:
    """And no other; who has none is not in it, and is rejected."""
    rows = {
        "SHA256_EMAIL": [digest("a"), None, None, b""],
        "GOOGLE_AID": [guid(1), guid(2), None, ""],
    }
    part = IdentifiedRows(batch(Operation.ADD, rows), tuple(rows), SPECS, "LinkedIn").part(0, 4)
    email = {"idType": "SHA256_EMAIL", "idValue": digest("a").hex()}
    aids = [{"idType": "GOOGLE_AID", "idValue": guid(n)} for n in (1, 2)]
    assert orjson.loads(users_body(part.table, "ADD")) == {
        "elements": [
            {"action": "ADD", "userIds": [email, aids[0]]},
            {"action": "ADD", "userIds": [aids[1]]},
        ]
    }
    spread = part.spread(outcomes({"elements": [{"status": 400}, {"status": 201}]}, 2))
    assert spread.codes.to_pylist() == [2, 0, 2, 2]
    assert [spread.reasons[n].code for n in (0, 2, 3)] == [
        *("row_refused", "no_identifier", "no_identifier"),
    ]


def test_a_batch_of_another_form_is_refused() -> None:
    """A digest where a device's id belongs, and a column that the sync has not."""
    head_of = batch(Operation.ADD, {"GOOGLE_AID": [guid(1)]})
    wrong = ProtectedBatch(head_of.head, head_of.rows, {"GOOGLE_AID": Form.DIGEST}, seal=THE_SEAL)
    with pytest.raises(IntegrityError) as caught:
        IdentifiedRows(wrong, ("GOOGLE_AID",), SPECS, "LinkedIn")
    assert caught.value.code == "wrong_form"
    with pytest.raises(ContractError) as other:
        IdentifiedRows(head_of, ("SHA256_EMAIL",), SPECS, "LinkedIn")
    assert other.value.code == "columns_mismatch"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"account_id": "act_1"}, "bad_account_id"),
        ({"account_id": "0"}, "bad_account_id"),
        ({"audience": "  "}, "bad_audience"),
        ({"audience": "x" * 201}, "bad_audience"),
        ({"api_version": "202613"}, "bad_api_version"),
        ({"api_version": "v26.0"}, "bad_api_version"),
        ({"source_platform": "mine"}, "bad_source_platform"),
        ({"endpoint": "https://api.linkedin.example"}, "bad_endpoint"),
        ({"endpoint": "http://localhost:1"}, "bad_endpoint"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(wrong: Mapping[str, str], code: str) -> None:
    """Before anything is called."""
    right: dict[str, Any] = {"account_id": "1", "access_token": Secret("t0ken"), "audience": "VIP"}
    settings = LinkedInSettings(**right)
    assert "t0ken" not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        LinkedInSettings(**{**right, **wrong})
    assert caught.value.code == code


NOT_THERE = refusal(404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("audience", "known", "replies", "expected"),
    [
        ("Contract", None, [reply(200, {"elements": [segment(7)]})], "7"),
        ("Contract", None, [reply(200, {"elements": [segment(7, "Other")]})], None),
        ("Contract", "7", [reply(200, {"elements": []}), NOT_THERE], None),
        ("Contract", "7", [reply(200, {"elements": []}), reply(200, segment(7, "X"))], "renamed"),
        ("Contract", "7", [reply(200, {"elements": [segment(8)]}), NOT_THERE], "8"),
        ("Contract", None, [reply(200, {"elements": [segment(7), segment(8)]})], "ambiguous"),
        (
            "Contract",
            None,
            [reply(200, {"elements": [segment(7, type="COMPANY")]})],
            "of_other_kind",
        ),
        ("7", None, [reply(200, segment(7, "Any name"))], "7"),
        ("7", None, [NOT_THERE], "missing"),
        ("7", None, [reply(200, segment(7, account="urn:li:sponsoredAccount:2"))], "elsewhere"),
    ],
)
def test_which_segment_is_meant(
    audience: str, known: str | None, replies: list[HttpReply], expected: str | None
) -> None:
    """By name or id; what was filled before must be gone, or the same."""
    destination = made(Scripted(list(replies)), audience=audience)
    try:
        found = asyncio.run(destination.locate(known))
    except ConfigError as error:
        found = error.code.removeprefix("audience_")
    assert found == expected


def test_segments_are_read_page_by_page() -> None:
    """Until one is not full; the account's own, with both of LinkedIn's headers."""
    first = [segment(n, f"Other {n}") for n in range(1, 101)]
    http = Scripted([reply(200, {"elements": first}), reply(200, {"elements": [segment(200)]})])
    assert asyncio.run(made(http).locate(None)) == "200"
    asked = [(path, params["start"], params["account"]) for _, path, params, _ in http.calls]
    assert asked == [("dmpSegments", "0", ACCOUNT_URN), ("dmpSegments", "100", ACCOUNT_URN)]
    assert http.headers["linkedin-version"] == "202604"
    assert http.headers["x-restli-protocol-version"] == "2.0.0"
    endless = Scripted([reply(200, {"elements": first})] * 101)
    with pytest.raises(ContractError) as caught:
        asyncio.run(made(endless).locate(None))
    assert caught.value.code == "too_many_pages"


@pytest.mark.parametrize("header", ["x_restli_id", "x_linkedin_id"])
def test_a_new_segment_is_given_its_time(header: str) -> None:
    """Five seconds, once, before anybody is sent; its id comes in one header or the other."""
    taken = reply(200, {"elements": [{"status": 201}]})
    http = Scripted([reply(200, {"elements": []}), reply(201, **{header: "9"}), taken, taken])
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert len(http.calls) == 2

    destination = made(http, sleep=sleep)
    one = batch(Operation.ADD, {"SHA256_EMAIL": [digest("a")]})
    for _ in range(2):
        asyncio.run(destination.write(one, Progress(rows=1)))
    assert waits == [5.0]
    assert [path for _, path, _, _ in http.calls[2:]] == ["dmpSegments/9/users"] * 2
    wanted = orjson.loads(http.calls[1][3])
    assert wanted["sourceSegmentId"].startswith("mayfly-")
    assert (wanted["type"], wanted["accessPolicy"]) == ("USER", "PRIVATE")


def test_a_segment_that_was_new_long_ago_is_gone() -> None:
    """Three minutes after it was made, and where it is not listed."""
    clock = [0.0]
    http = Scripted([reply(200, {"elements": []}), reply(201, x_restli_id="9"), NOT_THERE])
    destination = made(http, now=lambda: clock[0])
    one = batch(Operation.ADD, {"SHA256_EMAIL": [digest("a")]})
    with pytest.raises(TransientError):
        asyncio.run(destination.write(one, Progress(rows=1)))
    clock[0] = 180.0
    http.replies += [NOT_THERE, NOT_THERE]
    with pytest.raises(ContractError) as caught:
        asyncio.run(destination.write(one, Progress(rows=1)))
    assert caught.value.code == "audience_gone"


def test_a_segment_that_cannot_be_made_is_no_row_s_fault() -> None:
    """What may be wrong about it is said."""
    http = Scripted([reply(200, {"elements": []}), refusal(422, "INVALID_INPUT")])
    one = batch(Operation.ADD, {"SHA256_EMAIL": [digest("a")]})
    with pytest.raises(ConfigError) as caught:
        asyncio.run(made(http).write(one, Progress(rows=1)))
    assert (caught.value.code, "source_platform" in caught.value.hint) == ("audience_refused", True)
    assert "marked" not in f"{caught.value} {caught.value.hint}"


def test_who_has_no_identifier_makes_no_request() -> None:
    """And no segment."""
    http = Scripted([])
    answered = asyncio.run(
        made(http).write(batch(Operation.ADD, {"SHA256_EMAIL": [None]}), Progress(rows=1))
    )
    assert isinstance(answered, Done)
    assert answered.outcomes.count(OutcomeCode.REJECTED) == 1
    assert http.calls == []


def test_what_an_audience_does_not_take_is_refused() -> None:
    """Inserts, removals by two fields, jobs, and fields that LinkedIn has not."""
    http = Scripted([])
    with pytest.raises(ContractError) as caught:
        asyncio.run(
            made(http).write(batch(Operation.INSERT, {"SHA256_EMAIL": [None]}), Progress(rows=1))
        )
    assert caught.value.code == "unknown_operation"
    both = batch(Operation.ADD, {"SHA256_EMAIL": [digest("a")], "GOOGLE_AID": [guid(1)]})
    with pytest.raises(ContractError) as caught:
        asyncio.run(linkedin(http, "SHA256_EMAIL", "GOOGLE_AID", url=URL).erase(both))
    assert caught.value.code == "one_identifier"
    with pytest.raises(ContractError) as caught:
        asyncio.run(made(http).poll(JobRef(batch=0, rows=1, reference="x")))
    assert caught.value.code == "no_such_job"
    with pytest.raises(ConfigError) as unknown:
        linkedin(http, "PHONE", url=URL)
    assert unknown.value.code == "unknown_field"
    assert http.calls == []


def test_the_log_in_is_linkedin_s_own() -> None:
    """Without PKCE, for the one right that is needed; tokens come from one host."""
    assert CONNECTOR.spec is SPEC
    assert SPEC.oauth is not None
    assert (SPEC.oauth.token_host, SPEC.oauth.pkce) == ("www.linkedin.com", False)
    assert SPEC.oauth.scopes == ("rw_dmp_segments",)
