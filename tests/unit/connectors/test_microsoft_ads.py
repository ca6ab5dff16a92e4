"""Microsoft Advertising: settings, bodies, each documented fault (twenty-one codes), and which list
is meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.microsoft_ads import CONNECTOR, SPEC
from mayfly.connectors.destinations.microsoft_ads_answers import (
    MINUTE_SECONDS,
    answer,
    outcomes,
    people_answer,
)
from mayfly.connectors.destinations.microsoft_ads_audience import (
    MicrosoftAds,
    MicrosoftAdsSettings,
)
from mayfly.connectors.destinations.microsoft_ads_requests import user_data_body
from mayfly.domain.batch import Operation
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.destination import Done, JobRef, Progress
from mayfly.ports.http import HttpReply
from microsoft_world import ACCOUNT, CUSTOMER, DEVELOPER_TOKEN, Secret, batch, digest, microsoft

URL = "http://127.0.0.1:1"
MARKED = "marked-person1@example.com"


def reply(status: int, body: Any = None, **headers: str) -> HttpReply:
    """A reply with a JSON body."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"<html>" if body is None else orjson.dumps(body)
    return HttpReply(status=status, headers=names, body=content)


def fault(
    number: int | None, name: str = "", *, status: int = 500, kind: str = "Errors"
) -> HttpReply:
    """As Microsoft's faults look, with foreign text in it."""
    error = {"Code": number, "ErrorCode": name, "Message": MARKED, "Details": MARKED}
    return reply(status, {kind: [error], "TrackingId": MARKED, "Type": "AdApiFaultDetail"})


def named(index: int | None, number: int | None, name: str = "") -> dict[str, Any]:
    """As an error of an item looks."""
    return {"Index": index, "Code": number, "ErrorCode": name, "Message": MARKED}


def found_list(number: object, name: str = "Contract", **more: Any) -> dict[str, Any]:
    """As Microsoft tells of one."""
    told = {"Id": str(number), "Name": name, "Type": "CustomerList", "MembershipDuration": 390}
    return {**told, **more}


@dataclass
class Scripted:
    """An `HttpClient` that answers one thing after the other."""

    replies: list[HttpReply]
    calls: list[tuple[str, Any]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)

    async def request(self, method: str, url: str, **rest: Any) -> HttpReply:
        """See the port."""
        assert method == "POST"
        path = url.removeprefix(f"{URL}/CampaignManagement/v13/")
        self.calls.append((path, orjson.loads(rest["content"])))
        self.headers = rest["headers"]
        return self.replies.pop(0)

    async def close(self) -> None:
        """Nothing is open."""


def made(http: Scripted, **how: Any) -> MicrosoftAds:
    """A connector that is answered so."""
    return microsoft(http, url=URL, **how)


@pytest.mark.parametrize(
    ("given_", "kind", "code"),
    [
        *(
            (fault(number, status=status), ConfigError, "reauthorise")
            for number in (105, 106, 108, 109, 120, 122, 123, 124, 125, 126)
            for status in (401, 500)
        ),
        (fault(117, "CallRateExceeded"), TransientError, "rate_limited"),
        (fault(117, status=429), TransientError, "rate_limited"),
        (fault(0, "InternalError", kind="OperationErrors"), TransientError, "destination_busy"),
        (fault(0), TransientError, "destination_busy"),
        (fault(208, "InvalidAccount"), ConfigError, "microsoft_refused"),
        (fault(303), ConfigError, "microsoft_refused"),
        (fault(8003, kind="BatchErrors", status=400), ConfigError, "microsoft_refused"),
        (fault(8002), ConfigError, "microsoft_refused"),
        (fault(8000), ContractError, "microsoft_list_gone"),
        (fault(4835), ContractError, "microsoft_list_gone"),
        (
            fault(116, "RequestMissingHeaders", status=400),
            ContractError,
            "microsoft_request_refused",
        ),
        (
            fault(201, kind="OperationErrors", status=400),
            ContractError,
            "microsoft_request_refused",
        ),
        (fault(None, status=400), ContractError, "microsoft_request_refused"),
        (reply(401), ConfigError, "reauthorise"),
        (reply(403, {}), ConfigError, "reauthorise"),
        (reply(429), TransientError, "rate_limited"),
        (reply(500, {}), TransientError, "destination_busy"),
        (reply(503), TransientError, "destination_busy"),
        (reply(302), ContractError, "redirected"),
        (reply(404), ContractError, "garbage_answer"),
        (reply(200), TransientError, "garbage_answer"),
        (reply(200, [MARKED]), TransientError, "garbage_answer"),
    ],
)
def test_each_answer_says_what_to_do(given_: HttpReply, kind: type[EngineError], code: str) -> None:
    """By its code, whatever its status; nothing of Microsoft's text is in it."""
    with pytest.raises(EngineError) as caught:
        answer(given_)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in f"{caught.value} {caught.value.hint}"


