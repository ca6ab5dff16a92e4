"""What the store remembers of runs and approvals: ids, counts, codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class WorkspaceRecord:
    """Who this installation is."""

    workspace_id: str
    name: str
    installation_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run; `counts` are rows under their public names, `holder` the process that runs it."""

    run_id: str
    sync: str
    target: str
    mode: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    counts: Mapping[str, int] | None = None
    batches: int = 0
    seconds: float = 0.0
    ages: Mapping[str, float] | None = None
    error_code: str | None = None
    holder: str | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalRecord:
    """One approval: a fingerprint, the names it was made from, and who made it."""

    sync: str
    target: str
    fingerprint: str
    document: Mapping[str, object]
    actor: str
    self_approved: bool
    at: datetime


@dataclass(frozen=True, kw_only=True)
class PendingApproval:
    """A sync that a run found not to be what was approved. Not even its names are kept.

    Args:
        sync, target: ids.
        fingerprint: of what is asked for; another one is another request.
        since: when it was first asked for, in UTC. Nothing moves it.
    """

    sync: str
    target: str
    fingerprint: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class ColumnVerdict:
    """What the values of a model's column were found to be: names and counts, no value.

    Args:
        target, model, column: names.
        cls: the class.
        counts: rows by what was found in them.
        basis: digest of what was looked at: the model's query and its columns' types.
        at: when, in UTC.
    """

    target: str
    model: str
    column: str
    cls: str
    counts: Mapping[str, int]
    basis: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A sync that somebody looked at and would not have: as it was then, and not as it may become.

    Args:
        sync, target: ids.
        fingerprint: of what was rejected.
        actor: id of who rejected it.
        at: when, in UTC.
    """

    sync: str
    target: str
    fingerprint: str
    actor: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A sync that somebody paused: no run of it sends anything but withdrawals.

    Args:
        sync, target: ids.
        actor: id of who paused it.
        since: when, in UTC. To pause it again moves nothing.
    """

    sync: str
    target: str
    actor: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class RunOffer:
    """A run whose batches other workers may send.

    Args:
        run: id of the run.
        sync, target: ids.
        mark: digest of what it goes by: who would go by anything else does not help.
    """

    run: str
    sync: str
    target: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What a run looks for between its batches, as the store has it now.

    Args:
        cancelled: whether somebody asked this run to end.
        paused: whether its sync is paused.
        suppression_version: of the suppression list.
        approved, rejected: fingerprints of what is approved and rejected; None where nothing is.
        people: digest of the list of people who approve; empty where there is none.
    """

    cancelled: bool
    paused: bool
    suppression_version: int
    approved: str | None
    rejected: str | None
    people: str


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A destination that was away when it was last asked.

    Args:
        destination, target: names.
        since: when it was first found away, in UTC.
        failures: in a row until now.
        code: of the last.
        asked_again_at: the end of a pause that it asked for; None where it named none.
    """

    destination: str
    target: str
    since: datetime
    failures: int
    code: str
    asked_again_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Ticking:
    """Where the schedule of one sync is.

    Args:
        sync, target: ids.
        schedule: as it was written when the next tick was found.
        next_at: the next tick, in UTC.
        version: of this record; 0 where the store has none yet.
        asked_at: the tick whose run was asked for and has not ended; None where none was.
        again_at: when a held run is tried again; None where none is held.
        attempts: how often a worker began the asked run.
        probes: how often in a row a held run was tried again.
        dropped: ticks that came while a run went on, ever.
    """

    sync: str
    target: str
    schedule: str
    next_at: datetime
    version: int = 0
    asked_at: datetime | None = None
    again_at: datetime | None = None
    attempts: int = 0
    probes: int = 0
    dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class WorkerBeat:
    """A process that runs syncs for others to see.

    Args:
        executor: its name, which no other process has or will have.
        region: where it says it is.
        beat_ms: its last beat, by the store's clock.
        age_ms: how long ago that was when it was read.
        ended: it went, or was given up.
    """

    executor: str
    region: str
    beat_ms: int
    age_ms: int
    ended: bool


@dataclass(frozen=True, kw_only=True)
class AnchorRecord:
    """How far one anchor is.

    Args:
        name: of the anchor.
        entries: how many its newest checkpoint covers.
        at: when that was left there; None where none ever was.
        code: why the last attempt failed; empty where it did not.
    """

    name: str
    entries: int
    at: datetime | None
    code: str
