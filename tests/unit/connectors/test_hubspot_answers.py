"""What HubSpot answers: each status it documents, and answers that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from mayfly.connectors.destinations.hubspot_answers import (
    answer,
    fault,
    found,
    missing_members,
    upserted,
)
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.http import HttpReply

KEYS = {7: "a@example.com", 8: "b@example.com", 9: "c@example.com"}


def reply(status: int, body: object = None, **headers: str) -> HttpReply:
    """Of HubSpot."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if body is None else orjson.dumps(body)
    return HttpReply(status=status, headers=named, body=content)


def error(category: str, **more: object) -> dict[str, object]:
    """HubSpot's envelope."""
    return {"status": "error", "message": "marked", "category": category, **more}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, error("VALIDATION_ERROR"), RequestRefusedError, "hubspot_validation_error"),
        (400, error("MADE_UP"), RequestRefusedError, "hubspot_400"),
        (400, None, ContractError, "garbage_answer"),
        (401, error("EXPIRED_AUTHENTICATION"), ConfigError, "reauthorise"),
        (403, error("MISSING_SCOPES"), ConfigError, "missing_scopes"),
        (403, error("BANNED"), ConfigError, "reauthorise"),
        (404, error("OBJECT_NOT_FOUND"), ContractError, "not_found"),
        (409, error("CONFLICT"), RequestRefusedError, "hubspot_conflict"),
        (413, error("VALIDATION_ERROR"), RequestRefusedError, "hubspot_validation_error"),
        (414, error("VALIDATION_ERROR"), ContractError, "unknown_answer"),
        (423, error("LOCKED"), TransientError, "destination_busy"),
        (429, error("RATE_LIMITS"), TransientError, "rate_limited"),
        (477, None, TransientError, "destination_busy"),
        (500, None, TransientError, "destination_busy"),
        (502, None, TransientError, "destination_busy"),
        (503, error("INTERNAL_ERROR"), TransientError, "destination_busy"),
        (504, None, TransientError, "destination_busy"),
        (521, None, TransientError, "destination_busy"),
        (524, None, TransientError, "destination_busy"),
        (302, None, ContractError, "redirected"),
        (200, None, TransientError, "garbage_answer"),
    ],
)
def test_each_status_says_what_to_do(
    status: int, body: object, kind: type[EngineError], code: str
) -> None:
    """And repeats nothing of HubSpot's text."""
    with pytest.raises(EngineError) as caught:
        answer(reply(status, body))
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in str(caught.value) + caught.value.hint


def test_an_empty_answer_is_one() -> None:
    """204 has no body."""
    assert answer(reply(204)) == {}


def test_missing_scopes_are_named_where_they_are_scopes() -> None:
    """Other texts are not repeated."""
    context = {"requiredGranularScopes": ["crm.lists.write", "Some Person", "a@example.com"]}
    with pytest.raises(ConfigError) as caught:
        answer(reply(403, error("MISSING_SCOPES", errors=[{"message": "x", "context": context}])))
    assert "crm.lists.write" in caught.value.hint
    assert "erson" not in caught.value.hint


@pytest.mark.parametrize(
    ("policy", "headers", "zone", "seconds"),
    [
        ("TEN_SECONDLY_ROLLING", {"retry_after": "4"}, "", 4.0),
        (
            "TEN_SECONDLY_ROLLING",
            {"x_hubspot_ratelimit_interval_milliseconds": "20000"},
            "",
            20.0,
        ),
        ("TEN_SECONDLY_ROLLING", {}, "", 10.0),
        ("SECONDLY", {}, "", 1.0),
        ("DAILY", {"date": "Sun, 29 Nov 2026 22:30:00 GMT"}, "Europe/Paris", 1800.0),
        ("DAILY", {"date": "Sun, 29 Nov 2026 22:30:00 GMT"}, "UTC", 5400.0),
        ("DAILY", {"date": "yesterday"}, "UTC", 3600.0),
        ("DAILY", {"date": "Sun, 29 Nov 2026 22:30:00 GMT"}, "Nowhere/At_All", 3600.0),
    ],
)
def test_a_limit_says_how_long_it_lasts(
    policy: str, headers: Mapping[str, str], zone: str, seconds: float
) -> None:
    """By a header, else by what it is counted by; a day ends where the account is."""
    with pytest.raises(TransientError) as caught:
        answer(reply(429, error("RATE_LIMITS", policyName=policy), **headers), zone=zone)
    assert caught.value.retry_after_seconds == seconds


def result(record: str, trace: str | None = None) -> dict[str, Any]:
    """One of an upsert."""
    return {"id": record, "properties": {}, **({"objectWriteTraceId": trace} if trace else {})}


def batch(results: list[Any], *errors: Any, **more: Any) -> dict[str, Any]:
    """An answer to several inputs."""
    counted = {"numErrors": len(errors), "errors": list(errors)} if errors else {}
    return {"status": "COMPLETE", "results": results, **counted, **more}


def wrong(**context: list[str]) -> dict[str, Any]:
    """One error of a batch."""
    return {"status": "error", "category": "VALIDATION_ERROR", "message": "x", "context": context}


def test_rows_are_told_by_their_trace_ids_in_any_order() -> None:
    """Of results and errors."""
    told = upserted(
        batch([result("2", "9"), result("1", "7")], wrong(objectWriteTraceId=["8"])), KEYS, ()
    )
    assert told.ids == {7: "1", 9: "2"}
    assert {n: int(code) for n, (code, _) in told.told.items()} == {8: OutcomeCode.REJECTED}


