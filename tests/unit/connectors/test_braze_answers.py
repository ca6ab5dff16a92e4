"""What Braze answers: each status it documents, counts, and answers that do not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_world import KEY, batch
from mayfly.connectors.destinations.braze import CONNECTOR
from mayfly.connectors.destinations.braze_answers import (
    answer,
    profiles,
    require_deleted,
    tracked,
)
from mayfly.connectors.destinations.braze_requests import People, track_body
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import HostsRequest
from mayfly.ports.http import HttpReply
from scripted_http import Token

ROWS = (7, 8, 9)


def reply(status: int, body: object = None, **headers: str) -> HttpReply:
    """Of Braze."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if body is None else orjson.dumps(body)
    return HttpReply(status=status, headers=named, body=content)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, {"message": "marked"}, RequestRefusedError, "braze_refused"),
        (201, {}, RequestRefusedError, "braze_refused"),
        (201, None, TransientError, "garbage_answer"),
        (302, None, ContractError, "redirected"),
        (400, {"message": "marked"}, RequestRefusedError, "braze_400"),
        (400, None, ContractError, "garbage_answer"),
        (401, {"message": "marked"}, ConfigError, "reauthorise"),
        (403, {"message": "marked"}, ConfigError, "reauthorise"),
        (404, {"message": "marked"}, ContractError, "not_found"),
        (413, None, RequestRefusedError, "braze_413"),
        (429, {"message": "marked"}, TransientError, "rate_limited"),
        (500, None, TransientError, "destination_busy"),
        (502, None, TransientError, "destination_busy"),
        (503, None, TransientError, "destination_busy"),
        (504, None, TransientError, "destination_busy"),
    ],
)
def test_each_status_says_what_to_do(
    status: int, body: object, kind: type[EngineError], code: str
) -> None:
    """By its code; nothing of the text gets further."""
    with pytest.raises(EngineError) as caught:
        answer(reply(status, body), now=0.0)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert "marked" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("message", ["success", "queued"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_what_is_queued_is_taken(status: int, message: str) -> None:
    """With any status that says so."""
    assert answer(reply(status, {"message": message}), now=0.0) == {"message": message}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_ratelimit_reset": "1007"}, 7.0),
        ({"x_ratelimit_reset": "1000.5"}, 1.0),
        ({"x_ratelimit_reset": "999999"}, 3600.0),
        ({"x_ratelimit_reset": "soon"}, 3.0),
        ({"retry_after": "9", "x_ratelimit_reset": "1007"}, 9.0),
        ({}, 3.0),
    ],
)
def test_a_limit_is_waited_for(headers: dict[str, str], seconds: float) -> None:
    """Until the moment that Braze names, within bounds."""
    with pytest.raises(TransientError) as caught:
        answer(reply(429, {}, **headers), now=1000.0)
    assert caught.value.retry_after_seconds == seconds


def error(index: object, array: str = "attributes") -> dict[str, object]:
    """Of one object."""
    return {"type": "marked", "input_array": array, "index": index}


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"attributes_processed": 3}, {}),
        ({"attributes_processed": 2, "errors": [error(1)]}, {8: "row_refused"}),
        ({"errors": [error(0), error(1), error(2)]}, dict.fromkeys(ROWS, "row_refused")),
        ({"attributes_processed": 2}, dict.fromkeys(ROWS, "counts_differ")),
        (
            {"attributes_processed": 3, "errors": [error(0)]},
            {7: "row_refused", 8: "counts_differ", 9: "counts_differ"},
        ),
        ({"attributes_processed": 2, "errors": ["marked"]}, dict.fromkeys(ROWS, "error_not_named")),
        (
            {"attributes_processed": 1, "errors": [error(2), error(0, "events")]},
            {9: "row_refused", 7: "error_not_named", 8: "error_not_named"},
        ),
        (
            {"attributes_processed": 2, "errors": [error(True)]},
            dict.fromkeys(ROWS, "error_not_named"),
        ),
    ],
)
def test_counts_are_held_against_what_was_sent(
    body: Mapping[str, Any], codes: Mapping[int, str]
) -> None:
    """Who is named is refused; where that is not all, nobody else is sure."""
    told = tracked(body, ROWS)
    assert {row: why.code for row, (_, why) in told.items() if why} == codes
    for code, why in told.values():
        assert why is not None
        assert (code is OutcomeCode.REJECTED) == (why.code == "row_refused")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"attributes_processed": 4},
        {"attributes_processed": "3"},
        {"attributes_processed": 2, "errors": {"a": 1}},
        {"attributes_processed": 2, "errors": [error(3)]},
        {"attributes_processed": 2, "errors": [error(-1)]},
        {"attributes_processed": 2, "errors": [1]},
    ],
)
def test_an_answer_that_does_not_fit_is_none(body: Mapping[str, Any]) -> None:
    """It is no outcome."""
    with pytest.raises(ContractError):
        tracked(body, ROWS)


def test_other_answers_that_do_not_fit_are_none() -> None:
    """Of an export and of a deletion."""
    for body in ({}, {"users": {}}, {"users": ["a"]}):
        with pytest.raises(ContractError):
            profiles(body)
    require_deleted({"deleted": 0}, 1)
    for wrong in ({}, {"deleted": 2}, {"deleted": -1}, {"deleted": True}):
        with pytest.raises(ContractError):
            require_deleted(wrong, 1)


@given(st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=5))
def test_no_text_is_more_than_a_value(texts: list[str | None]) -> None:
    """Whatever stands in it, JSON is read as what was written."""
    ids = pa.array([f"u{n}" for n in range(len(texts))])
    rows = People(batch({KEY: ids, "note": pa.array(texts, pa.string())}))
    read = json.loads(track_body(rows.objects(), range(len(texts))))
    assert read == {"attributes": [{KEY: f"u{n}", "note": text} for n, text in enumerate(texts)]}


def test_a_batch_without_its_key_is_refused() -> None:
    """Nobody could be written by it."""
    with pytest.raises(IntegrityError):
        People(batch({"email": pa.array(["a@example.com"])}))


@pytest.mark.parametrize(
    ("cluster", "host"),
    [("fra-01", "rest.fra-01.braze.eu"), ("us-10", "rest.us-10.braze.com")],
)
def test_only_the_cluster_is_called(cluster: str, host: str) -> None:
    """Those in the EU under their own name."""
    settings = DestinationSettings(name="e", type="braze", options={"cluster": cluster})
    assert CONNECTOR.hosts is not None
    assert CONNECTOR.hosts(HostsRequest(settings=settings, reveal=lambda _: Token())) == {host}
    assert host in CONNECTOR.spec.hosts
