"""From the stamp of a withdrawal to the destination's answer."""

from __future__ import annotations

import pyarrow as pa

from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import WithdrawalTimes
from mayfly.services.withdrawals import LATE_SECONDS, Withdrawals

DAY_US = 86_400_000_000


def times(*pairs: tuple[int, int]) -> WithdrawalTimes:
    """Position and stamp of each."""
    return WithdrawalTimes(
        positions=pa.array([p for p, _ in pairs], pa.int64()),
        at_us=pa.array([at for _, at in pairs], pa.int64()),
    )


def test_only_what_is_out_counts_as_answered() -> None:
    """Accepted and unconfirmed; a refused or deferred removal does not, nor one without a stamp."""
    codes = [OutcomeCode.ACCEPTED, OutcomeCode.REJECTED, OutcomeCode.UNCONFIRMED]
    outcomes = Outcomes(codes=pa.array([*map(int, codes), 3, 0], pa.uint8()))
    told = Withdrawals()
    told.answered(times((0, 0), (1, 0), (2, 4_000_000), (3, 0)), outcomes, now_ms=10_000)
    assert told.to_dict([], now_ms=10_000) == {
        "answered": 2,
        "waiting": 0,
        "late": 0,
        "p50": 6.0,
        "p95": 10.0,
        "max": 10.0,
    }


def test_past_a_day_it_is_late_answered_or_not() -> None:
    """To the second, and a stamp of the future took no time."""
    told = Withdrawals()
    told.answered(
        times((0, 0), (1, 1_000), (2, 9 * DAY_US)),
        Outcomes.all_of(OutcomeCode.ACCEPTED, 3),
        now_ms=int(LATE_SECONDS * 1_000) + 1,
    )
    waiting = [times((0, 0), (1, 2 * DAY_US))]
    found = told.to_dict(waiting, now_ms=2 * DAY_US // 1_000)
    assert (found["answered"], found["waiting"], found["late"]) == (3, 2, 2)
    assert found["p50"] == LATE_SECONDS
    assert sorted(told.seconds)[0] == 0.0


def test_nobody_withdrew() -> None:
    """Zeros."""
    assert set(Withdrawals().to_dict([], now_ms=0).values()) == {0}
