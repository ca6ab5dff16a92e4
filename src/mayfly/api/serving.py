"""A process that runs syncs when they are due, until it is asked to stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.adapters.processes import holder_name, is_alive
from mayfly.api.helping import Helping
from mayfly.api.probing import PATHS, OpenListener, Probes, open_listener
from mayfly.api.project import Project
from mayfly.api.running import RunRequest, new_run_id
from mayfly.bootstrap import App, open_app
from mayfly.bootstrap.engine import (
    is_one_process,
    open_engine,
    own_store,
    require_region,
    require_shared,
)
from mayfly.config.stamp import stamp_of
from mayfly.domain.errors import EngineError, PolicyError, TransientError
from mayfly.domain.settings import SyncSettings
from mayfly.ports.engine import Engine
from mayfly.services.events import RunGivenUp, WorkerStarted, WorkerStopped
from mayfly.services.living import Undertaker
from mayfly.services.measuring import Meter
from mayfly.services.schedule_runs import Scheduler, begin_asked, end_asked, leave_asked
from mayfly.services.ticks import ATTEMPTS_MAX

GIVEN_UP = 1
"""Exit code of a worker whose lease is over: what it had begun is others' now."""
_JOURNAL_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a worker does what it does, in seconds.

    Args:
        beat: between two beats.
        lease: who is silent for longer is given up.
        look: between two looks at what is due.
        sweep: between two sweeps of what is past its deadline.
        tell: between two looks at what waits, for telemetry.
    """

    beat: float = 5.0
    lease: float = 60.0
    look: float = 1.0
    sweep: float = 600.0
    tell: float = 60.0


@dataclass(kw_only=True)
class Worker:
    """One process that runs syncs. `serve` returns once it was asked to stop.

    Args:
        root, target: of the project.
        region: of this process; None of `mayfly serve`, which is where the workspace is.
        pace: how often what is done.
        leave: ends the process at once.
        listen: `ADDRESS:PORT` for probes and metrics; None for what the project files say.
        public: whether other machines may reach it.
    """

    root: Path
    target: str = "dev"
    region: str | None = None
    pace: Pace = field(default_factory=Pace)
    leave: Callable[[int], object] = os._exit
    listen: str | None = None
    public: bool = False
    executor: str = field(default_factory=holder_name)
    port: int | None = field(default=None, init=False)
    meter: Meter = field(default_factory=Meter, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _hand: RunRequest | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Open the project, and refuse what this process may not do.

        Raises:
            PolicyError: `worker_needs_postgres`, `worker_elsewhere`, and what `load` raises.
            ConfigError: `listen_address`, `listen_public`, `driver_missing`.
        """
        self.app = self._opened()
        project = self.app.project
        if self.region is not None:
            require_shared(project, dict(os.environ))
            require_region(project, self.region)
        self._where = self.region or project.workspace.region or ""
        self._listener = self._new_listener()
        self._engine = self._new_engine(self.app)
        self._lease_ms = round(self.pace.lease * 1_000)
        self._helping = Helping(opened=self._opened, executor=self.executor, busy=threading.Lock())

    def _opened(self) -> App:
        return open_app(self.root, target=self.target, meter=self.meter)

    def _new_listener(self) -> OpenListener | None:
        settings = self.app.project.serve
        text = self.listen or settings.listen
        if text is None:
            return None
        probes = Probes(
            app=lambda: self.app,
            meter=self.meter,
            draining=self._stop.is_set,
            region=self.region,
        )
        return open_listener(text, public=self.public or settings.public, probes=probes)

    def _new_engine(self, app: App) -> Engine:
        return open_engine(
            app.project,
            region=self._where,
            executor=self.executor,
            act=self._act,
            env=dict(os.environ),
        )

    def says(self) -> str:
        """What it does, for people."""
        names = [s.name for s in self.app.project.syncs.values() if s.schedule is not None]
        where = f" in region {self._where}" if self._where else ""
        listed = ", ".join(names) or "no sync has a schedule yet"
        says = f"Runs what is due under target {self.target}{where}: {listed}."
        if self._listener is not None:
            says += f"\nAnswers {', '.join(PATHS)} on {self._listener.address}."
        return says

    def stop(self) -> None:
        """End after the batch in hand. May be called from a signal's handler."""
        self._stop.set()
        self._helping.leave()
        hand = self._hand
        if hand is not None:
            hand.stop.set()

    def serve(self) -> None:
        """Run what is due until `stop`."""
        with nullcontext() if self._listener is None else self._listener as listening:
            self.port = None if listening is None else listening.port
            self._serve()

    def _serve(self) -> None:
        store = self.app.store
        self._refuse_second()
        store.enlist(self.executor, self._where)
        self.app.tell(WorkerStarted(executor=self.executor, region=self._where))
        beats = [threading.Thread(target=f, daemon=True) for f in (self._beat, self._give_up)]
        code = ""
        try:
            self._engine.start()
            for thread in beats:
                thread.start()
            self._look_on()
        except EngineError as error:
            code = error.code
            raise
        finally:
            self._stop.set()
            self._helping.over()
            self._engine.stop(wait_seconds=3_600 if self._hand is not None else 0)
            for worker in store.workers():
                if worker.executor == self.executor:
                    store.end_worker(worker)
            self.app.tell(WorkerStopped(executor=self.executor, code=code))
            self.app.flush()

    def _refuse_second(self) -> None:
        """A journal in a file is one process's alone."""
        if not is_one_process(self.app.project, dict(os.environ)):
            return
        for other in self.app.store.workers():
            if not other.ended and is_alive(other.executor):
                raise PolicyError(
                    "worker_running",
                    "Another process runs what is due in this project.",
                    hint="Stop it first. Several share one store in PostgreSQL: mayfly worker.",
                )

    def _look_on(self) -> None:
        failed, swept, told = 0, time.monotonic(), 0.0
        while not self._stop.wait(self.pace.look):
            try:
                self._look()
                if self.app.store.is_shared:
                    self._helping.look(self.app.store, self.target)
                failed = 0
            except TransientError as error:
                failed = failed + 1 if error.code == "journal_unavailable" else 0
            if failed >= _JOURNAL_TRIES and self._hand is None:
                failed = 0
                self._renew_journal()
            if time.monotonic() - told >= self.pace.tell and self._hand is None:
                told = time.monotonic()
                self.app.tell_figures()
            if time.monotonic() - swept >= self.pace.sweep and self._hand is None:
                swept = time.monotonic()
                with suppress(EngineError):
                    Project(self.app).sweep()

    def _look(self) -> None:
        self._reload()
        app = self.app
        Scheduler(
            store=app.store,
            engine=self._engine,
            target=self.target,
            alive=app.alive,
            now=app.clock.now,
            tell=app.tell,
        ).look(app.project.syncs.values())

    def _reload(self) -> None:
        """Files that changed are read; where they are faulty, what was scheduled stays so."""
        project = self.app.project
        if stamp_of(project.root, self.app.loaded.files) == self.app.stamp:
            return
        with suppress(EngineError):
            before, self.app = self.app, self._opened()
            before.store.close()

    def _renew_journal(self) -> None:
        """A journal that was deleted is made anew; what was asked for is in the store."""
        with suppress(EngineError):
            self._engine.stop()
        with suppress(EngineError):
            self._engine.start()

    # -- one run --------------------------------------------------------------------------------

    def _act(self, run: str, sync_id: str) -> str:
        """One asked run, from today's project files; see `DurableEngine`."""
        if self._stop.is_set():
            return "stopped"
        self._helping.leave()
        with self._helping.busy:
            project = Project(self._opened())
            try:
                return self._run(project, run, sync_id)
            finally:
                self._hand = None
                project.app.store.close()

    def _run(self, project: Project, run: str, sync_id: str) -> str:
        app = project.app
        if self.region is not None:
            require_region(app.project, self.region)
        sync = next((s for s in app.project.syncs.values() if s.id == sync_id), None)
        begun = begin_asked(app.store, run, sync_id, self.target)
        if begun is None or sync is None:
            return "not_asked"
        if begun.attempts > ATTEMPTS_MAX:
            return _given_up(app, run, sync, begun.attempts)
        self._hand = RunRequest()
        if self._stop.is_set():
            self._hand.stop.set()
        status = _done(project, sync, self._hand)
        if self._hand.stop.is_set():
            leave_asked(app.store, run, sync_id, self.target)
            return "stopped"  # it stays asked for: another worker goes on
        end_asked(app.store, run, sync_id, self.target)
        return status

    # -- beats, each with connections of its own --------------------------------------------------

    def _beat(self) -> None:
        store, good = own_store(self.app.project), time.monotonic()
        while not self._stop.wait(self.pace.beat):
            try:
                living = store.beat(self.executor, lease_ms=self._lease_ms)
            except EngineError:
                living = time.monotonic() - good <= self.pace.lease
            else:
                good = time.monotonic()
            if not living and not self._stop.is_set():
                self.app.tell(WorkerStopped(executor=self.executor, code="lease_over"))
                self.leave(GIVEN_UP)
                return

    def _give_up(self) -> None:
        store = own_store(self.app.project)
        undertaker = Undertaker(
            store=store,
            engine=self._engine,
            executor=self.executor,
            lease_ms=self._lease_ms,
            here=is_alive,
            tell=self.app.tell,
        )
        while True:
            with suppress(EngineError):
                undertaker.look()
            if self._stop.wait(self.pace.beat):
                return


