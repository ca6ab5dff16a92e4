"""The batches of a plan on their way: read, through the gate, sent, acknowledged, let go.

Some are on their way at the same time, as many as the destination takes; one that goes alone has
the next one read meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from mayfly.domain.batch import Batch
from mayfly.domain.errors import ContractError, PolicyError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ledger.entry import EntryType
from mayfly.planning.spec import BatchInfo, Plan
from mayfly.ports.destination import Done, Submitted
from mayfly.privacy.gate import ProtectedBatch
from mayfly.privacy.gate.gate import Gated, pass_gate
from mayfly.services.deliver import Refused, spread
from mayfly.services.run import Run, at_present, call, is_stale, note_object, sender_of
from mayfly.services.run_tally import RunTally
from mayfly.services.share_run import begin, gives_lane, makes_object, not_begun, offered

READ_ROWS = 50_000
READ_BYTES = 64_000_000


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What the answer to a batch is told by: numbers of rows, and no row.

    `of_run` is the run whose plan the batch is of, where that is another than the one that sends.
    """

    info: BatchInfo
    positions: pa.Array
    withheld: Mapping[int, Reason]
    read_ms: int
    of_run: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A batch that the destination works off by itself."""

    submitted: Submitted
    sent: Sent


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A batch that passed the gate."""

    batch: ProtectedBatch
    sent: Sent


async def deliver(run: Run, plan: Plan, tally: RunTally) -> list[Job]:
    """Send a plan's batches on as many lanes as the destination takes. Withdrawals are answered
    for, or taken as jobs, before anything else begins.

    Returns:
        The batches whose answer is still to come; their rows are let go already.

    Raises:
        EngineError: of one lane, once the others have kept the answer to what they had sent: the
            first that waiting does not mend, else the first.
    """
    tally.withdrawn = dict(plan.withdrawn)
    jobs: list[Job] = []
    urgent = [b for b in plan.batches if b.urgent]
    if urgent:
        jobs += await deliver_these(run, plan, tally, urgent)
    todo = [b for b in plan.batches if not b.urgent]
    if todo and await makes_object(run):
        first, todo = todo[:1], todo[1:]
        jobs += await deliver_these(run, plan, tally, first)
        await note_object(run)
    if todo:
        async with offered(run, plan, tally, todo):
            jobs += await deliver_these(run, plan, tally, todo)
    return jobs


async def deliver_these(
    run: Run, plan: Plan, tally: RunTally, todo: Sequence[BatchInfo]
) -> list[Job]:
    """Send some batches of a plan; see `deliver`."""
    async with contextlib.aclosing(_ready(run, plan, todo)) as batches:
        upcoming = _Upcoming(batches)
        lanes = _Lanes(run, tally, upcoming)
        try:
            await lanes.go(run.concurrency)
        finally:
            await upcoming.over()
        return lanes.jobs


async def deliver_one(
    run: Run, tally: RunTally, info: BatchInfo, batch: Batch, read_ms: int, *, of_run: str
) -> Job | None:
    """Send one batch that waited, through the gate; its job where the answer is still to come.

    Args:
        run: that sends it.
        tally: counts it.
        info: of the plan it is of.
        batch: what may go of it now.
        read_ms: when its rows were read.
        of_run: whose plan that is.
    """
    ready = await _gated(run, info, batch, read_ms, of_run)
    await call(run.store.intent, info.number, _unsent(ready.sent))
    answer = await sender_of(run).send(ready.batch)
    job = await _answered(run, tally, ready, answer)
    tell(run, tally)
    return job


class _Upcoming:
    """Batches one after the other, for whoever asks next; one may be read ahead."""

    def __init__(self, batches: AsyncGenerator[_Ready, None]) -> None:
        self._batches = batches
        self._reading: asyncio.Future[_Ready | None] | None = None
        self._turn = asyncio.Lock()
        self._ended = False

    async def next(self) -> _Ready | None:
        """The next batch, None after the last or once ended."""
        async with self._turn:
            self.ahead()
            if self._ended or self._reading is None:
                return None
            ready = await self._reading
            self._reading, self._ended = None, ready is None
            return ready

    def ahead(self) -> None:
        """Begin to read the next batch."""
        if self._reading is None and not self._ended:
            self._reading = asyncio.ensure_future(anext(self._batches, None))
            # Only one error ends a run. Of one that nobody asks for asyncio writes a traceback.
            self._reading.add_done_callback(_seen)

    def end(self) -> None:
        """Give out no more."""
        self._ended = True

    def cancel(self) -> None:
        """Give out no more, and read on no further."""
        self._ended = True
        if self._reading is not None:
            self._reading.cancel()

    async def over(self) -> None:
        """Wait for what is being read; whether it went well, who asks for it will see."""
        if self._reading is not None:
            await asyncio.wait([self._reading])


