"""What is told while Mayfly works: a closed list of events, each with typed fields.

An event has room for ids, codes, counts and durations, and for nothing else. There is no message
to put a value into, and no way to log anything that is not on this list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from mayfly.ledger.entry import Entry

_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
UNPRINTABLE = "unprintable"


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run of a sync began."""

    sync: str
    target: str
    run: str
    mode: str
    dry: bool


@dataclass(frozen=True, kw_only=True)
class RunPlanned:
    """Its plan is made, or one that was open is gone on with: so many rows are to go."""

    sync: str
    target: str
    run: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """It ended; `code` is that of what kept it from its end, such as an outage. Rows are counts."""

    sync: str
    target: str
    run: str
    status: str
    code: str
    batches: int
    planned: int
    delivered: int
    rejected: int
    held: int
    seconds: float
    unconfirmed: int = 0
    deferred: int = 0
    removed: int = 0
    suppressed: int = 0
    withheld_consent: int = 0
    withheld_guard: int = 0
    clear_values: int = 0


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The ledger took an entry: `act` is its type, such as `delivered`, `held` or `purged`."""

    act: str
    sync: str
    target: str
    run: str
    batch: int | None
    rows: int
    age_ms: int | None
    operation: str
    destination: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run waits before it sends or asks again."""

    sync: str
    run: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What was past its deadline: so many were ended, so many could not be."""

    ended: int
    left: int


@dataclass(frozen=True, kw_only=True)
class AnchorFailed:
    """An anchor did not take the ledger's checkpoint."""

    anchor: str
    code: str


@dataclass(frozen=True, kw_only=True)
class ErasureDue:
    """A request for a person is open and due soon, or overdue: then `days_left` is below 0."""

    request: str
    days_left: int


@dataclass(frozen=True, kw_only=True)
class WithdrawalsHeld:
    """A run ended, for `code`, before it could be asked who withdrew: nobody was taken out."""

    sync: str
    target: str
    run: str
    code: str


@dataclass(frozen=True, kw_only=True)
class ErasuresDue:
    """So many requests for people are open and due soon, or overdue; 0 where none is any more."""

    target: str
    due: int


@dataclass(frozen=True, kw_only=True)
class WithdrawalsLate:
    """So many withdrawals were not answered for within a day; of those that were, `seconds` is the
    longest.
    """

    sync: str
    target: str
    run: str
    late: int
    waiting: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OverTarget:
    """Something stays, or stayed, longer than its target: `what` is `rows`, `sealed` or `copy`, and
    `seconds` its age.
    """

    sync: str
    target: str
    run: str
    what: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ReviewsOverdue:
    """So many active sub-processors were to have their security reviewed; 0 where none was."""

    target: str
    overdue: int


@dataclass(frozen=True, kw_only=True)
class AlertFailed:
    """A channel for alerts did not take one."""

    channel: str
    kind: str
    code: str


@dataclass(frozen=True, kw_only=True)
class TelemetryDropped:
    """So many spans, or points of metrics, were not sent: `signal` is `traces` or `metrics`,
    `reason` one of `away`, `refused`, `full` and `not_allowed`.
    """

    signal: str
    reason: str
    dropped: int


@dataclass(frozen=True, kw_only=True)
class WorkerStarted:
    """A process does scheduled runs from now on; `region` is empty where it says none."""

    executor: str
    region: str


@dataclass(frozen=True, kw_only=True)
class WorkerStopped:
    """It ended as it was asked to, or by what `code` says."""

    executor: str
    code: str


@dataclass(frozen=True, kw_only=True)
class WorkerGivenUp:
    """Another worker was silent for so long that what it had begun is others' now."""

    executor: str
    silent_ms: int


@dataclass(frozen=True, kw_only=True)
class RunHelped:
    """A worker has sent batches of another's run; `code` is what kept it from going on."""

    sync: str
    target: str
    run: str
    batches: int
    code: str


@dataclass(frozen=True, kw_only=True)
class TickDropped:
    """A scheduled run was due while one went on; `dropped` counts all of its sync, ever."""

    sync: str
    target: str
    dropped: int


@dataclass(frozen=True, kw_only=True)
class RunGivenUp:
    """So many workers ended over an asked run that it waits for the next tick."""

    sync: str
    target: str
    attempts: int


Event = (
    RunStarted
    | RunPlanned
    | RunEnded
    | Recorded
    | Waiting
    | Swept
    | AnchorFailed
    | ErasureDue
    | ErasuresDue
    | WithdrawalsLate
    | WithdrawalsHeld
    | OverTarget
    | ReviewsOverdue
    | AlertFailed
    | TelemetryDropped
    | WorkerStarted
    | WorkerStopped
    | WorkerGivenUp
    | RunHelped
    | TickDropped
    | RunGivenUp
)
Tell = Callable[[Event], None]
NAMES: dict[type[Event], str] = {
    RunStarted: "run_started",
    RunPlanned: "run_planned",
    RunEnded: "run_ended",
    Recorded: "recorded",
    Waiting: "waiting",
    Swept: "swept",
    AnchorFailed: "anchor_failed",
    ErasureDue: "erasure_due",
    ErasuresDue: "erasures_due",
    WithdrawalsLate: "withdrawals_late",
    WithdrawalsHeld: "withdrawals_held",
    OverTarget: "over_target",
    ReviewsOverdue: "reviews_overdue",
    AlertFailed: "alert_failed",
    TelemetryDropped: "telemetry_dropped",
    WorkerStarted: "worker_started",
    WorkerStopped: "worker_stopped",
    WorkerGivenUp: "worker_given_up",
    RunHelped: "run_helped",
    TickDropped: "tick_dropped",
    RunGivenUp: "run_given_up",
}
"""The events there are, by the name they are told under."""


def ignore(event: Event) -> None:
    """Tell nobody."""
    del event


def tell_entries(tell: Tell) -> Callable[[Sequence[Entry]], None]:
    """Tells of each entry that a ledger took."""

    def told(entries: Sequence[Entry]) -> None:
        for entry in entries:
            tell(
                Recorded(
                    act=entry.type.value,
                    sync=entry.sync,
                    target=entry.target,
                    run=entry.run,
                    batch=entry.batch,
                    rows=entry.rows,
                    age_ms=entry.age_ms,
                    operation=entry.operation,
                    destination=entry.destination,
                    reason=entry.reason,
                )
            )

    return told


def to_line(event: Event, at: datetime) -> str:
    """One line of JSON, without its end. A text that is no identifier is not repeated."""
    fields = {name: _printable(value) for name, value in asdict(event).items()}
    return json.dumps({"event": NAMES[type(event)], "at": at.isoformat(), **fields})


def _printable(value: object) -> object:
    if isinstance(value, str):
        return value if _ID.fullmatch(value) else UNPRINTABLE
    if value is None or isinstance(value, bool | int | float):
        return value
    return UNPRINTABLE
