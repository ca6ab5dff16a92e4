"""Batches that a destination works off later: when it is asked, and which rows are in the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When a destination is asked for a status: not at once, and ever more seldom.

    Args:
        first_seconds: after the request was taken.
        least_seconds: between two questions, at least.
        share: of the time since it was taken, that is waited until the next.
        most_seconds: between two questions, at most.
    """

    first_seconds: float
    least_seconds: float
    share: float = 0.25
    most_seconds: float = 1_800.0

    def next_at(self, taken_at: float, asked_at: float | None) -> float:
        """Seconds since 1970 from which on it may be asked; `asked_at` is when it last was."""
        if asked_at is None:
            return taken_at + self.first_seconds
        waited = (asked_at - taken_at) * self.share
        return asked_at + min(max(self.least_seconds, waited), self.most_seconds)


AT_ONCE = Pace(first_seconds=0.0, least_seconds=0.0, share=0.0)
"""For the sandbox, which has nothing to work on."""


def refused_rows(reasons: Mapping[int, Reason], rows: int) -> Outcomes:
    """Outcomes of a batch of which some rows are not in its job."""
    codes = [int(OutcomeCode.ACCEPTED)] * rows
    for row in reasons:
        codes[row] = int(OutcomeCode.REJECTED)
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=dict(reasons))
