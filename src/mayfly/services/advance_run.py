"""One run of one sync: close what was left open, plan, deliver, close.

`advance` is the only way a row travels. It reads the plan store, which is the truth about
batches, and tells the run's end as a value; nothing it returns, logs or raises holds a row.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

import pyarrow as pa

from mayfly.domain.batch import Batch, BatchHead, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    PolicyError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.spec import BatchInfo, OpenPlan, Plan, PlanSpec, PlanWorker
from mayfly.ports.destination import Destination, Done, JobRef, Locating, Submitted
from mayfly.ports.ledger import Ledger
from mayfly.ports.planstore import PlanStore
from mayfly.privacy.gate import ProtectedBatch
from mayfly.privacy.gate.gate import Gated, GatePolicy, pass_gate
from mayfly.services.check_plan import GUARD_ROWS, check_plan
from mayfly.services.deliver import Refused, Sender, Sleep, spread
from mayfly.services.find_object import ObjectFound, find_object
from mayfly.services.run_tally import RunTally

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

READ_ROWS = 50_000
READ_BYTES = 64_000_000


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the command line asks of a run.

    Args:
        dry: plan and pass every row through the gate; send nothing, write no state.
        accept_removals: how many rows the mass-change guard lets through once.
        in_doubt: for appends without a batch marker: send again, or take as delivered.
    """

    dry: bool = False
    accept_removals: int = 0
    in_doubt: str | None = None


@dataclass(kw_only=True)
class Run:
    """Everything one run needs, wired by the bootstrap.

    Args:
        spec: the compiled sync.
        policy: its approved way out.
        store, worker, destination, ledger: ports.
        batch_marker: see `DestinationSpec`.
        entry: a ledger entry of this run, to be completed.
        now_ms: milliseconds since 1970, never running back.
        holder, alive: of the lease.
        stop: set to end after the batch in hand.
        progress: told (rows done, rows planned) once planned, and after each batch.
        guard_rows: fewer rows taken back or sent again are never a mass change.
    """

    spec: PlanSpec
    policy: GatePolicy
    store: PlanStore
    worker: PlanWorker
    destination: Destination
    ledger: Ledger
    batch_marker: bool
    entry: Callable[..., Entry]
    now_ms: Callable[[], int]
    holder: str
    alive: Callable[[str], bool]
    options: RunOptions = field(default_factory=RunOptions)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    progress: Callable[[int, int], None] | None = None
    sender: Sender | None = None
    sleep: Sleep = asyncio.sleep
    withheld_share_max: float = 1.0
    guard_rows: int = GUARD_ROWS


async def advance(run: Run, tally: RunTally | None = None) -> RunTally:
    """Bring a sync to its end, or as far as it goes; the tally says how far.

    Args:
        run: what to do, and by what.
        tally: a new one to count in, for a caller who wants the counts of a run that raises, too.

    Raises:
        ConfigError, PolicyError, ContractError, IntegrityError: nothing was lost; the next run
            closes what this one left open and plans anew.
    """
    tally = tally or RunTally()
    tally.started_ms = run.now_ms()
    if run.options.dry:
        await _dry(run, tally)
        return tally
    await _store(
        run.store.acquire, run.spec, holder=run.holder, now_ms=run.now_ms(), alive=run.alive
    )
    try:
        await _close_left_open(run, tally)
        await _bind_object(run, tally)
        plan = await _plan(run, tally)
        _tell(run, tally)
        for job in await _deliver(run, plan, tally):
            done = await _sender(run).wait(job.submitted)
            await _acknowledge(run, tally, job.sent, done.outcomes)
        await _note_object(run)
        await _close(run, tally)
    except TransientError as error:
        tally.held_by(error)
        await _record_left_open(run, tally, error)
    except EngineError as error:
        if isinstance(error, PolicyError):
            run.ledger.append([run.entry(EntryType.REFUSED, reason=error.code)])
        await _record_left_open(run, tally, error)
        raise
    finally:
        await _store(_quietly, run.store.release)
        tally.finished_ms = run.now_ms()
    return tally


def _tell(run: Run, tally: RunTally) -> None:
    if run.progress is not None:
        run.progress(tally.rows_done, tally.rows_planned)


