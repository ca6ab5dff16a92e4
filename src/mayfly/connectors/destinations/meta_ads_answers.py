"""Meta's counts of people as outcomes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mayfly.connectors.http_replies import whole_number
from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason


def received(reply: Mapping[str, Any]) -> int:
    """`num_received` of an answer about people. Raises ContractError where it has none."""
    return whole_number(reply, "num_received", "Meta")


def codes(reply: Mapping[str, Any], rows: int) -> Outcomes:
    """Meta's counts as outcomes, one per row sent. Pure.

    Rows named by position are rejected. Where more are counted than named, no other row is
    proved, and all others are unconfirmed.

    Raises:
        ContractError: `unknown_answer`.
    """
    invalid = whole_number(reply, "num_invalid_entries", "Meta")
    if received(reply) != rows or invalid > rows:
        raise ContractError("unknown_answer", "Meta's counts do not fit the rows that were sent.")
    named = _positions(reply.get("invalid_entry_samples"), rows)
    rest = OutcomeCode.UNCONFIRMED if invalid > len(named) else OutcomeCode.ACCEPTED
    counted = Reason(code="invalid_count_only") if rest is OutcomeCode.UNCONFIRMED else None
    others = Outcomes.all_of(rest, rows, counted)
    entry = Reason(code="invalid_entry")
    rejected = Outcomes.all_of(OutcomeCode.REJECTED, len(named), entry)
    return others.replaced(named, rejected) if named else others


def _positions(samples: object, rows: int) -> list[int]:
    """Positions of named rows; keys that are none are left out, so that they prove nothing."""
    if not isinstance(samples, dict):
        return []
    keys = (key for key in samples if re.fullmatch(r"[0-9]{1,6}", str(key)))
    return sorted({int(key) for key in keys if int(key) < rows})
