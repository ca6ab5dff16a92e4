"""What stays, or stayed, longer than its target, as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.ports.ledger import OpenBatch, OpenCopy
from mayfly.services.events import OverTarget

_ROWS = LIMITS[RetentionClass.CUSTOMER_DATA].target_seconds or 0
_COPY = LIMITS[RetentionClass.TEMPORARY].target_seconds or 0


def waiting_over_target(
    copies: Sequence[OpenCopy],
    batches: Sequence[OpenBatch],
    names: Mapping[str, str],
    now: datetime,
) -> list[OverTarget]:
    """The oldest of each run that waits too long.

    Args:
        copies: that wait, by the ledger's word.
        batches: that wait sealed, by its word.
        names: of syncs, by their ids.
        now: the time.
    """
    ages: dict[tuple[str, str, str, str], float] = {}
    for copy in copies:
        _note(ages, "copy", copy, (now - copy.created_at).total_seconds())
    for batch in batches:
        _note(ages, "sealed", batch, (now - batch.held_at).total_seconds())
    limits = {"copy": _COPY, "sealed": _ROWS}
    return [
        OverTarget(
            sync=names.get(sync, sync), target=target, run=run, what=what, seconds=round(age, 3)
        )
        for (sync, target, run, what), age in ages.items()
        if age > limits[what]
    ]


def _note(
    ages: dict[tuple[str, str, str, str], float],
    what: str,
    found: OpenCopy | OpenBatch,
    age: float,
) -> None:
    key = found.sync, found.target, found.run, what
    ages[key] = max(age, ages.get(key, 0.0))


def rows_over_target(sync: str, target: str, run: str, seconds: float) -> list[OverTarget]:
    """Of the oldest rows that a run purged."""
    if seconds <= _ROWS:
        return []
    return [OverTarget(sync=sync, target=target, run=run, what="rows", seconds=seconds)]
