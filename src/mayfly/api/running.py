"""Running one sync: from what a caller asks to what is told of its end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mayfly.adapters.processes import holder_name
from mayfly.api.helping import offering
from mayfly.api.permitting import permitted
from mayfly.api.residency import refusal_of as refusal_of_residency
from mayfly.api.results import SyncRun
from mayfly.api.watching import watch_of
from mayfly.bootstrap import SPECS, App
from mayfly.domain.errors import EngineError, PolicyError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.ports.destination import Destination, DestinationSpec
from mayfly.services.advance_run import advance
from mayfly.services.circuit import Circuit, circuit_of, probe_seconds
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.deliver import Sleep
from mayfly.services.events import (
    RunEnded,
    RunPlanned,
    RunStarted,
    Waiting,
    WithdrawalsHeld,
    WithdrawalsLate,
)
from mayfly.services.mapped_no_more import taking_out
from mayfly.services.over_target import rows_over_target
from mayfly.services.pausing import pause_of, refusal_of_pause
from mayfly.services.run import Holding, Run, RunOptions
from mayfly.services.run_tally import RunTally
from mayfly.services.withdraw_unapproved import (
    takes_anybody_out,
    with_delivered,
)

Progress = Callable[[str, int, int], None]
_SLICE_SECONDS = 0.5


@dataclass(kw_only=True)
class RunRequest:
    """What a caller asks of a run; see `mayfly run --help`.

    `progress` is told (sync, rows done, rows planned): 0 and 0 as a sync begins to be planned, then
    once it is planned and after each batch. `wait` is how long held syncs are waited for, and
    `waiting` is told (names, seconds) before each pause.
    """

    dry_run: bool = False
    full_refresh: bool = False
    limit: int | None = None
    accept_removals: int = 0
    in_doubt: str | None = None
    progress: Progress | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    wait: timedelta = timedelta()
    waiting: Callable[[Sequence[str], float], None] | None = None


def run_syncs(
    app: App, syncs: Sequence[SyncSettings], asked: RunRequest, *, before: Callable[[], object]
) -> list[SyncRun]:
    """One after the other; what is held then is run again, with longer and longer pauses, until
    it is not or `asked.wait` is over.

    Args:
        app: of the project.
        syncs: to run.
        asked: by the caller.
        before: called before each further round: what is past its deadline ends there, too.
    """
    ended: dict[str, SyncRun] = {}
    left = asked.wait.total_seconds()
    todo, probe = list(syncs), 0
    while todo:
        if probe:
            # What was let through or decided once was of what was known then.
            asked = replace(asked, in_doubt=None, accept_removals=0)
        for sync in todo:
            ended[sync.name] = run_sync(app, sync, asked)
            if asked.stop.is_set():
                return list(ended.values())
        todo, probe = [s for s in syncs if ended[s.name].status == "held"], probe + 1
        pause = probe_seconds(probe, _named(app, todo))
        left -= pause
        if not todo or left < 0:
            break
        if asked.waiting is not None:
            asked.waiting([s.name for s in todo], pause)
        _pause(app, asked.stop, pause)
        if asked.stop.is_set():
            break
        try:
            before()
        except EngineError:
            break  # what has ended is told; the next command meets it at its beginning
    return list(ended.values())


def _named(app: App, syncs: Sequence[SyncSettings]) -> float | None:
    """Seconds until the first of their destinations may be asked; None where one may be now."""
    known = {o.destination: o for o in app.store.outages() if o.target == app.project.target}
    named = [known[s.destination].asked_again_at if s.destination in known else None for s in syncs]
    now = app.clock.now()
    return min(((at - now).total_seconds() if at else 0.0 for at in named), default=None)


def _pause(app: App, stop: asyncio.Event, seconds: float) -> None:
    """Wait, in slices that an interrupt ends."""

    async def main() -> None:
        left = seconds
        while left > 0 and not stop.is_set():
            await app.sleep(min(left, _SLICE_SECONDS))
            left -= _SLICE_SECONDS

    asyncio.run(main())


def run_sync(app: App, sync: SyncSettings, asked: RunRequest) -> SyncRun:
    """One run of one sync, from its record in the store to the record of its end."""
    run_id = new_run_id()
    if not asked.dry_run:
        app.store.start_run(
            run_id=run_id,
            sync=sync.name,
            target=app.project.target,
            mode=sync.mode,
            started_at=app.clock.now(),
            holder=holder_name(),
        )
    _tell_start(app, sync, run_id, asked)
    tally = RunTally()
    if asked.progress is not None:
        asked.progress(sync.name, 0, 0)
    try:
        with _remembered(app, sync, dry=asked.dry_run) as circuit:
            _advance(app, sync, run_id, asked, tally, circuit)
        ended = SyncRun(sync=sync.name, run=run_id, tally=tally, status=tally.status)
    except EngineError as error:
        status = "refused" if type(error).exit_code == 3 else "failed"
        if type(error).exit_code == 4:
            status = "held"
        if error.code == "in_doubt":
            status = "in_doubt"
        # Its frames hold rows, and what it was raised for holds a library's words on them.
        error.__context__, error.__traceback__ = None, None
        ended = SyncRun(sync=sync.name, run=run_id, tally=tally, status=status, error=error)
    if not asked.dry_run:
        _finish(app, ended)
        ended = replace(ended, withdrawals_held=_withdrawals_held(app, sync, ended))
    _tell_end(app, ended)
    return ended


def _tell_start(app: App, sync: SyncSettings, run_id: str, asked: RunRequest) -> None:
    app.tell(
        RunStarted(
            sync=sync.name,
            target=app.project.target,
            run=run_id,
            mode=str(sync.mode),
            dry=asked.dry_run,
        )
    )


def _withdrawals_held(app: App, sync: SyncSettings, ended: SyncRun) -> str:
    """Why nobody was asked who withdrew, of a sync that was approved, so that it may have delivered
    somebody; what is held only waits for its next run.
    """
    stopped = ended.status in ("refused", "failed") and not ended.tally.asked_withdrawals
    if ended.error is None or not stopped or not takes_anybody_out(app.project, sync):
        return ""
    record = app.store.approval(sync.id, app.project.target)
    return "" if record is None else ended.error.code


def _tell_end(app: App, ended: SyncRun) -> None:
    document = ended.to_dict()
    rows = document["rows"]
    times = document["withdrawal_seconds"]
    if times["late"]:
        app.tell(
            WithdrawalsLate(
                sync=ended.sync,
                target=app.project.target,
                run=ended.run,
                late=times["late"],
                waiting=times["waiting"],
                seconds=times["max"],
            )
        )
    if ended.withdrawals_held:
        app.tell(
            WithdrawalsHeld(
                sync=ended.sync,
                target=app.project.target,
                run=ended.run,
                code=ended.withdrawals_held,
            )
        )
    oldest = document["age_at_purge_seconds"]["max"]
    for event in rows_over_target(ended.sync, app.project.target, ended.run, oldest):
        app.tell(event)
    app.tell(
        RunEnded(
            sync=ended.sync,
            target=app.project.target,
            run=ended.run,
            status=ended.status,
            code=(document.get("error") or {}).get("code", ""),
            batches=document["batches"],
            planned=rows["planned"],
            delivered=rows["delivered"],
            rejected=rows["rejected"],
            held=rows["held"],
            seconds=document["seconds"],
            unconfirmed=rows["unconfirmed"],
            deferred=rows["deferred"],
            removed=rows["removed"],
            suppressed=rows["suppressed"],
            withheld_consent=rows["withheld_consent"],
            withheld_guard=rows["withheld_guard"],
            clear_values=ended.tally.clear_values,
        )
    )


def _holding(app: App, sync: SyncSettings) -> Holding:
    return Holding(
        spool=app.spool(),
        workspace=app.workspace_id,
        region=app.project.workspace.region or "",
        hold=sync.on_outage == "hold",
    )


def _sleep(app: App, sync: SyncSettings, run_id: str) -> Sleep:
    async def sleep(seconds: float) -> None:
        app.tell(Waiting(sync=sync.name, run=run_id, seconds=round(seconds, 3)))
        await app.sleep(seconds)

    return sleep


def _finish(app: App, ended: SyncRun) -> None:
    document = ended.to_dict()
    error = document.get("error") or {}
    app.store.finish_run(
        run_id=ended.run,
        status=ended.status,
        finished_at=app.clock.now(),
        counts=document["rows"],
        batches=document["batches"],
        seconds=document["seconds"],
        ages=document["age_at_purge_seconds"],
        error_code=error.get("code"),
    )


@contextmanager
def _remembered(app: App, sync: SyncSettings, *, dry: bool) -> Iterator[Circuit]:
    """What is known of a sync's destination, and what its run has found out of it."""
    if dry:
        yield Circuit()
        return
    target = app.project.target
    known = next(
        (o for o in app.store.outages() if (o.destination, o.target) == (sync.destination, target)),
        None,
    )
    circuit = circuit_of(known, app.clock.now())
    try:
        yield circuit
    finally:
        found = circuit.outage(known, sync.destination, target, app.clock.now())
        if found is None and known is not None:
            app.store.end_outage(sync.destination, target)
        elif found is not None and found != known:
            app.store.note_outage(found)


