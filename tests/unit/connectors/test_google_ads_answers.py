"""What Google answers: each documented reason as our error, each status as outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pytest
from google.ads.datamanager_v1.types import ErrorReason, RequestStatusPerDestination
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.google_ads_answers import (
    DAILY_PAUSE_SECONDS,
    MINUTE_PAUSE_SECONDS,
    OF_A_MEMBER,
    answer,
    failure,
    is_gone,
    is_lost,
    named_members,
    outcomes,
    warned_members,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.http import HttpReply
from mayfly.sandbox.google_errors import ApiError

FOREIGN_TEXT = "the address person1@example.com is not welcome"
AT = "audience_members.audience_members[{}].user_data.user_identifiers[0].email_address"


def ok(body: Any, status: int = 200, **headers: str) -> HttpReply:
    """A reply with a JSON body."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=names, body=orjson.dumps(body))


def refusal(
    reason: str,
    status: int = 400,
    *violations: tuple[str, str],
    quota: str = "",
    delay: str = "",
    **headers: str,
) -> HttpReply:
    """As Google's errors look, with foreign text wherever there is room for it."""
    error = ApiError(reason, status=status, violations=violations, quota=quota).response()
    body = orjson.loads(bytes(error.body))
    body["error"]["message"] = FOREIGN_TEXT
    for detail in body["error"]["details"]:
        for field in detail.get("fieldViolations", ()):
            field["description"] = FOREIGN_TEXT
    if delay:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        body["error"]["details"].append({"@type": kind, "retryDelay": delay})
    return ok(body, status, **headers)


def raised(reply: HttpReply) -> EngineError:
    """The error that an answer is, without a foreign word in it."""
    with pytest.raises(EngineError) as caught:
        answer(reply)
    error = caught.value
    assert "person1" not in f"{error} {error.hint}"
    return error


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (refusal("ACCESS_TOKEN_EXPIRED", 401), ConfigError, "reauthorise"),
        (ok({}, 401), ConfigError, "reauthorise"),
        (refusal("SOMETHING", 403), ConfigError, "reauthorise"),
        (refusal("PERMISSION_DENIED", 403), ConfigError, "google_permission_denied"),
        (refusal("SERVICE_DISABLED", 403), ConfigError, "google_service_disabled"),
        (refusal("NOT_ALLOWLISTED"), ConfigError, "google_not_allowlisted"),
        (
            refusal("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", 403),
            ConfigError,
            "google_cloud_project_not_approved_for_production",
        ),
        (
            refusal("TERMS_AND_CONDITIONS_NOT_SIGNED"),
            ConfigError,
            "google_terms_and_conditions_not_signed",
        ),
        (
            refusal("EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"),
            ConfigError,
            "google_eu_political_advertising_declaration_required",
        ),
        (
            refusal("MEMBERSHIP_DURATION_TOO_LONG"),
            ConfigError,
            "google_membership_duration_too_long",
        ),
        (refusal("INVALID_USER_LIST_ID"), ContractError, "google_invalid_user_list_id"),
        (refusal("INVALID_ARGUMENT"), ContractError, "google_invalid_argument"),
        (refusal("TOO_MANY_DESTINATIONS"), ContractError, "google_too_many_destinations"),
        (refusal("A_NEW_ONE"), ContractError, "google_a_new_one"),
        (
            refusal("INVALID_ARGUMENT", 400, ("audience_members[0]", "INVALID_USER_LIST_TYPE")),
            ConfigError,
            "google_invalid_user_list_type",
        ),
        (
            refusal(
                "INVALID_ARGUMENT",
                400,
                (AT.format(1), "INVALID_SHA256_FORMAT"),
                ("encoding", "REQUIRED_FIELD_MISSING"),
            ),
            ContractError,
            "google_required_field_missing",
        ),
        (refusal("RESOURCE_EXHAUSTED", 429), TransientError, "rate_limited"),
        (refusal("INTERNAL_ERROR", 500), TransientError, "destination_busy"),
        (refusal("INTERNAL_ERROR", 503), TransientError, "destination_busy"),
        (refusal("DEADLINE_EXCEEDED", 500), TransientError, "destination_busy"),
        (refusal("ABORTED", 409), TransientError, "destination_busy"),
        (ok("bad gateway", 502), TransientError, "destination_busy"),
        (ok({}, 302), ContractError, "redirected"),
        (ok({}, 418), ContractError, "unknown_answer"),
        (HttpReply(status=404, headers={}, body=b"<html>"), ContractError, "garbage_answer"),
        (HttpReply(status=200, headers={}, body=b"<html>"), TransientError, "garbage_answer"),
        (ok([1]), TransientError, "garbage_answer"),
    ],
)
def test_each_refusal_says_what_to_do(reply: HttpReply, kind: type[EngineError], code: str) -> None:
    """The kind tells whether to stop, to try again, or to change a setting; Google's code stays."""
    error = raised(reply)
    assert (type(error), error.code) == (kind, code)