def test_a_limit_is_waited_for_a_minute() -> None:
    """Where Microsoft does not ask for another time."""
    for given_, seconds in ((fault(117), MINUTE_SECONDS), (fault(117, status=429), MINUTE_SECONDS)):
        with pytest.raises(TransientError) as caught:
            answer(given_)
        assert caught.value.retry_after_seconds == seconds
    asked = HttpReply(status=429, headers={"retry-after": "7"}, body=fault(117).body)
    with pytest.raises(TransientError) as caught:
        answer(asked)
    assert caught.value.retry_after_seconds == 7


def test_a_refusal_of_people_may_be_about_one_of_them() -> None:
    """Only where a request carried people, and only for what may lie with one of them."""
    with pytest.raises(RequestRefusedError) as caught:
        people_answer(fault(201, status=400))
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ContractError) as other:
        people_answer(fault(8000))
    assert not isinstance(other.value, RequestRefusedError)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ("no", "unknown_answer"),
        ([named(2, 8004)], "unknown_answer"),
        ([named(-1, 8004)], "unknown_answer"),
        ([named(None, 1234)], "unknown_answer"),
        ([MARKED], "unknown_answer"),
        ([named(0, 8000)], "microsoft_list_gone"),
        ([named(1, 8004), named(0, 8003)], "microsoft_refused"),
    ],
)
def test_an_error_that_is_not_of_an_item_is_never_an_outcome(errors: Any, code: str) -> None:
    """It stops the run, and says why."""
    with pytest.raises(EngineError) as caught:
        outcomes({"PartialErrors": errors}, 2)
    assert caught.value.code == code
    assert "marked" not in f"{caught.value} {caught.value.hint}"


def test_a_code_that_is_text_stays_away() -> None:
    """Where Microsoft's name could be a value, its number stands in its place."""
    found = outcomes({"PartialErrors": [named(0, 77, MARKED), named(1, None, MARKED)]}, 2)
    assert [found.reasons[n].vendor_code for n in (0, 1)] == ["77", "unknown"]


@given(st.sets(st.integers(0, 20)), st.integers(21, 40))
def test_whoever_is_not_named_was_taken(places: set[int], count: int) -> None:
    """And each who is named is rejected, in any order."""
    errors = [named(place, 8004) for place in sorted(places, reverse=True)]
    found = outcomes({"PartialErrors": errors}, count)
    assert set(found.rows_of(OutcomeCode.REJECTED)) == places == set(found.reasons)
    assert found.count(OutcomeCode.ACCEPTED) == count - len(places)
    assert outcomes({}, count).count(OutcomeCode.ACCEPTED) == count


