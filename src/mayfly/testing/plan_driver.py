"""Runs of a sync in a small world, with anything happening between any two steps.

A run is the runner's own `advance`, over a real plan store and a destination in memory. Each call
of a port is two steps, before it and after it is committed; at any of them the process may die,
another may take over, or the model may change. Everything is on one thread and in one order, so
that a history found by chance can be repeated.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeAlias, TypeVar

import pyarrow as pa

from mayfly.domain.errors import EngineError, PolicyError, TransientError
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.spec import GUARD_ROWS, PlanField, PlanSpec, RowClass
from mayfly.privacy.gate import Form
from mayfly.privacy.gate.gate import GateField, GatePolicy
from mayfly.services.advance_run import advance
from mayfly.services.run import Holding, Run, RunOptions
from mayfly.services.run_tally import RunTally
from mayfly.services.stopping import Look
from mayfly.testing.plan_ports import (
    WatchedDestination,
    WatchedLedger,
    WatchedSpool,
    watched,
)
from mayfly.testing.plan_world import Person, World
from mayfly.testing.turns import Party

P = ParamSpec("P")
T = TypeVar("T")


# Of the spool: it belongs to one worker.
WORKSPACE, REGION = "shop-1", "eu-west-1"
Step = tuple[str, int]
Events: TypeAlias = "Mapping[Step, Callable[[Attempt], None]]"


class CrashError(Exception):
    """The process is gone."""


@dataclass(kw_only=True)
class Attempt:
    """One process that runs the sync.

    Args:
        world: where it runs.
        events: step (its name, and the how-manieth of that name) to what happens there.
        asynchronous, markers: of the destination.
        in_doubt: what is chosen for appends in doubt.
        guard_rows, accept_removals: from how many rows on a change is a mass change, and how
            many are let through.
        seed: of the order in which batches are sent.
        concurrency: how many of them are on their way at the same time.
        holds: whether what a destination that is away does not take waits sealed.
        refusal: why nothing but withdrawals may go.
        look: for what ends the run, before each batch.

    Attributes:
        holding: whether it took the lease, and has not given it back.
        in_flight: batches the destination may be working on; a lease outlasts that.
        overtaken: whether another process took its lease.
        withdrawing: whether its plan is of withdrawals alone.
        taking_out: identifiers that its plan takes out of everybody.
        party: that takes turns; None of the test's own.
    """

    world: World
    events: Events = field(default_factory=dict)
    asynchronous: bool = False
    markers: bool = True
    in_doubt: str | None = None
    guard_rows: int = GUARD_ROWS
    accept_removals: int = 0
    seed: int = 0
    concurrency: int = 1
    holds: bool = False
    refusal: PolicyError | None = None
    look: Look | None = None
    dead: bool = False
    holding: bool = False
    in_flight: set[int] = field(default_factory=set)
    overtaken: bool = False
    withdrawing: bool = False
    taking_out: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    tally: RunTally | None = None
    error: Exception | None = None
    party: Party | None = None

    def __post_init__(self) -> None:
        self.world.runs += 1
        self.world.now_ms += 1_000
        self.run = f"r{self.world.runs}"
        self.holder = f"h{self.world.runs}"
        self.world.began[self.run] = len(self.world.history) - 1

    def go(self) -> Attempt:
        """Run to the end, a crash, or an error."""
        try:
            self.tally = on_one_thread(advance(self._run()))
        except (CrashError, EngineError) as error:
            self.error = error
        return self

    def step(self, name: str) -> None:
        """A moment in which anything may happen. Raises CrashError once the process is dead."""
        if not self.dead:
            step = (name, 1 + sum(name == n for n, _ in self.steps))
            self.steps.append(step)
            event = self.events.get(step)
            if event is not None:
                event(self)
            self.world.turns.step(self.party or self.world.turns.main)
        if self.dead:
            raise CrashError

    def call(self, port: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a port, with a step before and after."""
        name = getattr(port, "__name__", "")
        self.step(f"before {name}")
        result = port(*args, **kwargs)
        self.step(f"after {name}")
        return result

    def crash(self, *, jobs: str = "kept") -> None:
        """Die here; the destination's jobs are `lost`, `done`, or `kept` until somebody asks."""
        self.dead = True
        self._orphan(jobs)

    def overtake(self, events: Events, *, jobs: str) -> None:
        """Another process finds the lease run out and runs the sync, while this one is paused."""
        if self.in_flight:
            return
        self._orphan(jobs)
        other = replace(
            self,
            events=events,
            dead=False,
            holding=False,
            overtaken=False,
            took_lease=False,
            withdrawing=False,
        )
        other.in_flight, other.taking_out = set(), set()
        other.steps, other.error, other.tally = [], None, None
        # A loop of its own: this process is in the middle of one.
        thread = threading.Thread(target=other.go)
        thread.start()
        thread.join()
        other.check_end()
        self.overtaken = self.overtaken or (self.holding and other.took_lease)

    took_lease: bool = False

    @property
    def is_past(self) -> bool:
        """Whether it may write nothing any more."""
        return self.overtaken

    def knock(self) -> None:
        """A process that believes this one alive is refused, and changes nothing."""
        if not self.holding or self.overtaken:
            return
        spec = self.world.spec("knock")
        store = self.world.store(spec.identity)
        try:
            store.acquire(spec, holder="k", now_ms=self.world.now_ms, alive=lambda _: True)
            refused = False
        except TransientError:
            refused = True
        assert refused, "two processes hold one lease"

    def check_end(self) -> None:
        """The only errors a run may end with are those of its history.

        Raises:
            AssertionError: another error.
        """
        if self.error is None or isinstance(self.error, CrashError):
            return
        code = getattr(self.error, "code", "")
        expected = (
            (code == "fenced" and self.is_past)
            or (code == "in_doubt" and self.in_doubt is None and not self.markers)
            or (code == "mass_change" and not self.accept_removals)
            or (self.refusal is not None and code == self.refusal.code)
        )
        if code == "mass_change":
            # What an earlier run has sealed goes before a plan is made. Of those who withdrew a
            # plan of its own may go after it, whose rows are looked at as they are sent.
            names = [name for name, _ in self.steps]
            made = names.index("before create") if "before create" in names else 0
            assert self.withdrawing or "before write" not in names[made:], "a refused plan was sent"
            assert not self.world.ledger.open_runs("people", "dev"), "a refused plan is open"
        if not expected:
            raise AssertionError(f"a run ended with {code}") from self.error

    def wanted_since(self, run: str) -> list[dict[int, Person]]:
        """What was wanted at each moment since a run began. Of what an earlier one has sealed,
        it may only be sent of people who are wanted while this one runs.
        """
        run = run.partition(".")[0]  # what is sent again has a name of its own
        moments = self.world.history[self.world.began[run] :]
        if run == self.run:
            return moments
        now = set[int]().union(*self.world.history[self.world.began[self.run] :])
        return [{k: v for k, v in m.items() if k in now} for m in moments]

    def _orphan(self, jobs: str) -> None:
        if jobs == "done":
            self.world.destination.finish_jobs()
        elif jobs == "lost":
            self.world.destination.forget_jobs()

    def _run(self) -> Run:
        spec = self.world.spec(self.run)
        lost = tuple(map(_lost, self.world.store(spec.identity).left_fields(spec)))
        if lost and self.refusal is not None:
            spec = replace(spec, fields=(*spec.fields, *lost))
        run = self._run_of(spec)
        if lost and self.refusal is None and RowClass.LEFT in spec.removes:
            whole = tuple(replace(f, taken_out=True) for f in lost)
            name, fields = f"{self.run}.left", (*spec.fields, *whole)
            left = self._run_of(replace(spec, run=name, fields=fields, only_withdrawals=True))
            # Of one process: it has one lease.
            run.left = replace(left, store=run.store, holding=None, offered=None)
        return run

    def _run_of(self, spec: PlanSpec) -> Run:
        world = self.world

        def entry(type_: EntryType, **fields: Any) -> Entry:
            named = {"workspace": "w", "target": "dev", "sync": "people", "run": spec.run}
            return Entry(type=type_, **(named | fields))

        return Run(
            spec=spec,
            policy=_policy(spec),
            store=watched(self, world.store(spec.identity)),
            worker=world.worker,
            destination=WatchedDestination(self, spec),
            ledger=WatchedLedger(self),
            repeatable=self.markers,
            entry=entry,
            now_ms=lambda: world.now_ms,
            holder=self.holder,
            alive=world.turns.alive,
            options=RunOptions(
                in_doubt=self.in_doubt,
                accept_removals=self.accept_removals,
                refusal=self.refusal,
            ),
            sleep=self._no_sleep,
            guard_rows=self.guard_rows,
            concurrency=self.concurrency,
            holding=self._holding(),
            look=self.look,
            offered=lambda _: None,
        )

    def _holding(self) -> Holding | None:
        spool = self.world.spool()
        if spool is None:
            return None
        return Holding(
            spool=WatchedSpool(self, spool), workspace=WORKSPACE, region=REGION, hold=self.holds
        )

    async def _no_sleep(self, seconds: float) -> None:
        """Retries follow at once. What another process that hangs is waited for takes its time."""
        self.pauses.append(seconds)
        turns = self.world.turns
        if not turns.rest(self.party or turns.main) and turns.others:
            self.world.now_ms += 60_000


def _lost(name: str) -> PlanField:
    """An identifier that was delivered and is mapped no more."""
    return PlanField(
        name=name,
        column="id",
        arrow_type=pa.int64(),
        form=Form.DIGEST,
        identifier=True,
        unread=True,
    )


def _policy(spec: PlanSpec) -> GatePolicy:
    return GatePolicy(
        external=spec.external,
        fields=tuple(
            GateField(
                name=f.name,
                form=f.form,
                shape="any" if f.form is Form.CLEAR else "digest",
                identifier=f.identifier,
            )
            for f in spec.fields
        ),
    )


class _Inline(ThreadPoolExecutor):
    """Runs everything where it is handed over, so that no two calls are ever under way."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `Executor.submit`."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def on_one_thread(work: Coroutine[Any, Any, T]) -> T:
    """What comes of some work whose every call is made where it stands."""
    loop = asyncio.new_event_loop()
    try:
        loop.set_default_executor(_Inline(max_workers=1))
        return loop.run_until_complete(work)
    finally:
        loop.close()