def test_every_reason_of_the_client_is_an_error_of_ours() -> None:
    """129 of them in google-ads-datamanager 0.9.4, none of which ends a run without a code."""
    names = [reason.name for reason in ErrorReason]
    assert len(names) == 129
    assert set(names) >= OF_A_MEMBER
    for name in names:
        error = raised(refusal(name))
        transient = name in ("INTERNAL_ERROR", "DEADLINE_EXCEEDED")
        assert isinstance(error, TransientError) is transient, name
        assert error.code == ("destination_busy" if transient else f"google_{name.lower()}")


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (refusal("RESOURCE_EXHAUSTED", 429), MINUTE_PAUSE_SECONDS),
        (
            refusal("R", 429, quota="IngestionMutateRequestsPerMinutePerProject"),
            MINUTE_PAUSE_SECONDS,
        ),
        (refusal("R", 429, quota="IngestionReadRequestsPerDayPerProject"), DAILY_PAUSE_SECONDS),
        (refusal("R", 429, delay="7.5s"), 7.5),
        (refusal("R", 429, delay="soon", retry_after="9"), 9.0),
        (refusal("INTERNAL_ERROR", 503, delay="2s"), 2.0),
        (refusal("INTERNAL_ERROR", 503), None),
    ],
)
def test_pauses_are_those_that_google_asks_for(reply: HttpReply, seconds: float | None) -> None:
    """Else one that fits the limit which was reached: by the minute or by the day."""
    error = failure(reply)
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == seconds


def test_members_are_named_by_place_with_google_s_reason() -> None:
    """In either spelling of the path; each once."""
    reply = refusal(
        "INVALID_ARGUMENT",
        400,
        (AT.format(3), "INVALID_HEX_ENCODING"),
        (AT.format(3), "INVALID_SHA256_FORMAT"),
        ("audienceMembers[7].userData", "INVALID_POSTAL_CODE"),
        ("audience_members[9]", "INVALID_AUDIENCE_MEMBER"),
    )
    found = {place: (r.code, r.vendor_code) for place, r in named_members(reply).items()}
    assert found == {
        3: ("invalid_entry", "INVALID_HEX_ENCODING"),
        7: ("invalid_entry", "INVALID_POSTAL_CODE"),
        9: ("invalid_entry", "INVALID_AUDIENCE_MEMBER"),
    }


@pytest.mark.parametrize(
    "reply",
    [
        refusal("INVALID_ARGUMENT", 400, ("audience_members[0]", "INVALID_USER_LIST_TYPE")),
        refusal("INVALID_ARGUMENT", 400, ("encoding", "REQUIRED_FIELD_MISSING")),
        refusal("INVALID_ARGUMENT", 400, (AT.format(0), "INVALID_HEX_ENCODING"), ("consent", "NO")),
        refusal("INVALID_ARGUMENT", 400, (AT.format(0), "A_NEW_ONE")),
        refusal("INTERNAL_ERROR", 500, (AT.format(0), "INVALID_HEX_ENCODING")),
        ok({"requestId": "x"}),
        ok({"error": {"details": [{"@type": "x.rpc.BadRequest", "fieldViolations": "y"}]}}, 400),
        HttpReply(status=400, headers={}, body=b"<html>"),
    ],
)
def test_no_member_is_blamed_for_what_is_no_member_s_fault(reply: HttpReply) -> None:
    """A list of another type is told by the first member's place; an unknown reason stops."""
    assert named_members(reply) == {}


@pytest.mark.parametrize("name", ["INVALID_REQUEST_ID", "REQUEST_TOO_OLD"])
def test_a_request_that_google_does_not_know_is_lost(name: str) -> None:
    """Too old, or never heard of; a list that is gone is another matter."""
    assert is_lost(failure(refusal(name)))
    assert not is_gone(failure(refusal(name)))
    assert is_gone(failure(refusal("NOT_FOUND", 404)))