def test_a_body_is_one_list_of_digests() -> None:
    """With the terms, which each request has to accept."""
    digests = [digest("a").hex(), digest("b").hex()]
    body = user_data_body(pa.table({"Email": digests}), "Add", "804")
    assert orjson.loads(body) == {
        "CustomerListUserData": {
            "AcceptCustomerMatchTerm": True,
            "ActionType": "Add",
            "AudienceId": "804",
            "CustomerListItemSubType": "Email",
            "CustomerListItems": digests,
        }
    }


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"account_id": "F123"}, "bad_account_id"),
        ({"customer_id": "0"}, "bad_account_id"),
        ({"audience": "  "}, "bad_audience"),
        ({"audience": "x" * 129}, "bad_audience"),
        ({"membership_days": 0}, "bad_membership"),
        ({"membership_days": 391}, "bad_membership"),
        ({"endpoint": "https://api.bingads.example"}, "bad_endpoint"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(wrong: Mapping[str, Any], code: str) -> None:
    """Before anything is called; and no secret is shown."""
    right: dict[str, Any] = {
        "account_id": "1",
        "customer_id": "2",
        "developer_token": Secret("t0ken"),
        "access_token": Secret("t0ken"),
        "audience": "x" * 128,
    }
    assert "t0ken" not in repr(MicrosoftAdsSettings(**right))
    with pytest.raises(ConfigError) as caught:
        MicrosoftAdsSettings(**{**right, **wrong})
    assert caught.value.code == code


NONE = reply(200, {"Audiences": [None], "PartialErrors": [named(0, 4835)]})
NOTHING = reply(200, {"Audiences": [], "PartialErrors": []})


def lists(*entries: dict[str, Any]) -> HttpReply:
    """An answer with lists."""
    return reply(200, {"Audiences": [*entries], "PartialErrors": []})


@pytest.mark.parametrize(
    ("audience", "known", "replies", "expected"),
    [
        ("Contract", None, [lists(found_list(7))], "7"),
        ("Contract", None, [lists(found_list(7, "Other"))], None),
        ("Contract", None, [lists(found_list(7, Type="RemarketingList"))], None),
        ("Contract", "7", [NOTHING, NONE], None),
        ("Contract", "7", [NOTHING, lists(found_list(7, "X"))], "renamed"),
        ("Contract", "7", [lists(found_list(8)), NONE], "8"),
        ("Contract", None, [lists(found_list(7), found_list(8))], "ambiguous"),
        ("7", None, [lists(found_list(7, "Any name"))], "7"),
        ("7", None, [NONE], "missing"),
    ],
)
def test_which_list_is_meant(
    audience: str, known: str | None, replies: list[HttpReply], expected: str | None
) -> None:
    """By name or id; what was filled before must be gone, or the same."""
    http = Scripted(list(replies))
    try:
        found = asyncio.run(made(http, audience=audience).locate(known))
    except ConfigError as error:
        found = error.code.removeprefix("audience_")
    assert found == expected
    assert http.headers["developertoken"] == DEVELOPER_TOKEN
    assert http.headers["customeraccountid"] == ACCOUNT
    assert http.headers["customerid"] == CUSTOMER


ONE = batch(Operation.ADD, [digest("a")])


@pytest.mark.parametrize(
    ("answered", "code"),
    [
        ({"AudienceIds": [None], "PartialErrors": [named(0, 4853)]}, "microsoft_refused"),
        ({"AudienceIds": [None], "PartialErrors": [named(0, 8003)]}, "microsoft_refused"),
        ({"AudienceIds": [None], "PartialErrors": [named(0, 999)]}, "audience_not_made"),
        ({"AudienceIds": [], "PartialErrors": []}, "unknown_answer"),
        ({"AudienceIds": [MARKED], "PartialErrors": []}, "unknown_answer"),
        ({"PartialErrors": []}, "unknown_answer"),
    ],
)
def test_a_list_that_is_not_made_is_no_row_s_fault(answered: Any, code: str) -> None:
    """And nobody is sent."""
    http = Scripted([NOTHING, reply(200, answered)])
    with pytest.raises(EngineError) as caught:
        asyncio.run(made(http).write(ONE, Progress(rows=1)))
    assert caught.value.code == code
    assert not isinstance(caught.value, RequestRefusedError)
    assert [path for path, _ in http.calls] == ["Audiences/QueryByIds", "Audiences"]


def test_a_list_is_made_once_for_the_account_and_its_days() -> None:
    """For all batches of a process."""
    taken = reply(200, {"PartialErrors": []})
    http = Scripted([NOTHING, reply(200, {"AudienceIds": ["9"]}), taken, taken])
    destination = made(http, membership_days=31)
    for _ in range(2):
        asyncio.run(destination.write(ONE, Progress(rows=1)))
    [wanted] = http.calls[1][1]["Audiences"]
    assert (wanted["Scope"], wanted["ParentId"], wanted["MembershipDuration"]) == (
        *("Account", ACCOUNT, 31),
    )
    assert [body["CustomerListUserData"]["AudienceId"] for _, body in http.calls[2:]] == ["9", "9"]


def test_who_has_no_identifier_makes_no_request() -> None:
    """And no list; in a request they are left out, and the others keep their places."""
    http = Scripted([])
    answered = asyncio.run(made(http).write(batch(Operation.ADD, [None]), Progress(rows=1)))
    assert isinstance(answered, Done)
    assert answered.outcomes.count(OutcomeCode.REJECTED) == 1
    assert http.calls == []
    http = Scripted([lists(found_list(7)), reply(200, {"PartialErrors": [named(1, 8004)]})])
    three = batch(Operation.ADD, [digest("a"), None, digest("b")])
    answered = asyncio.run(made(http).write(three, Progress(rows=3)))
    assert isinstance(answered, Done)
    assert answered.outcomes.codes.to_pylist() == [0, 2, 2]
    assert [answered.outcomes.reasons[n].code for n in (1, 2)] == ["no_identifier", "row_refused"]


def test_what_an_audience_does_not_take_is_refused() -> None:
    """Inserts, and jobs."""
    http = Scripted([])
    with pytest.raises(ContractError) as caught:
        asyncio.run(made(http).write(batch(Operation.INSERT, [digest("a")]), Progress(rows=1)))
    assert caught.value.code == "unknown_operation"
    with pytest.raises(ContractError) as caught:
        asyncio.run(made(http).poll(JobRef(batch=0, rows=1, reference="x")))
    assert caught.value.code == "no_such_job"
    assert http.calls == []


def test_members_are_sent_again_after_a_third_of_their_time() -> None:
    """Of what the project says, or of the longest."""
    assert CONNECTOR.renewal is not None

    def renewed(**options: int) -> timedelta:
        settings = DestinationSettings(
            name="ms", type="microsoft_ads", options=options, kind="external"
        )
        assert CONNECTOR.renewal is not None
        return CONNECTOR.renewal(settings)

    assert (renewed(), renewed(membership_days=30)) == (timedelta(days=130), timedelta(days=10))


def test_the_log_in_is_microsoft_s_own() -> None:
    """With PKCE, for one right and for refresh tokens, which no reply tells of."""
    assert SPEC.oauth is not None
    assert SPEC.oauth.token_host == "login.microsoftonline.com"
    assert set(SPEC.oauth.scopes) - SPEC.oauth.unlisted_scopes == {
        "https://ads.microsoft.com/msads.manage"
    }
    assert SPEC.oauth.pkce
