"""One run of one sync: close what was left open, plan, deliver, close.

`advance` is the only way a row travels. It reads the plan store, which is the truth about
batches, and tells the run's end as a value; nothing it returns, logs or raises holds a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from mayfly.domain.batch import Batch
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    PolicyError,
    TransientError,
)
from mayfly.domain.held import HoldException
from mayfly.ledger.entry import EntryType
from mayfly.planning.spec import OpenPlan, Plan
from mayfly.ports.destination import Locating
from mayfly.privacy.gate.gate import pass_gate
from mayfly.services.check_plan import check_plan
from mayfly.services.deliver_plan import Job, acknowledge, deliver, tell
from mayfly.services.doubt import settle
from mayfly.services.find_object import ObjectFound, find_object
from mayfly.services.hold import drain, note_gone, purge_others, seal_waiting
from mayfly.services.run import (
    Run,
    at_present,
    call,
    followed,
    note_object,
    sender_of,
    withdrawing,
)
from mayfly.services.run_tally import RunTally


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
    await call(run.store.acquire, run.spec, holder=run.holder, now_ms=run.now_ms(), alive=run.alive)
    try:
        away = await _reach(run, tally)
        refusal = None
        if run.left is not None and away is None:
            refusal = await _take_out_left(run.left, tally)
        if refusal is None and tally.stopped is None:
            refusal = await _round(run, tally, away)
        if (reason := refusal or tally.stopped) is not None:
            raise reason
    except TransientError as error:
        tally.held_by(error)
        await _record_left_open(run, tally, error)
    except EngineError as error:
        if isinstance(error, PolicyError):
            run.ledger.append([run.entry(EntryType.REFUSED, reason=error.code)])
        await _record_left_open(run, tally, error)
        raise
    finally:
        await call(_quietly, run.store.release)
        tally.finished_ms = run.now_ms()
    return tally


async def _round(run: Run, tally: RunTally, away: TransientError | None) -> EngineError | None:
    """Plan, deliver, close; what was refused, where that left withdrawals alone."""
    plan, refusal = await _plan(run, tally)
    tell(run, tally)
    for job in await _delivered(run, plan, tally, away):
        done = await followed(run, job.submitted)
        await acknowledge(run, tally, job.sent, done.outcomes)
    await note_object(run)
    _require_answered(tally)
    await _close(run, tally)
    return refusal


async def _take_out_left(left: Run, tally: RunTally) -> EngineError | None:
    """A plan of its own: only its batches may hold a field that the sync maps no more.

    Returns:
        See `_round`.
    """
    if isinstance(left.destination, Locating):
        await sender_of(left).locate(await call(left.store.object_id))
    return await _round(left, tally, None)


async def _reach(run: Run, tally: RunTally) -> TransientError | None:
    """Close what was left open, and find what the sync writes to.

    Returns:
        What says that the destination is away, where all the same a plan is made: its batches
        are sealed, since their rows may be gone from the source when it is back.
    """
    try:
        await sender_of(run).probe()
        await _close_left_open(run, tally)
        await _bind_object(run, tally)
    except TransientError as error:
        left_open = await call(run.store.open_plan)
        if left_open is not None:
            tally.waits(left_open)
        if left_open is None and run.circuit.away is not None and _holds(run):
            return error
        raise
    return None


def _holds(run: Run) -> bool:
    return run.holding is not None and run.holding.hold


async def _delivered(
    run: Run, plan: Plan, tally: RunTally, away: TransientError | None
) -> list[Job]:
    """See `deliver`. What a destination that is away does not take may wait sealed."""
    try:
        if away is not None and plan.batches:
            raise away
        return await deliver(run, plan, tally)
    except TransientError:
        # What another worker may be sending now must not wait as well.
        if _holds(run) and run.share is None:
            # Where this fails, too, the warehouse is away as well, or the keys are: the plan waits.
            with contextlib.suppress(TransientError, ConfigError):
                await seal_waiting(run, tally)
        raise


async def _record_left_open(run: Run, tally: RunTally, error: EngineError) -> None:
    """A working copy that is known to wait is told from one that was lost from sight; and one that
    waits for its destination, which may be long, from any other.

    A process that was overtaken knows nothing of it any more.
    """
    if tally.open_run is None or error.code == "fenced":
        return
    outage = isinstance(error, TransientError) and run.circuit.away is not None
    reason = HoldException.DESTINATION_OUTAGE.value if outage else error.code
    entry = run.entry(EntryType.HELD, run=tally.open_run, reason=reason)
    # Where the ledger itself is what failed, the plan shows as unpaired until it is closed.
    with contextlib.suppress(TransientError):
        await call(run.ledger.append, [entry])


async def _dry(run: Run, tally: RunTally) -> None:
    """Plan, and let every row pass the gate; nothing is sent and nothing is written."""
    withheld = 0

    def inspect(batch: Batch) -> None:
        nonlocal withheld
        withheld += len(pass_gate(batch, run.policy).withheld)

    tally.found = await find_object(run.store, run.destination)
    forgotten = tally.found.forgotten > 0
    plan = await call(
        run.store.count, at_present(run), run.worker, inspect=inspect, forgotten=forgotten
    )
    _check(run, plan)
    tally.planned(plan)
    tally.withheld_guard += withheld
    tally.status = "succeeded" if plan.batches else "no_changes"


async def _close_left_open(run: Run, tally: RunTally) -> None:
    """A plan that another run left open is never finished; what is in doubt is marked."""
    if run.options.refusal is not None and not run.spec.removes:
        # Nobody is taken out by this sync, and what is in doubt of it might be sent again.
        raise run.options.refusal
    left_open = await call(run.store.open_plan)
    await _drop_never_made(run, left_open)
    await note_gone(run)
    await purge_others(run, None if left_open is None else left_open.run)
    if left_open is None:
        return
    tally.open_run = left_open.run
    await drain(run, tally, left_open)
    left_open = await call(run.store.open_plan) or left_open
    for batch in left_open.batches:
        if batch.intent and not batch.acknowledged:
            await settle(run, left_open, batch)
    report = await call(run.store.close, run.spec, now_ms=run.now_ms())
    tally.open_run = None
    tally.recovered = report.in_doubt
    entry = run.entry(EntryType.DROPPED, run=left_open.run, rows=report.rows, reason="closed_anew")
    await call(run.ledger.append, [entry])


async def _drop_never_made(run: Run, left_open: OpenPlan | None) -> None:
    """Runs killed while their working copy was announced in the ledger and not in the warehouse.

    The lease is ours, so that no other run of this sync can be at that point now.
    """
    announced = await call(run.ledger.open_runs, run.spec.identity.sync, run.spec.identity.target)
    lost = [r for r in announced if left_open is None or r != left_open.run]
    there = await call(run.elsewhere) if lost else ()
    if there is None:
        return
    # The sync wrote to another place then; that copy is the sweep's to end.
    entries = [
        run.entry(EntryType.DROPPED, run=r, reason="not_there") for r in lost if r not in there
    ]
    if entries:
        await call(run.ledger.append, entries)


async def _bind_object(run: Run, tally: RunTally) -> None:
    """An audience that was deleted, or made anew, holds nobody of those the state remembers."""
    if not isinstance(run.destination, Locating):
        return
    known = await call(run.store.object_id)
    found = await sender_of(run).locate(known)
    rows = await call(run.store.forgets, found)
    if rows:
        entry = run.entry(EntryType.STATE_DROPPED, rows=rows, reason="object_gone")
        await call(run.ledger.append, [entry])
    tally.found = ObjectFound(forgotten=await call(run.store.bind, found))


async def _plan(run: Run, tally: RunTally) -> tuple[Plan, EngineError | None]:
    """The working copy is in the ledger before it is made.

    Returns:
        The plan; and, where that is of withdrawals alone, what was refused.
    """
    await call(run.ledger.append, [run.entry(EntryType.CREATED)])
    refusal: EngineError | None = None
    try:
        try:
            plan = await call(
                run.store.create, at_present(run), run.worker, check=partial(_check, run)
            )
        except EngineError as error:
            if not isinstance(error, PolicyError) and error is not run.options.refusal:
                raise
            refusal = error
            plan = await _only_withdrawals(run, tally, error)
    except EngineError:
        await call(run.ledger.append, [run.entry(EntryType.DROPPED, reason="not_made")])
        raise
    tally.asked_withdrawals = True
    tally.planned(plan)
    tally.open_run = run.spec.run
    return plan, refusal


async def _only_withdrawals(run: Run, tally: RunTally, refusal: EngineError) -> Plan:
    """Whatever is refused, who withdrew is taken out.

    Raises:
        EngineError: the refusal, where nobody did, or where that cannot be planned either.
    """
    spec = withdrawing(run)

    def check(plan: Plan) -> None:
        check_plan(plan, spec, accept_removals=0)
        tally.asked_withdrawals = True
        if not plan.batches:
            raise refusal

    if not spec.removes:
        raise refusal
    try:
        return await call(run.store.create, spec, run.worker, check=check)
    except TransientError:
        raise
    except EngineError:
        raise refusal from None


def _require_answered(tally: RunTally) -> None:
    """What another worker left without an answer is in doubt: the next run finds out, or marks it,
    before it closes the plan.
    """
    if tally.unanswered:
        raise TransientError(
            "helper_lost",
            f"{tally.unanswered} batches of this run were begun by a worker that has not told what "
            "came of them.",
            hint="The sync's next run asks the destination, or sends their rows again.",
        )


async def _close(run: Run, tally: RunTally) -> None:
    report = await call(run.store.close, run.spec, now_ms=run.now_ms())
    tally.open_run = None
    entry = run.entry(EntryType.DROPPED, rows=report.rows, reason="done")
    await call(run.ledger.append, [entry])
    tally.closed()


def _check(run: Run, plan: Plan) -> None:
    if run.options.refusal is not None:
        raise run.options.refusal
    check_plan(
        plan, run.spec, accept_removals=run.options.accept_removals, guard_rows=run.guard_rows
    )


def _quietly(call: Callable[[], None]) -> None:
    """Release the lease; where the store is away, the lease runs out by itself."""
    try:
        call()
    except (TransientError, ConfigError):
        return
