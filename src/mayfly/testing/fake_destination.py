"""A destination in memory, synchronous or asynchronous, that fails as planned.

Deterministic: it draws nothing at random, reads no clock and never sleeps. `FakeWorld` is what
survives a crash of the worker; a `FakeDestination` is one worker's connection to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ContractError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.checks import require_protected
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    FieldSpec,
    JobRef,
    Pending,
    Processor,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.privacy.gate import Form, ProtectedBatch

IDENTIFIERS = ("EMAIL", "PHONE", "MADID", "EXTERN_ID")
Row = Mapping[str, Any]


def fake_spec(*, batch_marker: bool = False, rows_max: int = 1_000) -> DestinationSpec:
    """The specification of the fake: every mode, four identifier fields and a name."""
    return DestinationSpec(
        name="fake",
        modes=frozenset(SyncMode),
        fields=(
            *(
                FieldSpec(name=name, kind=kind, form=form, rule=rule, identifier=True)
                for name, kind, form, rule in (
                    ("EMAIL", "email", Form.DIGEST, ("meta", "email")),
                    ("PHONE", "phone", Form.DIGEST, ("meta", "phone")),
                    ("MADID", "device_id", Form.CLEAR, ("meta", "madid")),
                    ("EXTERN_ID", "opaque_id", Form.PSEUDONYM, None),
                )
            ),
            FieldSpec(name="FN", kind="first_name", form=Form.DIGEST, rule=("meta", "first_name")),
        ),
        request=RequestLimits(rows_max=rows_max, bytes_max=16_000_000),
        hosts=frozenset(),
        processor=Processor(legal_name="Nobody", countries=frozenset({"IE"})),
        erasure=Erasure.BY_IDENTIFIER,
        batch_marker=batch_marker,
    )


@dataclass
class _Job:
    """A submitted batch; its rows are applied when the world gets to it."""

    head: BatchHead
    rows: list[Row]
    polls_left: int
    lost: bool
    key: tuple[str, ...]
    marker: bool
    outcomes: Outcomes | None = None


@dataclass
class FakeWorld:
    """What is in the destination, and what will go wrong next.

    Attributes:
        members: identifier field to the values in the audience (digests as lower-case hex).
        rows: key to row, of `write` and of removals by key.
        inserted: rows of `insert`, in order, repeats included.
        requests: (operation, rows) of every request that was applied or refused row by row.
        touched: number of calls of any kind that reached the destination.
    """

    members: dict[str, set[str]] = field(default_factory=dict)
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    inserted: list[Row] = field(default_factory=list)
    requests: list[tuple[Operation, int]] = field(default_factory=list)
    touched: int = 0
    _markers: dict[tuple[str, int], Outcomes] = field(default_factory=dict)
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _away: int = 0
    _before: list[int] = field(default_factory=list)
    _after: list[int] = field(default_factory=list)
    _rejected_values: set[str] = field(default_factory=set)
    _refused_early: set[str] = field(default_factory=set)
    _rejected_rows: dict[int, set[int]] = field(default_factory=dict)
    _lose: int = 0
    _deferred: dict[str, int] = field(default_factory=dict)
    retry_after_seconds: float | None = None

    def be_away(self, calls: int) -> None:
        """Refuse the next calls of any kind, so many."""
        self._away += calls

    def be_back(self) -> None:
        """Answer again; faults that were not due yet never come."""
        self._away = 0
        self._before.clear()
        self._after.clear()
        self._deferred.clear()

    def fail_before(self, *, skip: int = 0) -> None:
        """Cut the connection of one coming request, after `skip` others; nothing is applied."""
        self._before.append(skip)

    def fail_after(self, *, skip: int = 0) -> None:
        """Apply one coming request, after `skip` others, and cut before the answer."""
        self._after.append(skip)

    def reject_values(self, values: Iterable[str]) -> None:
        """Refuse, from now on, to take a row that holds one of these values (digests as hex)."""
        self._rejected_values.update(values)

    def accept_values(self, values: Iterable[str]) -> None:
        """Take back `reject_values` for these values."""
        self._rejected_values.difference_update(values)

    def refuse_early(self, values: Iterable[str]) -> None:
        """Keep rows that hold one of these values out of jobs, and say so as a job is taken."""
        self._refused_early.update(values)

    def early(self, rows: Sequence[Row]) -> Outcomes:
        """What is known of a job's rows as it is taken."""
        codes = [
            OutcomeCode.ACCEPTED
            if self._refused_early.isdisjoint(str(v) for v in row.values())
            else OutcomeCode.REJECTED
            for row in rows
        ]
        refused = [place for place, code in enumerate(codes) if code is OutcomeCode.REJECTED]
        return Outcomes(
            codes=pa.array([int(code) for code in codes], pa.uint8()),
            reasons=dict.fromkeys(refused, Reason(code="refused_early")),
        )

    def reject_rows(self, number: int, rows: Collection[int]) -> None:
        """Refuse these rows (numbers in the batch handed over) of batch `number`, in any run."""
        self._rejected_rows.setdefault(number, set()).update(rows)

    def defer_values(
        self, values: Iterable[str], times: int, *, retry_after_seconds: float | None = None
    ) -> None:
        """Say of rows that hold one of these values to come again later, so many times."""
        self._deferred.update(dict.fromkeys(values, times))
        self.retry_after_seconds = retry_after_seconds

    def lose_jobs(self, count: int = 1) -> None:
        """Forget the next submitted jobs, so many: accepted, never applied."""
        self._lose += count

    def finish_jobs(self) -> None:
        """Work off every submitted job, whether or not anybody asks for it."""
        for job in self._jobs.values():
            self._finish(job)

    def finish_batch(self, head: BatchHead) -> None:
        """Work off the jobs of one batch."""
        for job in self._jobs.values():
            if (job.head.run, job.head.number) == (head.run, head.number):
                self._finish(job)

    def forget_jobs(self) -> None:
        """Lose every submitted job that was not worked off."""
        for job in self._jobs.values():
            job.lost = job.lost or job.outcomes is None

    def reach(self) -> None:
        """Count one call. Raises TransientError while away."""
        if self._away:
            self._away -= 1
            raise TransientError("destination_unreachable", "The fake is away, as planned.")
        self.touched += 1

    def cut_before(self) -> bool:
        """Whether this request is cut before it is applied."""
        return _due(self._before)

    def cut_after(self) -> bool:
        """Whether this request is cut after it was applied."""
        return _due(self._after)

    def has_marker(self, head: BatchHead) -> bool:
        """Whether the batch left its marker."""
        return (head.run, head.number) in self._markers

    def apply(
        self, head: BatchHead, first: int, rows: list[Row], key: tuple[str, ...], *, marker: bool
    ) -> Outcomes:
        """Apply rows that begin at row `first` of their batch, and answer for each.

        With `marker` they are the whole batch, and a repeat gets the answer it got before.
        """
        known = self._markers.get((head.run, head.number))
        if marker and known is not None:
            return known
        self.requests.append((head.operation, len(rows)))
        refused = {
            place
            for place, row in enumerate(rows)
            if first + place in self._rejected_rows.get(head.number, ())
            or (
                # What a platform would not take it still lets go.
                head.operation is not Operation.REMOVE
                and not self._rejected_values.isdisjoint(str(v) for v in row.values())
            )
        }
        later = {
            place for place, row in enumerate(rows) if place not in refused and self._defers(row)
        }
        for place, row in enumerate(rows):
            if place not in refused | later:
                self._apply_row(head, row, key)
        answers = dict.fromkeys(refused, OutcomeCode.REJECTED)
        answers |= dict.fromkeys(later, OutcomeCode.DEFERRED)
        codes = [int(answers.get(place, OutcomeCode.ACCEPTED)) for place in range(len(rows))]
        reasons = dict.fromkeys(sorted(refused), Reason(code="refused_by_fake"))
        reasons |= dict.fromkeys(sorted(later), Reason(code="later"))
        outcomes = Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)
        if marker:
            self._markers[head.run, head.number] = outcomes
        return outcomes

    def _defers(self, row: Row) -> bool:
        found = [v for v in map(str, row.values()) if self._deferred.get(v)]
        for value in found:
            self._deferred[value] -= 1
        return bool(found)

    def submit(
        self, head: BatchHead, rows: list[Row], polls: int, key: tuple[str, ...], *, marker: bool
    ) -> str:
        """Take a job; its reference."""
        reference = f"job-{len(self._jobs) + 1}"
        lost = self._lose > 0
        self._lose -= 1 if lost else 0
        self._jobs[reference] = _Job(
            head=head, rows=rows, polls_left=polls, lost=lost, key=key, marker=marker
        )
        return reference

    def has_jobs(self) -> bool:
        """Whether any job was submitted."""
        return bool(self._jobs)

    def job(self, reference: str) -> _Job | None:
        """The job of that reference; None where it is unknown or lost."""
        job = self._jobs.get(reference)
        return None if job is None or job.lost else job

    def _finish(self, job: _Job) -> None:
        job.polls_left = 0
        if job.outcomes is None and not job.lost:
            job.outcomes = self.apply(job.head, 0, job.rows, job.key, marker=job.marker)

    def _apply_row(self, head: BatchHead, row: Row, key: tuple[str, ...]) -> None:
        match head.operation:
            case Operation.ADD:
                for name in IDENTIFIERS:
                    if row.get(name) is not None:
                        self.members.setdefault(name, set()).add(row[name])
            case Operation.WRITE:
                self.rows[_key(row, key)] = row
            case Operation.INSERT:
                self.inserted.append(row)
            case Operation.REMOVE if head.identifier is not None:
                self.members.setdefault(head.identifier, set()).discard(row[head.identifier])
            case Operation.REMOVE:
                self.rows.pop(_key(row, key), None)


