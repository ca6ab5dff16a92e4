"""The port behind which batches wait: planned rows, intents, outcomes, state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from mayfly.domain.batch import Batch
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.spec import BatchInfo, CloseReport, OpenPlan, Plan, PlanSpec, PlanWorker


class PlanStore(Protocol):
    """State and open plan of one sync at one destination identity.

    Every writing method is one transaction and checks the fence of the lease, as `read` does: a
    worker that was overtaken gets IntegrityError `fenced` and has changed nothing. Plain
    functions, called in threads, one at a time.
    """

    def count(
        self,
        spec: PlanSpec,
        worker: PlanWorker,
        *,
        inspect: Callable[[Batch], None] | None = None,
        forgotten: bool = False,
        sampled: int = 0,
    ) -> Plan:
        """What a run would do now. Writes nothing that outlives the call.

        Args:
            spec: the compiled sync.
            worker: what needs a key.
            inspect: sees every batch.
            forgotten: as if `bind` had emptied the state.
            sampled: rows that go out to show masked, at most. Of an external destination's nothing
                but the masks leaves the source.
        """

    def acquire(
        self, spec: PlanSpec, *, holder: str, now_ms: int, alive: Callable[[str], bool]
    ) -> None:
        """Take the lease of the state, creating an empty one first.

        Raises:
            TransientError: `run_active`, another live holder has it.
            PolicyError: `foreign_state`, another installation owns it (names `state adopt`).
        """

    def release(self) -> None:
        """Give the lease back. May be repeated."""

    def object_id(self) -> str | None:
        """Id of the destination's object that the state speaks of; None where none is recorded."""

    def bind(self, object_id: str | None) -> int:
        """Record that id; how many rows were forgotten.

        The state is emptied where it spoke of another object, or where there is none now.
        """

    def forgets(self, object_id: str | None) -> int:
        """How many rows `bind` would forget. Writes nothing."""

    def left_fields(self, spec: PlanSpec) -> Sequence[str]:
        """Fields that something was delivered of, and that the sync maps no more, by name."""

    def left_identifiers(self, fields: Sequence[str]) -> Mapping[str, int]:
        """How many identifiers were delivered of some of `left_fields`, by field. It looks at all
        that were delivered.
        """

    def open_plan(self) -> OpenPlan | None:
        """The plan that was left open, None where there is none."""

    def create(self, spec: PlanSpec, worker: PlanWorker, *, check: Callable[[Plan], None]) -> Plan:
        """Make and number a plan. `check` may raise to refuse it; then nothing was written."""

    def withdrawals(
        self,
        spec: PlanSpec,
        worker: PlanWorker,
        *,
        check: Callable[[Plan], None],
        inspect: Callable[[Batch], None],
    ) -> Plan:
        """Removals of who withdrew or is suppressed, beside a plan that is open, which stays as it
        is. What they take out is marked as perhaps delivered.

        Args:
            spec: of withdrawals only.
            worker: what needs a key.
            check: may raise to refuse them; then nothing was marked.
            inspect: sees every batch.
        """

    def taken_out(self, spec: PlanSpec, batch: int) -> None:
        """A batch of the last `withdrawals` of this store was taken out, whole: nothing takes that
        out again.
        """

    def read(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker, *, of: int
    ) -> list[Batch]:
        """Rows of some batches with consent applied as it is now; `of` is the plan's number of
        batches.
        """

    def allowed(
        self, spec: PlanSpec, batches: Sequence[BatchInfo], worker: PlanWorker
    ) -> Mapping[int, pa.Array]:
        """Of planned additions the positions (int32) that may go now, by batch number: consent is
        granted as far as the sync has any, nobody is on the suppression list, and the model has no
        other values for them.
        """

    def intent(self, batch: int, unsent: Outcomes | None = None) -> None:
        """Committed before the first request of a batch. `unsent` is laid out over the planned
        batch and has a code for each row that will not be sent; what it says of a row stays.
        """

    def keep(self, seconds: float) -> None:
        """Keep the lease, although nothing is written for so long."""

    def submitted(self, batch: int, reference: str) -> None:
        """An asynchronous job's reference, stored with the intent."""

    def outcome(self, batch: int, outcomes: Outcomes) -> None:
        """Committed after the answer."""

    def close(self, spec: PlanSpec, *, now_ms: int) -> CloseReport:
        """Merge what was answered, mark what is in doubt, drop the rest. Without an open plan a
        no-op.
        """

    def rejections(self) -> tuple[str | None, Sequence[Mapping[str, object]]]:
        """Name of what shows rejected keys, with columns `sync` and `target`, None where keys are
        not known; and rows per reason: `reason`, `vendor`, `rows`.
        """

    def forget_rejections(self) -> int:
        """Let rejected rows be tried again; how many there were."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """An open plan as whoever joined it sees it; `row_bytes` and `reads_at_once` as of `Plan`."""

    plan: OpenPlan
    row_bytes: int
    reads_at_once: int


@runtime_checkable
class SharedPlanStore(PlanStore, Protocol):
    """One whose open plan several workers may send batches of: the holder of the lease, and
    helpers, which join by the plan's run and hold no lease. Of a helper that was given up, or whose
    plan is closed or under another fence, every write is refused as `fenced`.

    The lease of a state is nobody else's as long as a helper of its open plan is alive and has
    written, or said that it waits, within the time of a lease.
    """

    def offer(self, *, row_bytes: int, reads_at_once: int) -> None:
        """Let others join the plan that the holder of the lease has open."""

    def waiting(self) -> Sequence[str]:
        """Helpers that had no lane yet when this store last claimed a batch."""

    def give_lane(self, name: str) -> bool:
        """Let a helper begin batches, one at a time; whether it still waited for that."""

    def end_offer(self, alive: Callable[[str], bool]) -> bool:
        """Let nobody join and no helper begin a batch; give up helpers that are not alive, or have
        written nothing for the time of a lease. Whether none is left: nothing of this plan is on
        its way from anybody else then. May be repeated.
        """

    def oldest_seconds(self) -> float:
        """How long the oldest rows that helpers sent were held, of those that have left."""

    def answers(self) -> Mapping[int, Outcomes]:
        """Outcomes of the answered batches, whoever sent them, by number."""

    def begun(self) -> frozenset[int]:
        """Numbers of batches that somebody has begun."""

    def claim(self, batch: int, unsent: Outcomes | None = None) -> bool:
        """As `intent`, where nobody has begun the batch; whether it is the caller's to send.

        Raises:
            TransientError: `sharing_over`, a helper may begin nothing more.
        """

    def join(self, spec: PlanSpec, *, run: str, name: str) -> Joined:
        """Become a helper of the open plan of a run.

        Raises:
            TransientError: `sharing_over`, it is not offered, or not by rules that are `spec`'s.
        """

    def has_lane(self) -> bool:
        """Whether this helper was given a lane; says that it waits for one.

        Raises:
            TransientError: `sharing_over`.
        """

    def leave(self, *, oldest_seconds: float) -> None:
        """Be no helper any more: nothing that this one sent is on its way. May be repeated.

        Args:
            oldest_seconds: how long the oldest rows that it sent were held.
        """
