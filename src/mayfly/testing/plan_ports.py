"""Ports of a run in a small world: each call is a step, and what may not happen is a fault.

They pass on to the world's own plan store, ledger, spool and destination.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mayfly.domain.batch import Batch, BatchHead, Operation, SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.domain.held import HeldBatch
from mayfly.domain.outcomes import Outcomes
from mayfly.ledger.entry import Entry
from mayfly.planning.spec import (
    GUARD_SHARE,
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
from mayfly.ports.planstore import Joined, PlanStore, SharedPlanStore
from mayfly.ports.spool import SealedReceipt, Spool
from mayfly.privacy.gate import ProtectedBatch
from mayfly.testing.fake_destination import FakeDestination
from mayfly.testing.plan_world import SHARED, Person, identifiers

if TYPE_CHECKING:
    from mayfly.testing.plan_driver import Attempt

P = ParamSpec("P")
T = TypeVar("T")


class WatchedStore:
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
        self._attempt.world.owner = self._attempt.run
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

    def left_fields(self, spec: PlanSpec) -> Sequence[str]:
        """See `PlanStore.left_fields`."""
        return self._store.left_fields(spec)

    def left_identifiers(self, fields: Sequence[str]) -> Mapping[str, int]:
        """See `PlanStore.left_identifiers`."""
        return self._store.left_identifiers(fields)

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
        self._attempt.withdrawing = spec.only_withdrawals
        self._attempt.taking_out = {f.name for f in spec.fields if f.taken_out}
        if not spec.only_withdrawals:
            self._check_guarded(plan.counts)
        batches = list(plan.batches)
        random.Random(self._attempt.seed).shuffle(batches)
        return replace(plan, batches=tuple(batches))

    def withdrawals(self, spec: PlanSpec, worker: PlanWorker, **kwargs: Any) -> Plan:
        """See `PlanStore.withdrawals`."""
        self._attempt.step("before withdrawals")
        plan = self._store.withdrawals(spec, worker, **kwargs)
        assert not self._attempt.overtaken, "an overtaken process wrote"
        # Each is sent within the lease that this has renewed.
        self._attempt.in_flight |= {b.number for b in plan.batches}
        self._attempt.step("after withdrawals")
        return plan

    def taken_out(self, spec: PlanSpec, batch: int) -> None:
        """See `PlanStore.taken_out`."""
        self._written(self._store.taken_out, spec, batch)

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

    def keep(self, seconds: float) -> None:
        """See `PlanStore.keep`."""
        self._written(self._store.keep, seconds)

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
        overtaken = self._attempt.is_past
        result = port(*args, **kwargs)
        assert not overtaken, "an overtaken process wrote"
        self._attempt.step(f"after {name}")
        return result


class WatchedSharedStore(WatchedStore):
    """One whose open plan several processes send batches of."""

    _store: SharedPlanStore

    def offer(self, **kwargs: Any) -> None:
        """See `SharedPlanStore.offer`."""
        self._written(self._store.offer, **kwargs)

    def waiting(self) -> Sequence[str]:
        """See `SharedPlanStore.waiting`."""
        return self._store.waiting()

    def give_lane(self, name: str) -> bool:
        """See `SharedPlanStore.give_lane`."""
        return self._written(self._store.give_lane, name)

    def end_offer(self, alive: Callable[[str], bool]) -> bool:
        """See `SharedPlanStore.end_offer`."""
        attempt = self._attempt
        attempt.step("before end_offer")
        overtaken = attempt.is_past
        ended = self._store.end_offer(alive)
        assert not overtaken, "an overtaken process wrote"
        if ended:
            attempt.world.over.add(attempt.run)
        attempt.step("after end_offer")
        return ended

    def oldest_seconds(self) -> float:
        """See `SharedPlanStore.oldest_seconds`."""
        return self._attempt.call(self._store.oldest_seconds)

    def answers(self) -> Mapping[int, Outcomes]:
        """See `SharedPlanStore.answers`."""
        return self._attempt.call(self._store.answers)

    def begun(self) -> frozenset[int]:
        """See `SharedPlanStore.begun`."""
        return self._attempt.call(self._store.begun)

    def claim(self, batch: int, unsent: Outcomes | None = None) -> bool:
        """See `SharedPlanStore.claim`."""
        attempt = self._attempt
        attempt.step("before claim")
        overtaken = attempt.is_past
        claimed = self._store.claim(batch, unsent)
        assert not overtaken, "an overtaken process wrote"
        if claimed:
            attempt.in_flight.add(batch)
            first = attempt.world.senders.setdefault((attempt.run, batch), attempt.holder)
            assert first == attempt.holder, "two processes began one batch"
        attempt.step("after claim")
        return claimed

    def join(self, spec: PlanSpec, **kwargs: Any) -> Joined:
        """See `SharedPlanStore.join`."""
        attempt = self._attempt
        attempt.step("before join")
        overtaken = attempt.is_past
        joined = self._store.join(spec, **kwargs)
        assert not overtaken, "a run was joined that is over"
        attempt.step("after join")
        return joined

    def has_lane(self) -> bool:
        """See `SharedPlanStore.has_lane`."""
        return self._written(self._store.has_lane)

    def leave(self, **kwargs: Any) -> None:
        """See `SharedPlanStore.leave`."""
        self._attempt.call(self._store.leave, **kwargs)


def watched(attempt: Attempt, store: PlanStore) -> WatchedStore:
    """The plan store of a process, watched."""
    if isinstance(store, SharedPlanStore):
        return WatchedSharedStore(attempt, store)
    return WatchedStore(attempt, store)


class WatchedLedger:
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


class WatchedSpool:
    """The world's spool; a change of it is durable before the step after it."""

    def __init__(self, attempt: Attempt, spool: Spool) -> None:
        self._attempt = attempt
        self._spool = spool

    def hold(
        self,
        held: HeldBatch,
        content: bytes,
        *,
        announce: Callable[[str], None] | None = None,
    ) -> SealedReceipt:
        """See `Spool.hold`."""
        return self._attempt.call(self._spool.hold, held, content, announce=announce)

    def reseal(
        self,
        batch_id: str,
        content: bytes,
        *,
        rows: int,
        announce: Callable[[str], None] | None = None,
    ) -> HeldBatch:
        """Not a part of a run."""
        raise NotImplementedError

    def open(self, batch_id: str) -> bytes:
        """See `Spool.open`."""
        return self._attempt.call(self._spool.open, batch_id)

    def held(self) -> Sequence[HeldBatch]:
        """See `Spool.held`."""
        return self._attempt.call(self._spool.held)

    def remains(self) -> Sequence[HeldBatch]:
        """See `Spool.remains`."""
        return self._attempt.call(self._spool.remains)

    def sizes(self) -> Mapping[str, int]:
        """Not a part of a run."""
        raise NotImplementedError

    def key_versions(self, batch_ids: Sequence[str]) -> Mapping[str, str]:
        """See `Spool.key_versions`."""
        return self._attempt.call(self._spool.key_versions, batch_ids)

    def purge(self, batch_ids: Sequence[str]) -> Sequence[str]:
        """See `Spool.purge`."""
        return self._attempt.call(self._spool.purge, batch_ids)

    def rewrap(self) -> int:
        """Not a part of a run."""
        raise NotImplementedError

    def sweep(self) -> int:
        """Not a part of a run."""
        raise NotImplementedError