class FakeDestination:
    """A `Destination` over a `FakeWorld`.

    Args:
        world: shared by all instances that stand for one destination.
        context: as for any connector; `key` is used for rows.
        asynchronous: `write` and `erase` answer `Submitted`; `poll` answers later.
        batch_marker: each batch leaves its number with its rows, all or nothing, so that a
            repeat changes nothing and `applied` can answer.
        rows_max: rows of one request.
        polls: how often `poll` says `Pending` before it answers.
    """

    def __init__(
        self,
        world: FakeWorld,
        context: DestinationContext,
        *,
        asynchronous: bool = False,
        batch_marker: bool = False,
        rows_max: int = 1_000,
        polls: int = 1,
    ) -> None:
        self._world = world
        self._key = context.key
        self._asynchronous = asynchronous
        self._marker = batch_marker
        self._polls = polls
        self._closed = False
        self.spec = fake_spec(batch_marker=batch_marker, rows_max=rows_max)

    async def check(self) -> None:
        """Raise TransientError while the world is away."""
        self._world.reach()

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Apply the batch request by request, or take it as a job."""
        require_protected(batch)
        if self._closed:
            raise ContractError("closed", "The fake was closed.")
        rows = batch.rendered().to_pylist()
        if self._asynchronous:
            return self._submit(batch.head, rows)
        # With a marker a batch is one transaction, whatever its requests.
        step = max(len(rows), 1) if self._marker else self.spec.request.rows_max
        while progress.next_row < len(rows):
            first = progress.next_row
            progress.rows_done(self._request(batch.head, first, rows[first : first + step]))
        return replace(progress.done(), retry_after_seconds=self._world.retry_after_seconds)

    async def poll(self, job: JobRef) -> Done | Pending:
        """The job's outcomes once it was polled often enough; deferred where it was lost."""
        self._world.reach()
        known = self._world.job(job.reference)
        if known is None:
            return Done(
                outcomes=Outcomes.all_of(OutcomeCode.DEFERRED, job.rows, Reason(code="job_lost"))
            )
        if known.outcomes is None and known.polls_left > 0:
            known.polls_left -= 1
            return Pending(retry_after_seconds=0.0)
        if known.outcomes is None:
            known.outcomes = self._apply(known.head, 0, known.rows)
        return Done(outcomes=known.outcomes)

    async def applied(self, head: BatchHead) -> bool | None:
        """Whether the batch's marker is there, after a job of it was worked off; None without
        markers.
        """
        self._world.reach()
        if not self._marker:
            return None
        self._world.finish_batch(head)
        return self._world.has_marker(head)

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove subjects by the identifier of the batch's head, or by key."""
        require_protected(identifiers)
        return await self.write(identifiers, Progress(rows=len(identifiers)))

    async def close(self) -> None:
        """Refuse later writes. May be repeated."""
        self._closed = True

    def _submit(self, head: BatchHead, whole: list[Row]) -> Submitted:
        self._world.reach()
        known = self._world.early(whole)
        rows = [whole[place] for place in known.rows_of(OutcomeCode.ACCEPTED)]
        if self._world.cut_before():
            raise TransientError("destination_unreachable", "Cut before the job, as planned.")
        reference = self._world.submit(head, rows, self._polls, self._key, marker=self._marker)
        if self._world.cut_after():
            job = self._world.job(reference)
            if job is not None:
                # Nobody will ask for this job; a real platform works it off all the same.
                job.outcomes = self._apply(head, 0, rows)
            raise TransientError("destination_timeout", "Cut after the job, as planned.")
        job_ref = JobRef(batch=head.number, rows=len(rows), reference=reference)
        return Submitted(job=job_ref, known=None if len(rows) == len(whole) else known)

    def _request(self, head: BatchHead, first: int, rows: list[Row]) -> Outcomes:
        self._world.reach()
        if self._world.cut_before():
            raise TransientError("destination_unreachable", "Cut before the rows, as planned.")
        outcomes = self._apply(head, first, rows)
        if self._world.cut_after():
            raise TransientError("destination_timeout", "Cut after the rows, as planned.")
        return outcomes

    def _apply(self, head: BatchHead, first: int, rows: list[Row]) -> Outcomes:
        return self._world.apply(head, first, rows, self._key, marker=self._marker)


def _key(row: Row, key: tuple[str, ...]) -> tuple[Any, ...]:
    if not key:
        raise ContractError("no_key", "Rows are written and removed by key; the context has none.")
    return tuple(row[name] for name in key)


def _due(skips: list[int]) -> bool:
    """Whether one of the planned faults is due now; each is due once."""
    for place, skip in enumerate(skips):
        if skip == 0:
            del skips[place]
            return True
    skips[:] = [skip - 1 for skip in skips]
    return False