async def _record_left_open(run: Run, tally: RunTally, error: EngineError) -> None:
    """A working copy that is known to wait is told from one that was lost from sight.

    A process that was overtaken knows nothing of it any more.
    """
    if tally.open_run is None or error.code == "fenced":
        return
    entry = run.entry(EntryType.HELD, run=tally.open_run, reason=error.code)
    # Where the ledger itself is what failed, the plan shows as unpaired until it is closed.
    with contextlib.suppress(TransientError):
        await _store(run.ledger.append, [entry])


async def _dry(run: Run, tally: RunTally) -> None:
    """Plan, and let every row pass the gate; nothing is sent and nothing is written."""
    withheld = 0

    def inspect(batch: Batch) -> None:
        nonlocal withheld
        withheld += len(pass_gate(batch, run.policy).withheld)

    tally.found = await find_object(run.store, run.destination)
    forgotten = tally.found.forgotten > 0
    plan = await _store(run.store.count, run.spec, run.worker, inspect=inspect, forgotten=forgotten)
    _check(run, plan)
    tally.planned(plan)
    tally.withheld_guard += withheld
    tally.status = "succeeded" if plan.batches else "no_changes"


async def _close_left_open(run: Run, tally: RunTally) -> None:
    """A plan that another run left open is never finished; what is in doubt is marked."""
    left_open = await _store(run.store.open_plan)
    await _drop_never_made(run, left_open)
    if left_open is None:
        return
    tally.open_run = left_open.run
    for batch in left_open.batches:
        if batch.intent and not batch.acknowledged:
            await _settle(run, left_open, batch)
    report = await _store(run.store.close, run.spec, now_ms=run.now_ms())
    tally.open_run = None
    tally.recovered = report.in_doubt
    entry = run.entry(EntryType.DROPPED, run=left_open.run, rows=report.rows, reason="closed_anew")
    await _store(run.ledger.append, [entry])


async def _drop_never_made(run: Run, left_open: OpenPlan | None) -> None:
    """Runs killed while their working copy was announced in the ledger and not in the warehouse.

    The lease is ours, so that no other run of this sync can be at that point now.
    """
    announced = await _store(run.ledger.open_runs, run.spec.identity.sync, run.spec.identity.target)
    lost = [r for r in announced if left_open is None or r != left_open.run]
    if lost:
        entries = [run.entry(EntryType.DROPPED, run=r, reason="not_there") for r in lost]
        await _store(run.ledger.append, entries)


async def _settle(run: Run, left_open: OpenPlan, batch: BatchInfo) -> None:
    """Ask for a submitted job; for an append, ask the destination's own marker."""
    if batch.job is not None:
        sent = sorted(set(range(batch.rows)).difference(batch.unsent))
        job = JobRef(batch=batch.number, rows=len(sent), reference=batch.job)
        done = await _sender(run).wait(Submitted(job=job))
        _require_one_each(done.outcomes, len(sent))
        laid_out = spread(done.outcomes, pa.array(sent, pa.int32()), batch.rows, {})
        await _store(run.store.outcome, batch.number, laid_out)
        return
    if run.spec.mode is not SyncMode.APPEND:
        return
    found = await run.destination.applied(_head(run, left_open, batch))
    if found is None:
        choice = run.options.in_doubt
        if choice is None:
            raise PolicyError(
                "in_doubt",
                f"Batch {batch.number} of sync {run.spec.identity.sync} may have been appended "
                "already, and the destination cannot tell.",
                hint="Run again with --resend (rows may double) or --skip (rows may be missing).",
            )
        found = choice == "skip"
    code = OutcomeCode.ACCEPTED if found else OutcomeCode.DEFERRED
    await _store(run.store.outcome, batch.number, Outcomes.all_of(code, batch.rows))


def _head(run: Run, left_open: OpenPlan, batch: BatchInfo) -> BatchHead:
    return BatchHead(
        sync=run.spec.identity.sync,
        run=left_open.run,
        number=batch.number,
        of=len(left_open.batches),
        operation=batch.operation,
        rows=batch.rows,
        identifier=batch.identifier,
    )