class WatchedDestination:
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
        self._check_sender(batch.head)
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

    def _check_sender(self, head: BatchHead) -> None:
        """Of processes that share a plan one sends a batch, and none after its end."""
        attempt, world = self._attempt, self._attempt.world
        if head.run.partition(".")[0] != attempt.run:
            return  # sealed by an earlier run
        assert attempt.holder == attempt.run.replace("r", "h") or not attempt.is_past, (
            "a helper sent what is another's by now"
        )
        sender = world.senders.get((attempt.run, head.number), attempt.holder)
        assert sender == attempt.holder, "two processes sent one batch"

    def _check_rows(self, head: BatchHead, rows: list[dict[str, Any]]) -> None:
        world = self._attempt.world
        if self._attempt.withdrawing:
            assert head.operation is Operation.REMOVE, "a refused plan was sent"
            _, sent = _removable(head, [], rows, world.salt)
            whole = head.identifier in self._attempt.taking_out
            assert whole or sent <= world.withdrawn(head.identifier), "a refused removal was sent"
        moments = self._attempt.wanted_since(head.run)
        if head.operation is Operation.REMOVE:
            # Whether the destination ever took a rejected row is not known.
            taken = [
                {k: v for k, v in m.items() if v[0] not in world.rejected_emails} for m in moments
            ]
            taken = [{} for _ in taken] if world.is_lost(head.identifier) else taken
            wanted, sent = _removable(head, taken, rows, world.salt)
            assert not sent & set.intersection(*wanted), "a row was removed that was always wanted"
        else:
            for name in ("EMAIL", SHARED) if world.by_identifier else ("",):
                wanted, sent = _addable(name, moments, rows, world.salt)
                assert sent <= set.union(*wanted), "a row was sent that was not wanted"
                assert not sent or not world.is_lost(name), "a field was sent that is not mapped"


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
        return [identifiers(name, m, salt) for m in moments], {row.get(name) for row in rows} - {
            None
        }
    sent = {(row["ID"], row["EMAIL"], row["CITY"]) for row in rows}
    return [{(k, *v) for k, v in m.items()} for m in moments], sent