def _settled_list(app: App, *, dry: bool) -> PolicyError | None:
    """Record the suppression list; what is wrong with it stops all but withdrawals."""
    recorded = app.recorded_list()
    try:
        if dry:
            recorded.require_current()
        else:
            recorded.settle()
    except PolicyError as error:
        return error
    return None


def _only_withdrawals(app: App, sync: SyncSettings, *, dry: bool) -> PolicyError | None:
    """Why nothing else may go. A dry run shows what a paused sync would send, once resumed."""
    refusal = _settled_list(app, dry=dry) or refusal_of_residency(app)
    if refusal is not None or dry:
        return refusal
    pause = pause_of(app.store, sync, app.project.target)
    return None if pause is None else refusal_of_pause(sync, pause)


def _with_left(
    app: App, compiled: CompiledSync, kind: DestinationSpec, *, only_withdrawals: bool
) -> tuple[CompiledSync, CompiledSync | None]:
    """The sync, and what takes out identifiers that were delivered and are mapped no more. Where
    nothing goes but withdrawals, the sync takes them out together with the others.
    """
    spec = compiled.spec
    names = () if spec is None else app.plan_store(compiled).left_fields(spec)
    if spec is None or not names:
        return compiled, None
    if only_withdrawals:
        return with_delivered(compiled, names, kind), None
    return compiled, taking_out(compiled, names, kind)


