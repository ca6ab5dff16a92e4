"""How long it takes from a withdrawal's stamp to the destination's answer. Numbers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import WithdrawalTimes

LATE_SECONDS = 24 * 3600.0
"""A withdrawal that takes longer is told of."""


@dataclass(kw_only=True)
class Withdrawals:
    """Those of one run whose time is known, as they are answered."""

    seconds: list[float] = field(default_factory=list)

    def answered(self, times: WithdrawalTimes, outcomes: Outcomes, *, now_ms: int) -> None:
        """Take those of one batch that the destination has taken out.

        Args:
            times: of the batch.
            outcomes: over the planned batch.
            now_ms: when the answer came, milliseconds since 1970.
        """
        taken = pa.array([int(OutcomeCode.ACCEPTED), int(OutcomeCode.UNCONFIRMED)], pa.uint8())
        accepted = pc.is_in(outcomes.codes.take(times.positions), value_set=taken)
        self.seconds += _waited(times.at_us.filter(accepted), now_ms)

    def to_dict(self, waiting: Iterable[WithdrawalTimes], *, now_ms: int) -> dict[str, object]:
        """Counts and durations, as `mayfly run` prints them.

        Args:
            waiting: of batches that were not answered.
            now_ms: the end of the run.
        """
        left = [s for times in waiting for s in _waited(times.at_us, now_ms)]
        late = sum(s > LATE_SECONDS for s in (*self.seconds, *left))
        spread = spread_of([(s, 1) for s in self.seconds])
        return {"answered": len(self.seconds), "waiting": len(left), "late": late, **spread}


def spread_of(ages: Sequence[tuple[float, int]]) -> dict[str, float]:
    """p50, p95 and the most of seconds, each with the rows that took them."""
    if not ages:
        return {"p50": 0.0, "p95": 0.0, "max": 0.0}
    ordered = sorted(ages)
    total = sum(rows for _, rows in ordered)

    def at(share: float) -> float:
        seen = 0
        for seconds, rows in ordered:
            seen += rows
            if seen >= share * total:
                return round(seconds, 3)
        return round(ordered[-1][0], 3)

    return {"p50": at(0.5), "p95": at(0.95), "max": round(ordered[-1][0], 3)}


def _waited(at_us: pa.Array, now_ms: int) -> list[float]:
    return [max(0.0, now_ms / 1_000 - us / 1_000_000) for us in at_us.to_pylist()]