def _done(project: Project, sync: SyncSettings, request: RunRequest) -> str:
    """The status of a run, or the code of what kept it from beginning."""
    app = project.app
    try:
        [ended] = project.run(sync.name, request=request).syncs
    except EngineError as error:
        return error.code
    except Exception:
        # Its own record would say for ever that it goes on.
        _fail(app, sync, "unexpected")
        return "unexpected"
    return ended.status


def _fail(app: App, sync: SyncSettings, code: str) -> None:
    last = app.store.last_run(sync.name, app.project.target)
    if last is not None and last.status == "running" and last.holder == holder_name():
        _finish_failed(app, last.run_id, code)


def _given_up(app: App, run: str, sync: SyncSettings, attempts: int) -> str:
    """So many workers ended over it that it is left until the next tick, and recorded as failed."""
    run_id, target = new_run_id(), app.project.target
    app.store.start_run(
        run_id=run_id,
        sync=sync.name,
        target=target,
        mode=sync.mode,
        started_at=app.clock.now(),
        holder=holder_name(),
    )
    _finish_failed(app, run_id, "run_given_up")
    app.tell(RunGivenUp(sync=sync.name, target=target, attempts=attempts))
    end_asked(app.store, run, sync.id, target)
    return "given_up"


def _finish_failed(app: App, run_id: str, code: str) -> None:
    app.store.finish_run(
        run_id=run_id,
        status="failed",
        finished_at=app.clock.now(),
        counts={},
        batches=0,
        seconds=0.0,
        ages={},
        error_code=code,
    )
