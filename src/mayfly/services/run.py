"""What one run needs, and how it calls its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import EngineError
from mayfly.ledger.entry import Entry
from mayfly.planning.spec import GUARD_ROWS, PlanSpec, PlanWorker
from mayfly.ports.destination import Destination, Done, Locating, Submitted
from mayfly.ports.ledger import Ledger
from mayfly.ports.planstore import PlanStore, SharedPlanStore
from mayfly.ports.spool import Spool
from mayfly.privacy.gate.gate import GatePolicy
from mayfly.services.circuit import Circuit
from mayfly.services.deliver import Sender, Sleep
from mayfly.services.stopping import Look

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the command line asks of a run.

    Args:
        dry: plan and pass every row through the gate; send nothing, write no state.
        accept_removals: how many rows the mass-change guard lets through once.
        in_doubt: for appends without a batch marker: send again, or take as delivered.
        refusal: why nothing but withdrawals may go, known before there is a plan.
    """

    dry: bool = False
    accept_removals: int = 0
    in_doubt: str | None = None
    refusal: EngineError | None = None


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Where the batches of a sync may wait.

    Args:
        spool: of this workspace and region.
        workspace, region: of this worker.
        hold: whether the sync says that they wait; those that do already go on in any case.
    """

    spool: Spool
    workspace: str
    region: str
    hold: bool


@dataclass(kw_only=True)
class Share:
    """One worker's part of a plan that several send batches of.

    Args:
        store: of the plan.
        helps: whether the plan is another's.
        own: batches that this worker has begun.
        others: batches that another had begun when this one last looked.
        written_ms: when it last wrote to the plan, and was let.
    """

    store: SharedPlanStore
    helps: bool
    own: set[int] = field(default_factory=set)
    others: frozenset[int] = frozenset()
    written_ms: int = 0


@dataclass(kw_only=True)
class Run:
    """Everything one run needs, wired by the bootstrap.

    Args:
        spec: the compiled sync.
        policy: its approved way out.
        store, worker, destination, ledger: ports.
        repeatable: whether a batch may be sent again though its answer was lost: see
            `DestinationSpec.batch_marker` and `repeatable`.
        concurrency: see `DestinationSpec`.
        entry: a ledger entry of this run, to be completed.
        now_ms: milliseconds since 1970, never running back.
        holder, alive: of the lease.
        stop: set to end after the batch in hand.
        progress: told (rows done, rows planned) once planned, and after each batch.
        holding: where batches may wait sealed; None where they may not.
        circuit: what is known of the destination from earlier runs.
        elsewhere: runs whose plans are open in any state; None where not every source tells.
        look: for what ends the run, before each batch; None where nobody does.
        guard_rows: fewer rows taken back or sent again are never a mass change.
        recheck_after_ms: consent that was read so long ago is read again before it is acted on.
        rows: see `Sender`.
        offered: tells workers that have nothing to do whether they may send batches of this run;
            None where nobody else may.
        share: its part of the open plan, while others may send batches of it.
        left: what takes out, before anything else goes, identifiers that were delivered and are
            mapped no more; None where there are none.
    """

    spec: PlanSpec
    policy: GatePolicy
    store: PlanStore
    worker: PlanWorker
    destination: Destination
    ledger: Ledger
    repeatable: bool
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
    concurrency: int = 1
    recheck_after_ms: int = 15 * 60_000
    holding: Holding | None = None
    circuit: Circuit = field(default_factory=Circuit)
    elsewhere: Callable[[], Collection[str] | None] = tuple
    look: Look | None = None
    rows: Callable[[int], Awaitable[None]] | None = None
    offered: Callable[[bool], None] | None = None
    share: Share | None = None
    left: Run | None = None


def at_present(run: Run) -> PlanSpec:
    """The sync as it is to be asked now: consent may be over since the run began."""
    return replace(run.spec, now_ms=run.now_ms())


def withdrawing(run: Run) -> PlanSpec:
    """The same, where nothing is planned but to take out who withdrew or is suppressed."""
    spec = at_present(run)
    fields = tuple(replace(f, taken_out=False) if f.taken_out else f for f in spec.fields)
    return replace(spec, fields=fields, only_withdrawals=True, guard_rows=run.guard_rows)


def is_stale(run: Run, read_ms: int) -> bool:
    """Whether consent that was read then is read again before anything goes by it."""
    return run.now_ms() - read_ms > run.recheck_after_ms


def sender_of(run: Run) -> Sender:
    """The run's one sender, which remembers what the destination has taken."""
    if run.sender is None:
        run.sender = Sender(
            destination=run.destination,
            sleep=run.sleep,
            circuit=run.circuit,
            splittable=run.spec.mode is not SyncMode.APPEND,
            repeatable=run.spec.mode is not SyncMode.APPEND or run.repeatable,
            rows=run.rows,
        )
    return run.sender


async def note_object(run: Run) -> None:
    """An audience that this run has made is the one that its state will speak of."""
    if not isinstance(run.destination, Locating):
        return
    known = await call(run.store.object_id)
    if known is not None:
        return
    made = await sender_of(run).locate(None)
    if made is not None:
        await call(run.store.bind, made)


async def followed(run: Run, answer: Submitted) -> Done:
    """The end of a job; the plan stays this run's meanwhile."""
    return await sender_of(run).wait(answer, keep=lambda seconds: call(run.store.keep, seconds))


async def call(port: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking port in a thread."""
    return await asyncio.to_thread(port, *args, **kwargs)