def status(name: str | None, *counts: tuple[str, object], held: object = "3") -> Mapping[str, Any]:
    """An answer about a request of three members."""
    entries = [{"reason": f"PROCESSING_ERROR_REASON_{r}", "recordCount": n} for r, n in counts]
    counted = {"userDataIngestionStatus": {"recordCount": held}}
    one = {
        "requestStatus": name,
        "errorInfo": {"errorCounts": entries},
        "audienceMembersIngestionStatus": counted if held is not None else {},
    }
    return {"requestStatusPerDestination": [{k: v for k, v in one.items() if v is not None}]}


def told(found: Outcomes | None) -> tuple[set[int], str, str] | None:
    """Codes, and the one reason."""
    if found is None:
        return None
    reasons = {(r.code, r.vendor_code) for r in found.reasons.values()} or {("", "")}
    [(code, vendor)] = reasons
    return set(found.codes.to_pylist()), code, vendor


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        (status("PROCESSING"), None),
        (status("REQUEST_STATUS_UNKNOWN"), None),
        (status(None), None),
        ({}, None),
        (status("SUCCESS"), ({0}, "", "")),
        (status("SUCCESS", held=3), ({0}, "", "")),
        (status("SUCCESS", held="2"), ({1}, "counts_differ", "")),
        (status("SUCCESS", held=None), ({1}, "not_counted", "")),
        (status("SUCCESS", ("INVALID_FORMAT", "0")), ({0}, "", "")),
        (
            status("SUCCESS", ("INVALID_FORMAT", "1")),
            ({1}, "invalid_count_only", "INVALID_FORMAT"),
        ),
        (
            status("PARTIAL_SUCCESS", ("NO_CONSENT", "1"), ("DENIED_CONSENT", "2")),
            ({1}, "invalid_count_only", "DENIED_CONSENT"),
        ),
        (status("PARTIAL_SUCCESS"), ({1}, "invalid_count_only", "")),
        (
            status("FAILED", ("UNKNOWN_CONSENT", "3")),
            ({2}, "processing_failed", "UNKNOWN_CONSENT"),
        ),
        (status("FAILURE", ("NO_CONSENT", 3)), ({2}, "processing_failed", "NO_CONSENT")),
        (status("FAILED", ("INTERNAL_ERROR", 3)), ({3}, "processing_failed", "INTERNAL_ERROR")),
        (status("FAILED"), ({3}, "processing_failed", "")),
    ],
)
def test_each_status_becomes_outcomes(
    answered: Mapping[str, Any], expected: tuple[set[int], str, str] | None
) -> None:
    """Only who was counted without a fault is accepted; what failed by Google's own goes again."""
    found = outcomes(answered, 3)
    assert told(found) == expected
    assert found is None or (len(found) == 3 and found.codes.type == pa.uint8())


def test_every_status_of_the_client_is_known() -> None:
    """Five of them; a sixth would raise."""
    names = [s.name for s in RequestStatusPerDestination.RequestStatus]
    assert len(names) == 5
    for name in names:
        outcomes(status(name), 3)


@pytest.mark.parametrize(
    "answered",
    [
        status("DONE"),
        {"requestStatusPerDestination": "x"},
        {"requestStatusPerDestination": [{}, {}]},
        {"requestStatusPerDestination": ["x"]},
        status("FAILED", ("X", "many")),
    ],
)
def test_a_status_that_is_none_is_not_taken_for_one(answered: Mapping[str, Any]) -> None:
    """Nothing is concluded from an answer that Google does not document."""
    with pytest.raises(ContractError) as caught:
        outcomes(answered, 3)
    assert caught.value.code == "unknown_answer"


@given(st.integers(1, 50), st.integers(0, 60))
def test_counts_are_compared_with_what_was_sent(rows: int, counted: int) -> None:
    """Accepted means that Google counted as many as were sent."""
    found = outcomes(status("SUCCESS", held=str(counted)), rows)
    assert found is not None
    code = OutcomeCode.ACCEPTED if counted == rows else OutcomeCode.UNCONFIRMED
    assert found.count(code) == rows


def test_warnings_name_members_or_none() -> None:
    """Of a warning without a member's place nobody knows whom it is about."""
    one = {"field": AT.format(4), "reason": "WARNING_REASON_GENERIC", "description": FOREIGN_TEXT}
    assert warned_members({"fieldWarnings": [one, one]}) == ("GENERIC", (4,))
    assert warned_members({"fieldWarnings": [one, {"field": "consent"}]}) == ("GENERIC", None)
    assert warned_members({"fieldWarnings": [{}]}) == ("WARNING", None)
    assert warned_members({"fieldWarnings": []}) == ("", ())
    assert warned_members({}) == ("", ())