class _Lanes:
    """Coroutines that each take a batch, send it, and keep its answer, until there is none."""

    def __init__(self, run: Run, tally: RunTally, upcoming: _Upcoming) -> None:
        self.jobs: list[Job] = []
        self._run = run
        self._tally = tally
        self._upcoming = upcoming
        self._failures: list[Exception] = []
        self._number = 0

    async def go(self, number: int) -> None:
        """All of them to their ends."""
        self._number = number
        lanes = [asyncio.ensure_future(self._lane()) for _ in range(number)]
        try:
            await asyncio.wait(lanes)
        except asyncio.CancelledError:
            for lane in lanes:
                lane.cancel()
            self._upcoming.cancel()
            await asyncio.wait(lanes)
            raise
        if self._failures:
            raise min(self._failures, key=lambda error: isinstance(error, TransientError))
        for lane in lanes:
            lane.result()

    async def _lane(self) -> None:
        try:
            while await self._sent_one():
                # Its rows leave the memory of this process, too.
                pa.default_memory_pool().release_unused()
        except Exception as error:
            self._failures.append(error)
            self._upcoming.end()

    async def _sent_one(self) -> bool:
        """Whether there was a batch. It is let go before the next is waited for."""
        if await self._is_given():
            return False
        ready = await self._upcoming.next()
        if ready is None:
            return False
        if await self._ends(ready.sent.info):
            self._tally.status = "cancelled"
            self._upcoming.end()
            return False
        await self._send(ready)
        return True

    async def _is_given(self) -> bool:
        """Whether this lane goes to another worker."""
        # Of two that look at once, one is the last that may stay.
        self._number -= 1
        if await gives_lane(self._run, self._number + 1):
            return True
        self._number += 1
        return False

    async def _ends(self, info: BatchInfo) -> bool:
        """Whether that batch, and what comes after it, is not sent."""
        if self._run.stop.is_set() or self._tally.stopped is not None:
            return True
        look = self._run.look
        stop = await call(look) if look is not None else None
        if stop is None or (info.urgent and not stop.withdrawals):
            return False
        self._tally.stopped = stop.reason
        return True

    async def _send(self, ready: _Ready) -> None:
        run, number = self._run, ready.sent.info.number
        if run.share is not None and number in run.share.others:
            return
        ready = await _fresh(run, ready)
        if not await begin(run, number, _unsent(ready.sent)):
            return
        if run.concurrency == 1:
            # Of several lanes the others read meanwhile: one batch less is in memory.
            self._upcoming.ahead()
        answer = await sender_of(run).send(ready.batch)
        # What goes wrong with the next batch is told once this one's answer is kept.
        await self._upcoming.over()
        job = await _answered(run, self._tally, ready, answer)
        self.jobs += [job] if job else []
        tell(run, self._tally)


def _seen(task: asyncio.Future[_Ready | None]) -> None:
    if not task.cancelled():
        task.exception()


async def _ready(run: Run, plan: Plan, todo: Sequence[BatchInfo]) -> AsyncGenerator[_Ready, None]:
    """Batches of the plan in order, read in groups. Who helps another begins at the end."""
    backwards = run.share is not None and run.share.helps
    groups = _groups(todo, plan)
    while groups:
        if run.share is not None:
            left = [info for group in groups for info in group]
            groups = _groups(await not_begun(run, left), plan)
            if not groups:
                return
        group = groups.pop(-1 if backwards else 0)
        read_ms = run.now_ms()
        batches = await call(
            run.store.read, at_present(run), group, run.worker, of=len(plan.batches)
        )
        if not backwards:
            batches.reverse()
        for info in reversed(group) if backwards else group:
            yield await _gated(run, info, batches.pop(), read_ms)


async def _fresh(run: Run, ready: _Ready) -> _Ready:
    """The batch as it is now, where it was read too long ago for its consent to be acted on."""
    if not is_stale(run, ready.sent.read_ms):
        return ready
    info, read_ms = ready.sent.info, run.now_ms()
    [batch] = await call(
        run.store.read, at_present(run), [info], run.worker, of=ready.batch.head.of
    )
    return await _gated(run, info, batch, read_ms)


