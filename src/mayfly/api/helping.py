"""Helping with runs of other workers, and letting others help: found through the store."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mayfly.adapters.processes import holder_name
from mayfly.api.residency import refusal_of as refusal_of_residency
from mayfly.api.watching import watch_of
from mayfly.bootstrap import SPECS, App
from mayfly.domain.errors import EngineError
from mayfly.domain.runs import RunOffer
from mayfly.domain.version import VERSION
from mayfly.ports.store import Store
from mayfly.services import approve as approvals
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.events import RunHelped
from mayfly.services.help_run import help_out
from mayfly.services.run import Run, RunOptions
from mayfly.services.run_tally import RunTally

SHARES_VARIABLE = "MAYFLY_SHARE_RUNS"
"""Is 1 where the runs of this process may be shared."""


def offering(app: App, compiled: CompiledSync, run_id: str) -> Callable[[bool], None] | None:
    """What tells other workers of a run, and that it is over; None where nobody can help: it was
    not switched on, the destination takes batches of one process, the store is a file, or there is
    no other worker.
    """
    if os.environ.get(SHARES_VARIABLE) != "1":
        return None
    kind = SPECS[app.project.destinations[compiled.sync.destination].type]
    if not kind.shared or not app.store.is_shared:
        return None
    if all(w.ended or w.executor == holder_name() for w in app.store.workers()):
        return None
    offer = RunOffer(
        run=run_id, sync=compiled.sync.id, target=app.project.target, mark=mark_of(compiled)
    )

    def tell(on: bool) -> None:
        if on:
            app.store.offer_run(offer)
        else:
            app.store.end_offer(run_id)

    return tell


def mark_of(compiled: CompiledSync) -> str:
    """Digest of all that what is sent depends on: the program, the compiled sync, what may leave.
    Not of what a plan is made by, which is made already.
    """
    spec = compiled.spec
    if spec is not None:
        spec = replace(spec, run="", now_ms=0, renew_before_ms=None, limit=None, full_refresh=False)
    known = (VERSION, spec, compiled.policy, compiled.sync, compiled.pinned)
    return hashlib.sha256(repr(known).encode()).hexdigest()


@dataclass(kw_only=True)
class Helping:
    """What a worker does for others while it has nothing to do.

    Args:
        opened: opens the project.
        executor: this worker.
        busy: held by whatever this process does: one thing at a time.
    """

    opened: Callable[[], App]
    executor: str
    busy: threading.Lock
    _stop: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _seen: set[str] = field(default_factory=set, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def look(self, store: Store, target: str) -> None:
        """Help with a run that is offered, once, in a thread of its own.

        Raises:
            TransientError: of the store.
        """
        if self.busy.locked():
            return
        found = store.run_offers(target)
        self._seen &= {o.run for o in found}
        offers = [o for o in found if o.run not in self._seen]
        if not offers or not self.busy.acquire(blocking=False):
            return
        self._seen.add(offers[0].run)
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._help, args=[offers[0]])
        self._thread.start()

    def leave(self) -> None:
        """End after the batch in hand."""
        self._stop.set()

    def over(self) -> None:
        """End after the batch in hand, and wait for that."""
        self.leave()
        if self._thread is not None:
            self._thread.join()

    def _help(self, offer: RunOffer) -> None:
        try:
            with suppress(EngineError):
                app = self.opened()
                try:
                    help_with(app, offer, executor=self.executor, stop=self._stop)
                finally:
                    app.store.close()
        finally:
            self.busy.release()


def help_with(app: App, offer: RunOffer, *, executor: str, stop: asyncio.Event) -> None:
    """Send batches of a run that is offered, where this worker goes by what the run goes by.

    Raises:
        EngineError: what keeps this worker from opening or compiling it.
    """
    sync = next((s for s in app.project.syncs.values() if s.id == offer.sync), None)
    if sync is None:
        return
    started = app.store.signals(offer.run, sync.id, app.project.target)
    compiled = app.compile(sync, run=offer.run)
    if first_refusal(compiled) is not None or mark_of(compiled) != offer.mark:
        return
    approvals.require_approved(app.project, app.store, sync.name, compiled.pinned, note=False)
    app.recorded_list().require_current()
    elsewhere = refusal_of_residency(app)
    if elsewhere is not None:
        raise elsewhere
    if compiled.spec is None or compiled.policy is None:
        return
    spec, policy, worker = compiled.spec, compiled.policy, app.worker(compiled)
    watch = watch_of(app, compiled, worker, offer.run, started, withdrawing=False)
    kind, gate = SPECS[app.project.destinations[sync.destination].type], app.gate(sync)
    tally, code = RunTally(), ""
    with app.destination(compiled) as make:

        async def main() -> None:
            destination = make()
            try:
                await help_out(
                    Run(
                        spec=spec,
                        policy=policy,
                        store=app.plan_store(compiled),
                        worker=worker,
                        destination=destination,
                        ledger=app.ledger,
                        repeatable=kind.batch_marker or kind.repeatable,
                        entry=app.entry(compiled, offer.run),
                        now_ms=app.clock.now_ms,
                        holder=executor,
                        alive=app.alive,
                        options=RunOptions(),
                        stop=stop,
                        sleep=app.sleep,
                        withheld_share_max=sync.withheld_threshold,
                        recheck_after_ms=sync.recheck_after_seconds * 1_000,
                        look=watch.look,
                        rows=None if gate is None else gate.rows,
                    ),
                    tally,
                )
            finally:
                await destination.close()

        try:
            asyncio.run(main())
        except EngineError as error:
            code = error.code
    if tally.batches or code:
        told = RunHelped(
            sync=sync.name,
            target=app.project.target,
            run=offer.run,
            batches=tally.batches,
            code=code,
        )
        app.tell(told)
