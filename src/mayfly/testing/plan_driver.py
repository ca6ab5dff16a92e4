"""Runs of a sync in a small world, with anything happening between any two steps.

A run is the runner's own `advance`, over a real plan store and a destination in memory. Each call
of a port is two steps, before it and after it is committed; at any of them the process may die,
another may take over, or the model may change. Everything is on one thread and in one order, so
that a history found by chance can be repeated.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeAlias, TypeVar

from mayfly.domain.batch import Batch, BatchHead, Operation, SyncMode
from mayfly.domain.errors import EngineError, PolicyError, TransientError
from mayfly.domain.held import HeldBatch
from mayfly.domain.outcomes import Outcomes
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.spec import (
    BatchInfo,
    CloseReport,
    OpenPlan,
    Plan,
    PlanCounts,
    PlanSpec,
    PlanWorker,
)
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.ports.ledger import OpenBatch, OpenCopy
from mayfly.ports.planstore import PlanStore
from mayfly.ports.spool import SealedReceipt, Spool
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.gate import GateField, GatePolicy
from mayfly.services.advance_run import advance
from mayfly.services.check_plan import GUARD_ROWS, GUARD_SHARE
from mayfly.services.run import Holding, Run, RunOptions
from mayfly.services.run_tally import RunTally
from mayfly.testing.fake_destination import FakeDestination
from mayfly.testing.plan_world import Person, World, identifiers

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

    Attributes:
        holding: whether it took the lease, and has not given it back.
        in_flight: batches the destination may be working on; a lease outlasts that.
        overtaken: whether another process took its lease.
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
    dead: bool = False
    holding: bool = False
    in_flight: set[int] = field(default_factory=set)
    overtaken: bool = False
    steps: list[Step] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    tally: RunTally | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.world.runs += 1
        self.world.now_ms += 1_000
        self.run = f"r{self.world.runs}"
        self.holder = f"h{self.world.runs}"
        self.world.began[self.run] = len(self.world.history) - 1

    def go(self) -> Attempt:
        """Run to the end, a crash, or an error."""
        try:
            self.tally = _on_one_thread(advance(self._run()))
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
            self, events=events, dead=False, holding=False, overtaken=False, took_lease=False
        )
        other.in_flight = set()
        other.steps, other.error, other.tally = [], None, None
        # A loop of its own: this process is in the middle of one.
        thread = threading.Thread(target=other.go)
        thread.start()
        thread.join()
        other.check_end()
        self.overtaken = self.overtaken or (self.holding and other.took_lease)

    took_lease: bool = False

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
            (code == "fenced" and self.overtaken)
            or (code == "in_doubt" and self.in_doubt is None and not self.markers)
            or (code == "mass_change" and not self.accept_removals)
        )
        if code == "mass_change":
            assert "before write" not in {name for name, _ in self.steps}, "a refused plan was sent"
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
        world, spec = self.world, self.world.spec(self.run)

        def entry(type_: EntryType, **fields: Any) -> Entry:
            named = {"workspace": "w", "target": "dev", "sync": "people", "run": self.run}
            return Entry(type=type_, **(named | fields))

        return Run(
            spec=spec,
            policy=_policy(spec),
            store=_Store(self, world.store(spec.identity)),
            worker=world.worker,
            destination=_Destination(self, spec),
            ledger=_Ledger(self),
            batch_marker=self.markers,
            entry=entry,
            now_ms=lambda: world.now_ms,
            holder=self.holder,
            alive=lambda _: False,
            options=RunOptions(in_doubt=self.in_doubt, accept_removals=self.accept_removals),
            sleep=self._no_sleep,
            guard_rows=self.guard_rows,
            concurrency=self.concurrency,
            holding=self._holding(),
        )

    def _holding(self) -> Holding | None:
        spool = self.world.spool()
        if spool is None:
            return None
        return Holding(
            spool=_Spool(self, spool), workspace=WORKSPACE, region=REGION, hold=self.holds
        )

    async def _no_sleep(self, seconds: float) -> None:
        """Retries follow at once."""
        self.pauses.append(seconds)


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


class _Store:
    """A plan store whose every call is two steps; what an overtaken process writes is a fault."""

    def __init__(self, attempt: Attempt, store: PlanStore) -> None:
        self._attempt = attempt
        self._store = store

    def count(self, *args: Any, **kwargs: Any) -> Plan:
        """Not a part of a run that sends."""
        raise NotImplementedError

    def acquire(self, spec: PlanSpec, **kwargs: Any) -> None:
        """See `PlanStore.acquire`."""
        self._attempt.step("before acquire")
        self._store.acquire(spec, **kwargs)
        self._attempt.holding = self._attempt.took_lease = True
        self._attempt.step("after acquire")

    def release(self) -> None:
        """See `PlanStore.release`."""
        self._attempt.step("before release")
        self._store.release()
        self._attempt.holding = False
        self._attempt.step("after release")

    def object_id(self) -> str | None:
        """See `PlanStore.object_id`."""
        return self._attempt.call(self._store.object_id)

    def bind(self, object_id: str | None) -> int:
        """See `PlanStore.bind`."""
        return self._written(self._store.bind, object_id)

    def forgets(self, object_id: str | None) -> int:
        """See `PlanStore.forgets`."""
        return self._attempt.call(self._store.forgets, object_id)

    def open_plan(self) -> OpenPlan | None:
        """See `PlanStore.open_plan`."""
        return self._attempt.call(self._store.open_plan)

    def create(self, spec: PlanSpec, worker: PlanWorker, *, check: Callable[[Plan], None]) -> Plan:
        """See `PlanStore.create`; the batches come in any order."""
        asked: list[Plan] = []

        def look(plan: Plan) -> None:
            asked.append(plan)
            check(plan)

        try:
            plan = self._written(self._store.create, spec, worker, check=look)
        except PolicyError:
            self._check_unchanged(spec, worker, asked[0].counts)
            raise
        self._check_guarded(plan.counts)
        batches = list(plan.batches)
        random.Random(self._attempt.seed).shuffle(batches)
        return replace(plan, batches=tuple(batches))

    def _check_unchanged(self, spec: PlanSpec, worker: PlanWorker, counts: PlanCounts) -> None:
        """A refused plan leaves nothing behind: whoever plans next finds the same."""
        store = self._attempt.world.store(spec.identity)
        assert store.open_plan() is None, "a refused plan is open"
        assert store.count(spec, worker).counts == counts, "a refused plan changed the state"

    def _check_guarded(self, counts: PlanCounts) -> None:
        """Without a word of the operator most of a table stays, whatever the model says."""
        attempt = self._attempt
        if attempt.world.mode is SyncMode.MIRROR and not attempt.accept_removals:
            lost = len(attempt.world.lost())
            few = lost < attempt.guard_rows or lost <= GUARD_SHARE * counts.state_rows
            assert few, "a mass change went through"

    def read(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], *args: Any, of: int
    ) -> list[Batch]:
        """See `PlanStore.read`."""
        return self._attempt.call(self._store.read, spec, batches, *args, of=of)

    def allowed(self, *args: Any) -> Any:
        """See `PlanStore.allowed`."""
        return self._attempt.call(self._store.allowed, *args)

    def intent(self, *args: Any) -> None:
        """See `PlanStore.intent`."""
        self._written(self._store.intent, *args)

    def submitted(self, batch: int, reference: str) -> None:
        """See `PlanStore.submitted`."""
        self._written(self._store.submitted, batch, reference)

    def outcome(self, batch: int, outcomes: Outcomes) -> None:
        """See `PlanStore.outcome`."""
        self._written(self._store.outcome, batch, outcomes)

    def close(self, spec: PlanSpec, *, now_ms: int) -> CloseReport:
        """See `PlanStore.close`."""
        return self._written(self._store.close, spec, now_ms=now_ms)

    def rejections(self) -> Any:
        """Not a part of a run."""
        raise NotImplementedError

    def forget_rejections(self) -> int:
        """Not a part of a run."""
        raise NotImplementedError

    def _written(self, port: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        name = getattr(port, "__name__", "")
        self._attempt.step(f"before {name}")
        if name == "intent":
            self._attempt.in_flight.add(int(str(args[0])))
        overtaken = self._attempt.overtaken
        result = port(*args, **kwargs)
        assert not overtaken, "an overtaken process wrote"
        self._attempt.step(f"after {name}")
        return result


class _Ledger:
    """The world's ledger; an entry is durable before the step after it."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._ledger = attempt.world.ledger

    def append(self, entries: Sequence[Entry]) -> None:
        """See `Ledger.append`."""
        self._attempt.call(self._ledger.append, entries)

    def entries(self) -> Iterator[Entry]:
        """See `Ledger.entries`."""
        return self._ledger.entries()

    def open_copies(self) -> Sequence[OpenCopy]:
        """See `Ledger.open_copies`."""
        return self._ledger.open_copies()

    def open_batches(self) -> Sequence[OpenBatch]:
        """See `Ledger.open_batches`."""
        return self._ledger.open_batches()

    def open_runs(self, sync: str, target: str) -> Sequence[str]:
        """See `Ledger.open_runs`."""
        return self._ledger.open_runs(sync, target)

    def last_time(self) -> None:
        """Entries have no time here."""

    def size(self) -> int:
        """Number of entries."""
        return self._ledger.size()