async def _gated(run: Run, info: BatchInfo, batch: Batch, read_ms: int, of_run: str = "") -> _Ready:
    """A batch through the gate; nothing here holds it any longer."""
    gated = await asyncio.to_thread(pass_gate, batch, run.policy)
    _refuse_too_many_withheld(run, gated, info)
    sent = Sent(
        info=info,
        positions=gated.positions,
        withheld=gated.withheld,
        read_ms=read_ms,
        of_run=of_run,
    )
    return _Ready(batch=gated.batch, sent=sent)


async def _answered(
    run: Run, tally: RunTally, ready: _Ready, answer: Done | Submitted | Refused
) -> Job | None:
    """Keep the answer to a batch; a job where it is still to come."""
    number = ready.sent.info.number
    # Each further sending renews the lease, and stops where it was taken over.
    renew = partial(call, run.store.intent, number)
    if isinstance(answer, Refused):
        answer = await sender_of(run).narrow(ready.batch, before=renew)
    match answer:
        case Done():
            outcomes = await sender_of(run).again(ready.batch, answer, before=renew)
            await acknowledge(run, tally, ready.sent, outcomes)
            return None
        case Submitted(job=job, known=known):
            if known is not None:
                # Whoever settles the job after a crash is told of its own rows alone.
                await call(run.store.intent, number, _laid_out(ready.sent, known))
            await call(run.store.submitted, number, job.reference)
            return Job(submitted=answer, sent=ready.sent)


async def acknowledge(run: Run, tally: RunTally, sent: Sent, outcomes: Outcomes) -> None:
    """The answer is committed, counted, and its rows are let go."""
    info = sent.info
    require_one_each(outcomes, len(sent.positions))
    laid_out = _laid_out(sent, outcomes)
    await call(run.store.outcome, info.number, laid_out)
    delivered = laid_out.count(OutcomeCode.ACCEPTED) + laid_out.count(OutcomeCode.UNCONFIRMED)
    age_ms = run.now_ms() - sent.read_ms
    # Rows of an earlier run's batch that may not go any more are this run's to plan.
    counted = outcomes if sent.of_run else laid_out
    tally.acknowledged(info, counted, seconds=age_ms / 1000)
    if not sent.of_run:
        tally.taken_out(info, laid_out, now_ms=run.now_ms())
    await call(
        run.ledger.append,
        [
            run.entry(
                EntryType.DELIVERED,
                **({"run": sent.of_run} if sent.of_run else {}),
                rows=delivered,
                batch=info.number,
                age_ms=age_ms,
                operation=info.operation.value,
            )
        ],
    )


def require_one_each(outcomes: Outcomes, rows: int) -> None:
    """Refuse an answer for another number of rows than were sent."""
    if len(outcomes) != rows:
        raise ContractError("outcome_count", "The destination answered for another number of rows.")


def _unsent(sent: Sent) -> Outcomes | None:
    """Codes of the planned rows that the batch does not hold, None where it holds all.

    Committed with the intent: whoever settles the batch after a crash has only its numbers.
    """
    rows = len(sent.positions)
    if rows == sent.info.rows:
        return None
    return _laid_out(sent, Outcomes.all_of(OutcomeCode.ACCEPTED, rows))


def _laid_out(sent: Sent, outcomes: Outcomes) -> Outcomes:
    """Outcomes of the rows sent, over the planned batch."""
    return spread(outcomes, sent.positions, sent.info.rows, dict(sent.withheld))


def _refuse_too_many_withheld(run: Run, gated: Gated, info: BatchInfo) -> None:
    if len(gated.withheld) > run.withheld_share_max * info.rows:
        raise PolicyError(
            "withheld_threshold",
            f"The gate withheld {len(gated.withheld)} of {info.rows} rows of a batch, more than "
            "the sync's threshold.",
            hint="See `mayfly rejected` for the reasons; correct classes, rules or the model.",
        )


def _groups(batches: Sequence[BatchInfo], plan: Plan) -> list[list[BatchInfo]]:
    """Neighbouring batches of one kind, up to READ_ROWS, or some times as many, and READ_BYTES
    together: read in one statement.
    """
    most = min(READ_ROWS * plan.reads_at_once, READ_BYTES // max(1, plan.row_bytes))
    groups: list[list[BatchInfo]] = []
    for batch in batches:
        last = groups[-1] if groups else None
        if (
            last is not None
            and last[-1].operation is batch.operation
            and last[-1].identifier == batch.identifier
            and last[-1].number + 1 == batch.number
            and sum(b.rows for b in last) + batch.rows <= most
        ):
            last.append(batch)
        else:
            groups.append([batch])
    return groups


def tell(run: Run, tally: RunTally) -> None:
    """Show how far the run is."""
    if run.progress is not None:
        run.progress(tally.rows_done, tally.rows_planned)
