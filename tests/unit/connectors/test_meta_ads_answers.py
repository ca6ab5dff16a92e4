"""What Meta answers: each documented error as ours, and its counts as outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.meta_ads_answers import codes
from mayfly.connectors.meta_graph import LONG_PAUSE_SECONDS, answer
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.http import HttpReply

FOREIGN_TEXT = "the address person1@example.com is not welcome"


def ok(body: Any, status: int = 200, **headers: str) -> HttpReply:
    """A reply with a JSON body."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=names, body=orjson.dumps(body))


def refusal(code: int, status: int = 400, subcode: int | None = None, **more: Any) -> HttpReply:
    """A reply with Meta's error envelope, foreign text included."""
    error = {"message": FOREIGN_TEXT, "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        error["error_subcode"] = subcode
    return ok({"error": {**error, "error_user_msg": FOREIGN_TEXT}}, status)


@given(st.integers(1, 20), st.sets(st.integers(0, 19)), st.integers(0, 3))
def test_counts_become_one_code_per_row(rows: int, named: set[int], unnamed: int) -> None:
    """Named rows are rejected; the rest is accepted only where every invalid row was named."""
    inside = {n for n in named if n < rows}
    invalid = min(rows, len(inside) + unnamed)
    reply = {
        "num_received": rows,
        "num_invalid_entries": invalid,
        "invalid_entry_samples": {str(n): FOREIGN_TEXT for n in inside},
    }
    found = codes(reply, rows)
    rest = OutcomeCode.UNCONFIRMED if invalid > len(inside) else OutcomeCode.ACCEPTED
    expected = [OutcomeCode.REJECTED if n in inside else rest for n in range(rows)]
    assert found.codes.to_pylist() == [int(code) for code in expected]
    assert found.codes.type == pa.uint8()
    assert set(found.reasons) == set(found.not_accepted())
    assert {r.code for r in found.reasons.values()} <= {"invalid_entry", "invalid_count_only"}


@pytest.mark.parametrize("samples", [[], None, {"x": 1}, {"5": 1}, "text", {"-1": 1}])
def test_samples_that_name_no_row_prove_nothing(samples: object) -> None:
    """Samples without a usable position leave all rows unconfirmed."""
    reply = {"num_received": 2, "num_invalid_entries": 1, "invalid_entry_samples": samples}
    assert codes(reply, 2).codes.to_pylist() == [1, 1]


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"num_received": "2", "num_invalid_entries": 0},
        {"num_received": True, "num_invalid_entries": 0},
        {"num_received": 2},
        {"num_received": 3, "num_invalid_entries": 0},
        {"num_received": 2, "num_invalid_entries": 3},
        {"num_received": 2, "num_invalid_entries": -1},
    ],
)
def test_counts_that_cannot_be_are_refused(reply: Mapping[str, Any]) -> None:
    """A missing or impossible count is a broken contract, not a success."""
    with pytest.raises(ContractError) as raised:
        codes(reply, 2)
    assert raised.value.code == "unknown_answer"


USAGE = orjson.dumps(
    {
        "77": [
            {"type": "custom_audience", "estimated_time_to_regain_access": 3},
            {"type": "ads_management", "estimated_time_to_regain_access": 0},
        ]
    }
).decode()

DOCUMENTED: list[tuple[HttpReply, type[EngineError], str]] = [
    *((refusal(c), TransientError, "destination_busy") for c in (1, 2)),
    *((refusal(c), TransientError, "rate_limited") for c in (4, 17, 32, 613, 80003, 341, 368)),
    (refusal(99999, is_transient=True), TransientError, "destination_busy"),
    (refusal(100, is_transient=True), TransientError, "destination_busy"),
    (refusal(100), ContractError, "meta_100"),
    (refusal(100, subcode=33), ContractError, "meta_100_33"),
    (refusal(100, subcode=1713230), ContractError, "audience_blocked"),
    (refusal(100, subcode=1713230, is_transient=True), ContractError, "audience_blocked"),
    *(
        (refusal(c, 403), ContractError, f"meta_{c}")
        for c in (3, 10, 105, 200, 294, 2650, 2655, 1487301, 1487366)
    ),
    (refusal(190, 401), ConfigError, "reauthorise"),
    (refusal(190, 400, subcode=463), ConfigError, "reauthorise"),
    (refusal(190, 200, subcode=460), ConfigError, "reauthorise"),
    (refusal(99999), ContractError, "unknown_answer"),
    (refusal(99999, 503), TransientError, "destination_busy"),
    (ok({}, 503), TransientError, "destination_busy"),
    (ok({}, 429), TransientError, "rate_limited"),
    (ok({}, 401), ConfigError, "reauthorise"),
    (ok({}, 404), ContractError, "unknown_answer"),
    (ok({}, 302), ContractError, "redirected"),
    (ok([1]), TransientError, "garbage_answer"),
    (HttpReply(status=200, headers={}, body=b"<html>"), TransientError, "garbage_answer"),
    (HttpReply(status=200, headers={}, body=b""), TransientError, "garbage_answer"),
    (HttpReply(status=400, headers={}, body=b"<html>"), ContractError, "garbage_answer"),
    (HttpReply(status=502, headers={}, body=b"<html>"), TransientError, "destination_busy"),
    (ok({"error": {"code": "190"}}, 400), ContractError, "unknown_answer"),
    (ok({"error": {"code": None}}, 500), TransientError, "destination_busy"),
]


@pytest.mark.parametrize(("reply", "kind", "code"), DOCUMENTED)
def test_each_documented_answer_says_what_to_do(
    reply: HttpReply, kind: type[EngineError], code: str
) -> None:
    """Every class of the sheet has its error and code, and Meta's own text is nowhere in it."""
    with pytest.raises(EngineError) as raised:
        answer(reply)
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert "person1" not in f"{raised.value} {raised.value.hint}"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (refusal(80003), None),
        (refusal(368), LONG_PAUSE_SECONDS),
        (ok({"error": {"code": 368}}, 400, retry_after="900"), 900.0),
        (ok({}, 429, retry_after="17"), 17.0),
        (ok({}, 503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (ok({}, 429, x_business_use_case_usage=USAGE), 180.0),
        (ok({}, 429, x_business_use_case_usage=USAGE, retry_after="7"), 7.0),
        (ok({}, 429, x_business_use_case_usage="{not json"), None),
        (ok({}, 429, x_business_use_case_usage='{"1": [7], "2": 3}'), None),
    ],
)
def test_the_pause_is_the_one_that_meta_names(reply: HttpReply, seconds: float | None) -> None:
    """`Retry-After` comes before the minutes of the business use case; nonsense is not read."""
    with pytest.raises(TransientError) as raised:
        answer(reply)
    assert raised.value.retry_after_seconds == seconds