class _Spool:
    """The world's spool; a change of it is durable before the step after it."""

    def __init__(self, attempt: Attempt, spool: Spool) -> None:
        self._attempt = attempt
        self._spool = spool

    def hold(self, held: HeldBatch, content: bytes) -> SealedReceipt:
        """See `Spool.hold`."""
        return self._attempt.call(self._spool.hold, held, content)

    def open(self, batch_id: str) -> bytes:
        """See `Spool.open`."""
        return self._attempt.call(self._spool.open, batch_id)

    def held(self) -> Sequence[HeldBatch]:
        """See `Spool.held`."""
        return self._attempt.call(self._spool.held)

    def purge(self, batch_ids: Sequence[str]) -> Sequence[str]:
        """See `Spool.purge`."""
        return self._attempt.call(self._spool.purge, batch_ids)

    def rewrap(self) -> int:
        """Not a part of a run."""
        raise NotImplementedError

    def sweep(self) -> int:
        """Not a part of a run."""
        raise NotImplementedError


class _Destination:
    """The world's destination; a row that was never wanted while the run went is a fault."""

    def __init__(self, attempt: Attempt, spec: PlanSpec) -> None:
        self._attempt = attempt
        context = DestinationContext(
            workspace="w",
            sync="people",
            mode=spec.mode,
            object_name="people",
            key=("ID",),
            columns={f.name: f.arrow_type for f in spec.fields},
            forms={f.name: f.form for f in spec.fields},
        )
        self._fake = FakeDestination(
            attempt.world.destination,
            context,
            asynchronous=attempt.asynchronous,
            batch_marker=attempt.markers,
            rows_max=2,
        )

    async def check(self) -> None:
        """See `Destination.check`."""
        await self._fake.check()

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """See `Destination.write`."""
        self._attempt.step("before write")
        self._check_rows(batch.head, batch.rendered().to_pylist())
        # A platform works off what it took before what it takes now.
        self._attempt.world.destination.finish_jobs()
        try:
            answer = await self._fake.write(batch, progress)
        finally:
            self._attempt.in_flight.discard(batch.head.number)
        self._attempt.step("after write")
        return answer

    async def poll(self, job: JobRef) -> Done | Pending:
        """See `Destination.poll`."""
        self._attempt.step("before poll")
        answer = await self._fake.poll(job)
        self._attempt.step("after poll")
        return answer

    async def applied(self, head: BatchHead) -> bool | None:
        """See `Destination.applied`."""
        self._attempt.step("before applied")
        return await self._fake.applied(head)

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Not a part of a run."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `Destination.close`."""
        await self._fake.close()

    def _check_rows(self, head: BatchHead, rows: list[dict[str, Any]]) -> None:
        world = self._attempt.world
        moments = self._attempt.wanted_since(head.run)
        if head.operation is Operation.REMOVE:
            # Whether the destination ever took a rejected row is not known.
            taken = [
                {k: v for k, v in m.items() if v[0] not in world.rejected_emails} for m in moments
            ]
            wanted, sent = _removable(head, taken, rows, world.salt)
            assert not sent & set.intersection(*wanted), "a row was removed that was always wanted"
        else:
            for name in ("EMAIL", "PHONE") if world.by_identifier else ("",):
                wanted, sent = _addable(name, moments, rows, world.salt)
                assert sent <= set.union(*wanted), "a row was sent that was not wanted"


def _removable(
    head: BatchHead, moments: list[dict[int, Person]], rows: list[dict[str, Any]], salt: str
) -> tuple[list[set[Any]], set[Any]]:
    """What was wanted at each moment, and what a removal takes back."""
    if head.identifier is None:
        return [set(m) for m in moments], {row["ID"] for row in rows}
    sent = {row[head.identifier] for row in rows}
    return [identifiers(head.identifier, m, salt) for m in moments], sent


def _addable(
    name: str, moments: list[dict[int, Person]], rows: list[dict[str, Any]], salt: str
) -> tuple[list[set[Any]], set[Any]]:
    """What was wanted at each moment, and what is sent: of one identifier, or whole rows."""
    if name:
        return [identifiers(name, m, salt) for m in moments], {row[name] for row in rows} - {None}
    sent = {(row["ID"], row["EMAIL"], row["CITY"]) for row in rows}
    return [{(k, *v) for k, v in m.items()} for m in moments], sent


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


def _on_one_thread(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        loop.set_default_executor(_Inline(max_workers=1))
        return loop.run_until_complete(work)
    finally:
        loop.close()