async def _bind_object(run: Run, tally: RunTally) -> None:
    """An audience that was deleted, or made anew, holds nobody of those the state remembers."""
    if not isinstance(run.destination, Locating):
        return
    known = await _store(run.store.object_id)
    found = await _sender(run).locate(known)
    rows = await _store(run.store.forgets, found)
    if rows:
        entry = run.entry(EntryType.STATE_DROPPED, rows=rows, reason="object_gone")
        await _store(run.ledger.append, [entry])
    tally.found = ObjectFound(forgotten=await _store(run.store.bind, found))


async def _note_object(run: Run) -> None:
    """An audience that this run has made is the one that its state will speak of."""
    if not isinstance(run.destination, Locating):
        return
    known = await _store(run.store.object_id)
    if known is not None:
        return
    made = await _sender(run).locate(None)
    if made is not None:
        await _store(run.store.bind, made)


async def _plan(run: Run, tally: RunTally) -> Plan:
    """The working copy is in the ledger before it is made."""
    await _store(run.ledger.append, [run.entry(EntryType.CREATED)])
    try:
        plan: Plan = await _store(
            run.store.create, run.spec, run.worker, check=partial(_check, run)
        )
    except EngineError:
        await _store(run.ledger.append, [run.entry(EntryType.DROPPED, reason="not_made")])
        raise
    tally.planned(plan)
    tally.open_run = run.spec.run
    return plan


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """What the answer to a batch is told by: numbers of rows, and no row."""

    info: BatchInfo
    positions: pa.Array
    withheld: Mapping[int, Reason]
    read_ms: int


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A batch that the destination works off by itself."""

    submitted: Submitted
    sent: _Sent


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A batch that passed the gate."""

    batch: ProtectedBatch
    sent: _Sent


async def _ready(run: Run, plan: Plan) -> AsyncGenerator[_Ready, None]:
    """The plan's batches in order, read in groups."""
    for group in _groups(plan.batches, plan.row_bytes):
        batches = await _store(run.store.read, run.spec, group, run.worker, of=len(plan.batches))
        read_ms = run.now_ms()
        batches.reverse()
        for info in group:
            gated = await asyncio.to_thread(pass_gate, batches.pop(), run.policy)
            _refuse_too_many_withheld(run, gated, info)
            yield _Ready(
                batch=gated.batch,
                sent=_Sent(
                    info=info, positions=gated.positions, withheld=gated.withheld, read_ms=read_ms
                ),
            )


async def _deliver(run: Run, plan: Plan, tally: RunTally) -> list[_Job]:
    """Batch after batch: while one is on its way, the next is read and passes the gate.

    Returns the batches whose answer is still to come; their rows are let go already.
    """
    async with contextlib.aclosing(_ready(run, plan)) as upcoming:
        return await _deliver_each(run, upcoming, tally)


async def _deliver_each(
    run: Run, upcoming: AsyncGenerator[_Ready, None], tally: RunTally
) -> list[_Job]:
    jobs: list[_Job] = []
    ready = await anext(upcoming, None)
    while ready is not None:
        if run.stop.is_set():
            tally.status = "cancelled"
            return jobs
        await _store(run.store.intent, ready.sent.info.number, _unsent(ready.sent))
        answer, reading = await _both(_sender(run).send(ready.batch), anext(upcoming, None))
        job = await _answered(run, tally, ready, answer)
        jobs += [job] if job else []
        _tell(run, tally)
        # What went wrong with the next batch is told once this one's answer is kept.
        ready = reading.result()
    return jobs


async def _both(first: Awaitable[T], second: Awaitable[S]) -> tuple[T, asyncio.Future[S]]:
    """The first's result, and the second ended, whatever becomes of either."""
    leading, other = asyncio.ensure_future(first), asyncio.ensure_future(second)
    for task in (leading, other):
        task.add_done_callback(_seen)
    try:
        await asyncio.wait([leading, other])
    except asyncio.CancelledError:
        leading.cancel()
        other.cancel()
        await asyncio.wait([leading, other])
        raise
    return leading.result(), other


def _seen(task: asyncio.Future[T]) -> None:
    """Only one error ends a run. Of one that nobody asks for asyncio would write a traceback."""
    if not task.cancelled():
        task.exception()