def _taking_out(app: App, run: Run, left: CompiledSync, destination: Destination) -> Run:
    """The part of a run that goes before it; see `Run.left`."""
    if left.spec is None or left.policy is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    name = f"{run.spec.run}.left"
    spec = replace(left.spec, run=name, only_withdrawals=True, full_refresh=False)
    return replace(
        run,
        spec=spec,
        policy=left.policy,
        destination=destination,
        entry=app.entry(left, name),
        options=RunOptions(accept_removals=run.options.accept_removals),
        sender=None,
        holding=None,
        offered=None,
    )


def _advance(
    app: App,
    sync: SyncSettings,
    run_id: str,
    asked: RunRequest,
    tally: RunTally,
    circuit: Circuit,
) -> None:
    started = app.store.signals(run_id, sync.id, app.project.target)
    compiled, refusal = permitted(
        app,
        sync,
        run=run_id,
        limit=asked.limit,
        full_refresh=asked.full_refresh,
        dry=asked.dry_run,
    )
    # The list is settled in any case.
    refusal = _only_withdrawals(app, sync, dry=asked.dry_run) or refusal
    kind = SPECS[app.project.destinations[sync.destination].type]
    left = None
    if not asked.dry_run:
        compiled, left = _with_left(app, compiled, kind, only_withdrawals=refusal is not None)
    spec, policy = compiled.spec, compiled.policy
    if spec is None or policy is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    worker = app.worker(compiled)
    watch = watch_of(app, compiled, worker, run_id, started, withdrawing=refusal is not None)
    gate = app.gate(sync)
    with ExitStack() as stack:
        make = stack.enter_context(app.destination(compiled))
        make_left = None if left is None else stack.enter_context(app.destination(left))

        async def main() -> None:
            async with AsyncExitStack() as closing:
                destination = make()
                closing.push_async_callback(destination.close)
                run = Run(
                    spec=spec,
                    policy=policy,
                    store=app.plan_store(compiled),
                    worker=worker,
                    destination=destination,
                    ledger=app.ledger,
                    repeatable=kind.batch_marker or kind.repeatable,
                    concurrency=kind.concurrency,
                    entry=app.entry(compiled, run_id),
                    now_ms=app.clock.now_ms,
                    holder=holder_name(),
                    alive=app.alive,
                    options=_options(asked, refusal),
                    stop=asked.stop,
                    sleep=_sleep(app, sync, run_id),
                    progress=_telling(app, sync, run_id, asked.progress),
                    holding=_holding(app, sync),
                    withheld_share_max=sync.withheld_threshold,
                    recheck_after_ms=sync.recheck_after_seconds * 1_000,
                    circuit=circuit,
                    elsewhere=app.waiting().elsewhere,
                    look=watch.look,
                    rows=None if gate is None else gate.rows,
                    offered=None if refusal else offering(app, compiled, run_id),
                )
                if left is not None and make_left is not None:
                    run.left = _taking_out(app, run, left, make_left())
                    closing.push_async_callback(run.left.destination.close)
                await advance(run, tally)

        asyncio.run(main())


def _options(asked: RunRequest, refusal: EngineError | None) -> RunOptions:
    return RunOptions(
        dry=asked.dry_run,
        accept_removals=asked.accept_removals,
        in_doubt=asked.in_doubt,
        refusal=refusal,
    )


def _telling(
    app: App, sync: SyncSettings, run_id: str, progress: Progress | None
) -> Callable[[int, int], None]:
    """Tells once how much was planned, and then each time whoever asked how far it is."""
    told: list[bool] = []

    def tell(done: int, planned: int) -> None:
        if not told:
            told.append(True)
            target = app.project.target
            app.tell(
                RunPlanned(sync=sync.name, target=target, run=run_id, rows=max(0, planned - done))
            )
        if progress is not None:
            progress(sync.name, done, planned)

    return tell


def new_run_id() -> str:
    """An id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"
