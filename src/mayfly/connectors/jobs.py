"""Batches that a destination works off later: when it is asked, and which rows are in the job."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Done, JobRef, Pending, Submitted
from mayfly.privacy.gate import ProtectedBatch


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


class Questions:
    """Asks for the status of jobs, of none before it is time to.

    When a job was last asked for is known to this process alone: after a restart it is asked for
    by when it was taken, which its reference tells.

    Args:
        pace: of the destination.
        now: seconds since 1970.
    """

    def __init__(self, pace: Pace, now: Callable[[], float] = time.time) -> None:
        self._pace = pace
        self._now = now
        self._asked_at: dict[str, float] = {}

    async def poll(
        self, job: JobRef, taken_at: float, status: Callable[[], Awaitable[Outcomes | None]]
    ) -> Done | Pending:
        """See `Destination.poll`.

        Args:
            job: that is asked for.
            taken_at: seconds since 1970.
            status: asks; None while the destination is at work.

        Raises:
            EngineError: as `status`.
        """
        at = self._pace.next_at(taken_at, self._asked_at.get(job.reference))
        if self._now() >= at:
            found = await status()
            if found is not None:
                self._asked_at.pop(job.reference, None)
                return Done(outcomes=found)
            self._asked_at[job.reference] = self._now()
            at = self._pace.next_at(taken_at, self._asked_at[job.reference])
        return Pending(retry_after_seconds=max(at - self._now(), 1.0))


def submitted(
    batch: ProtectedBatch, reference: str, refused: Mapping[int, Reason], *, rows: int
) -> Submitted:
    """A batch that is a job now.

    Args:
        batch: that was sent.
        reference: of the job.
        refused: rows that are not in it, by number.
        rows: how many are.
    """
    job = JobRef(batch=batch.head.number, rows=rows, reference=reference)
    return Submitted(job=job, known=refused_rows(refused, len(batch)) if refused else None)


def no_such_job(vendor: str, job: JobRef) -> ContractError:
    """What is said of a job by a connector whose destination answers at once.

    Args:
        vendor: for the message.
        job: that was asked for.
    """
    return ContractError("no_such_job", f"{vendor} has no job for batch {job.batch}.")


def refused_rows(reasons: Mapping[int, Reason], rows: int) -> Outcomes:
    """Outcomes of a batch of which some rows are not in its job."""
    codes = [int(OutcomeCode.ACCEPTED)] * rows
    for row in reasons:
        codes[row] = int(OutcomeCode.REJECTED)
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=dict(reasons))


def lost_rows(rows: int) -> Outcomes:
    """Outcomes of a job that the destination knows nothing of any more: its rows go again."""
    return Outcomes.all_of(OutcomeCode.DEFERRED, rows, Reason(code="job_lost"))


def worked_off(rows: int, *, all_counted: bool, is_late: bool = False) -> Outcomes:
    """Outcomes of a job of a destination that counts what it took, and names nobody.

    Args:
        rows: of the job.
        all_counted: whether it counted as many as were sent; else who is there is not known.
        is_late: whether it never said that it has worked them off, and nobody waits any more.
    """
    if is_late:
        return Outcomes.all_of(OutcomeCode.UNCONFIRMED, rows, Reason(code="processing_unknown"))
    if not all_counted:
        return Outcomes.all_of(OutcomeCode.UNCONFIRMED, rows, Reason(code="invalid_count_only"))
    return Outcomes.all_of(OutcomeCode.ACCEPTED, rows)