async def _answered(
    run: Run, tally: RunTally, ready: _Ready, answer: Done | Submitted | Refused
) -> _Job | None:
    """Keep the answer to a batch; a job where it is still to come."""
    number = ready.sent.info.number
    # Each further sending renews the lease, and stops where it was taken over.
    renew = partial(_store, run.store.intent, number)
    if isinstance(answer, Refused):
        answer = await _sender(run).narrow(ready.batch, before=renew)
    match answer:
        case Done():
            outcomes = await _sender(run).again(ready.batch, answer, before=renew)
            await _acknowledge(run, tally, ready.sent, outcomes)
            return None
        case Submitted(job=job):
            await _store(run.store.submitted, number, job.reference)
            return _Job(submitted=answer, sent=ready.sent)


async def _acknowledge(run: Run, tally: RunTally, sent: _Sent, outcomes: Outcomes) -> None:
    """The answer is committed, counted, and its rows are let go."""
    info = sent.info
    _require_one_each(outcomes, len(sent.positions))
    laid_out = spread(outcomes, sent.positions, info.rows, dict(sent.withheld))
    await _store(run.store.outcome, info.number, laid_out)
    delivered = laid_out.count(OutcomeCode.ACCEPTED) + laid_out.count(OutcomeCode.UNCONFIRMED)
    tally.acknowledged(info, laid_out, seconds=(run.now_ms() - sent.read_ms) / 1000)
    await _store(
        run.ledger.append,
        [
            run.entry(
                EntryType.DELIVERED,
                rows=delivered,
                batch=info.number,
                operation=info.operation.value,
            )
        ],
    )


def _require_one_each(outcomes: Outcomes, rows: int) -> None:
    if len(outcomes) != rows:
        raise ContractError("outcome_count", "The destination answered for another number of rows.")


def _unsent(sent: _Sent) -> Outcomes | None:
    """Codes of the planned rows that the batch does not hold, None where it holds all.

    Committed with the intent: whoever settles the batch after a crash has only its numbers.
    """
    rows = len(sent.positions)
    if rows == sent.info.rows:
        return None
    accepted = Outcomes.all_of(OutcomeCode.ACCEPTED, rows)
    return spread(accepted, sent.positions, sent.info.rows, dict(sent.withheld))


async def _close(run: Run, tally: RunTally) -> None:
    report = await _store(run.store.close, run.spec, now_ms=run.now_ms())
    tally.open_run = None
    entry = run.entry(EntryType.DROPPED, rows=report.rows, reason="done")
    await _store(run.ledger.append, [entry])
    tally.closed()


def _check(run: Run, plan: Plan) -> None:
    check_plan(
        plan, run.spec, accept_removals=run.options.accept_removals, guard_rows=run.guard_rows
    )


def _refuse_too_many_withheld(run: Run, gated: Gated, info: BatchInfo) -> None:
    if len(gated.withheld) > run.withheld_share_max * info.rows:
        raise PolicyError(
            "withheld_threshold",
            f"The gate withheld {len(gated.withheld)} of {info.rows} rows of a batch, more than "
            "the sync's threshold.",
            hint="See `mayfly rejected` for the reasons; correct classes, rules or the model.",
        )


def _groups(batches: Sequence[BatchInfo], row_bytes: int) -> list[list[BatchInfo]]:
    """Neighbouring batches of one kind, up to READ_ROWS and READ_BYTES together: read in one
    statement.
    """
    most = min(READ_ROWS, READ_BYTES // max(1, row_bytes))
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


def _sender(run: Run) -> Sender:
    if run.sender is None:
        run.sender = Sender(
            destination=run.destination,
            sleep=run.sleep,
            splittable=run.spec.mode is not SyncMode.APPEND,
            repeatable=run.spec.mode is not SyncMode.APPEND or run.batch_marker,
        )
    return run.sender


async def _store(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking port in a thread."""
    return await asyncio.to_thread(call, *args, **kwargs)


def _quietly(call: Callable[[], None]) -> None:
    """Release the lease; where the store is away, the lease runs out by itself."""
    try:
        call()
    except (TransientError, ConfigError):
        return