def test_an_error_may_name_rows_by_what_they_are_called() -> None:
    """Without regard to case; several by one error."""
    told = upserted(
        batch([result("1", "7")], wrong(ids=["B@EXAMPLE.com", "c@example.com"])), KEYS, ()
    )
    assert set(told.told) == {8, 9}


def test_results_without_trace_ids_are_counted() -> None:
    """As many as rows: all are there. With an error beside them nobody knows which are not."""
    whole = upserted(batch([result("1"), result("2"), result("3")]), KEYS, ())
    assert (whole.told, whole.loose) == ({}, ("1", "2", "3"))
    part = upserted(batch([result("1"), result("2")], wrong()), KEYS, ())
    assert {int(code) for code, _ in part.told.values()} == {OutcomeCode.UNCONFIRMED}
    assert set(part.told) == set(KEYS)


def test_an_error_that_names_nobody_is_of_who_has_no_result() -> None:
    """Where results have trace ids."""
    told = upserted(batch([result("1", "7"), result("2", "8")], wrong()), KEYS, ())
    assert {n: int(code) for n, (code, _) in told.told.items()} == {9: OutcomeCode.REJECTED}


@pytest.mark.parametrize(
    "body",
    [
        {"status": "COMPLETE", "results": {}},
        {"results": []},
        {"status": "DONE", "results": []},
        batch([result("1", "7")]),
        batch([result("1", "7"), result("1", "7"), result("2", "8")]),
        batch([result("1", "7"), result("2", "8"), result("3", "99")]),
        batch([result("1", "7"), result("2", "8"), result("3", "9"), result("4")]),
        batch([result("1", "7"), result("2", "8"), result("3", "9")], wrong()),
        batch([result("1", "7"), result("2", "8")], wrong(objectWriteTraceId=["7"])),
        batch([result("1", "7"), result("2", "8"), {"id": "x", "objectWriteTraceId": "9"}]),
        batch([result("1", "7"), result("2", "8"), {"objectWriteTraceId": "9"}]),
        batch([result("1", "7"), result("2", "8"), {"id": "3", "objectWriteTraceId": ["9"]}]),
        batch([result("1", "7"), result("2", "8"), result("3", "9")], numErrors=1),
        batch([result("1", "7"), result("2", "8")], wrong(objectWriteTraceId=["99"])),
        batch(["x"]),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(body: dict[str, Any]) -> None:
    """Fifteen ways: nothing is taken for delivered."""
    with pytest.raises(ContractError) as caught:
        upserted(body, KEYS, ())
    assert caught.value.code == "unknown_answer"


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "CANCELED"])
def test_what_was_not_finished_is_asked_again(status: str) -> None:
    """A repeat is harmless."""
    with pytest.raises(TransientError):
        upserted({"status": status, "results": []}, KEYS, ())


def low(text: str) -> str:
    """Without regard to case."""
    return text.lower()


def test_records_are_found_by_their_key_or_not_there() -> None:
    """By the property, in its own spelling; by a second address they are counted."""
    body = batch(
        [{"id": "1", "properties": {"email": "A@example.com"}}],
        {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["b@example.com"]}},
    )
    there = found(body, {7: KEYS[7], 8: KEYS[8]}, "email", low)
    assert (there.ids, there.told) == ({7: "1"}, {})
    other = batch([{"id": "5", "properties": {"email": "main@example.com"}}])
    assert found(other, {7: KEYS[7]}, "email", low).loose == ("5",)


def test_who_was_not_answered_for_is_not_taken_for_gone() -> None:
    """Nor is an error of another kind."""
    there = found(batch([]), {7: KEYS[7]}, "email", low)
    assert there.told[7][0] is OutcomeCode.DEFERRED
    with pytest.raises(ContractError):
        found(batch([], wrong(ids=[KEYS[7]])), {7: KEYS[7]}, "email", low)


def test_members_that_are_missing_are_told() -> None:
    """And an answer without the count is none."""
    body = {"recordsIdsAdded": ["1"], "recordIdsRemoved": [], "recordIdsMissing": ["2"]}
    assert missing_members(body) == {"2"}
    with pytest.raises(ContractError):
        missing_members({"recordsIdsAdded": []})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"errors": [{"code": "INVALID_EMAIL", "context": {"propertyName": ["email"]}}]},
         "INVALID_EMAIL.email"),
        ({"errors": [{"code": "INVALID_EMAIL", "context": {"propertyName": ["jane"]}}]},
         "INVALID_EMAIL"),
        ({"errors": [{"code": "JANE"}]}, ""),
        ({"message": 'were not valid: [{"error":"INVALID_OPTION","name":"email"}]'},
         "INVALID_OPTION.email"),
        ({"message": 'were not valid: [{"error":"JANE","name":"email"}]'}, ""),
        ({"message": "were not valid: [not json]", "category": "VALIDATION_ERROR"},
         "VALIDATION_ERROR"),
        ({"category": "jane@example.com"}, ""),
    ],
)  # fmt: skip
def test_only_known_codes_and_mapped_names_are_repeated(given: dict[str, Any], code: str) -> None:
    """Anything else may be a value."""
    assert fault(given, ("email",)) == code
