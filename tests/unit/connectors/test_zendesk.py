"""Zendesk's answers, and rows as tools that keep people in clear take them. Pure."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from hubspot_world import Token, batch
from mayfly.connectors.crm_rows import crm_rows
from mayfly.connectors.destinations import zendesk_jobs as jobs
from mayfly.connectors.destinations.zendesk_api import ZendeskSettings, refusal, stubs
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.http import HttpReply

# Statuses that Zendesk's reference names for calls of users and jobs.
ANSWERS: list[tuple[int, object, type[EngineError], str]] = [
    (400, {"error": "BadRequest"}, ContractError, "unknown_answer"),
    (401, {"error": "Couldn't authenticate you"}, ConfigError, "reauthorise"),
    (403, {"error": {"title": "Forbidden"}}, ConfigError, "reauthorise"),
    (404, {"error": "RecordNotFound"}, ContractError, "not_found"),
    (409, {"error": "DatabaseConflict"}, TransientError, "destination_busy"),
    (413, {"error": "PayloadTooLarge"}, ContractError, "unknown_answer"),
    (422, {"error": "RecordInvalid"}, ContractError, "unknown_answer"),
    (429, {"error": "TooManyJobs"}, TransientError, "rate_limited"),
    (500, {}, TransientError, "destination_busy"),
    (502, "<html>", TransientError, "destination_busy"),
    (503, {"error": "ServiceUnavailable"}, TransientError, "destination_busy"),
    (504, {}, TransientError, "destination_busy"),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ANSWERS)
def test_what_a_status_means(status: int, body: object, kind: type[EngineError], code: str) -> None:
    """Each of 12; a pause that is asked for is kept, and no text of Zendesk's."""
    told = {**body, "description": "marked-7f3a"} if isinstance(body, dict) else body
    reply = HttpReply(status=status, headers={"retry-after": "7"}, body=orjson.dumps(told))
    error = refusal(reply)
    assert (type(error), error.code) == (kind, code)
    assert "marked" not in f"{error} {error.hint}"
    if status == 429:
        assert isinstance(error, TransientError)
        assert error.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    ("result", "writing", "leaving"),
    [
        ({"status": "Created", "id": 1}, OutcomeCode.ACCEPTED, OutcomeCode.ACCEPTED),
        ({"status": "Updated", "id": 1}, OutcomeCode.ACCEPTED, OutcomeCode.ACCEPTED),
        (
            {"status": "Failed", "details": "Name: is too short (minimum is 1 characters)"},
            OutcomeCode.REJECTED,
            OutcomeCode.ACCEPTED,
        ),
        (
            {"status": "Failed", "details": "Name: Email: a@b_ is not properly formatted"},
            OutcomeCode.REJECTED,
            OutcomeCode.REJECTED,
        ),
        ({"status": "Failed"}, OutcomeCode.REJECTED, OutcomeCode.REJECTED),
    ],
)
def test_what_a_result_means(
    result: dict[str, Any], writing: OutcomeCode, leaving: OutcomeCode
) -> None:
    """To who leaves it is no refusal that they are not there."""
    assert jobs.told(result, leaving=False)[0] == writing
    assert jobs.told(result, leaving=True)[0] == leaving


@pytest.mark.parametrize(
    "status",
    [
        {"status": "completed", "results": None},
        {"status": "completed", "results": [{"status": "Created"}]},
        {"status": "completed", "results": [{"status": "Created"}, 7]},
        {"status": "completed", "results": [{"index": 1}, {"index": 0}]},
    ],
)
def test_results_that_do_not_fit_are_refused(status: dict[str, Any]) -> None:
    """Of another number of rows, or another order."""
    with pytest.raises(ContractError, match="unknown_answer"):
        jobs.results(status, 2)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: jobs.told({"status": "Perhaps"}, leaving=False),
        lambda: jobs.is_waiting({"status": "perhaps"}),
        lambda: jobs.job_id({"job_status": {"id": "no id"}}),
        lambda: jobs.job_id({}),
        lambda: jobs.statuses({"job_statuses": {}}),
        lambda: jobs.user_id({"id": True}),
        lambda: jobs.user_id({}),
    ],
)
def test_an_unknown_answer_is_none(ask: Any) -> None:
    """It is an error, and no outcome."""
    with pytest.raises(ContractError, match="unknown_answer"):
        ask()


def test_a_receipt_survives_its_reference() -> None:
    """And what is none is refused."""
    receipt = jobs.Receipt(kind="leave", jobs=(("V3-0f", 100), ("V3-1e", 7)))
    assert jobs.Receipt.read(receipt.reference()) == receipt
    for text in ("write", "write:", "else:a=1", "write:a=b", "write:a=1:"):
        with pytest.raises(ContractError, match="bad_job_reference"):
            jobs.Receipt.read(text)


def test_a_whole_batch_of_jobs_fits_into_a_reference() -> None:
    """With the longest ids that are taken."""
    whole = jobs.Receipt(kind="write", jobs=(("x" * 48, 100),) * 3)
    assert len(whole.reference()) <= 200


def test_stubs_hold_the_key_alone() -> None:
    """Any text of it."""
    assert orjson.loads(stubs("email", ['a"\n'])) == [{"email": 'a"\n'}]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"subdomain": "a.b", "access_token": Token()}, "bad_subdomain"),
        ({"subdomain": "shop", "api_token": Token()}, "bad_api_user"),
        ({"subdomain": "shop"}, "bad_api_user"),
        (
            {"subdomain": "shop", "access_token": Token(), "endpoint": "https://else.example"},
            "bad_endpoint",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], code: str) -> None:
    """A host of its own is all that is called."""
    with pytest.raises(ConfigError, match=code):
        ZendeskSettings(**settings)


def test_rows_without_their_key_are_refused_as_a_whole() -> None:
    """A batch that lacks the column is no batch for this mapping."""
    one = batch({"name": pa.array(["x"])})
    with pytest.raises(IntegrityError, match="no_key"):
        crm_rows(one, "email")


def test_rows_that_cannot_be_sent_are_told() -> None:
    """The first of two with one key goes, unless it cannot."""
    rows = {
        "email": pa.array(["a", "A ", "b", "B", None]),
        "score": pa.array([1.0, 2.0, float("nan"), 4.0, None]),
    }
    found = crm_rows(batch(rows), "email")
    assert found.sent == [0, 3]
    assert {n: r.code for n, r in found.unsent.items()} == {
        1: "duplicate_key",
        2: "not_a_number",
        4: "no_key",
    }
