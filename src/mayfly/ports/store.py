"""The store of acts: runs, approvals, suppression. Metadata and keyed digests only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from mayfly.domain.alerts import Alert, OpenAlert
from mayfly.domain.audit import OpenAct
from mayfly.domain.erasures import ErasureRequest, ErasureStep
from mayfly.domain.incidents import Incident
from mayfly.domain.runs import (
    AnchorRecord,
    ApprovalRecord,
    ColumnVerdict,
    Outage,
    Pause,
    PendingApproval,
    Rejection,
    RunOffer,
    RunRecord,
    Signals,
    Ticking,
    WorkerBeat,
    WorkspaceRecord,
)


class Store(Protocol):
    """Calls block, each is one transaction, and any may come from several processes.

    Every call but `exists` and `create` raises PolicyError `not_initialised` where there is no
    store, and ConfigError `store_newer` where a newer program made it. Any call may raise
    IntegrityError `store_damaged`, what is there is no store or not a whole one, and
    TransientError `store_unavailable`.
    """

    def exists(self) -> bool:
        """Whether the store was made."""

    def create(self, *, workspace_id: str, name: str, installation_id: str, now: datetime) -> None:
        """Make an empty store, whole or not at all.

        Raises:
            PolicyError: `store_exists`; of several calls at once one makes it.
            ConfigError: `store_unwritable`.
        """

    def workspace(self) -> WorkspaceRecord:
        """Who this installation is."""

    def start_run(
        self,
        *,
        run_id: str,
        sync: str,
        target: str,
        mode: str,
        started_at: datetime,
        holder: str,
    ) -> None:
        """Record that a run began, and in which process.

        Raises:
            ConfigError: `store_conflict`, the id is taken.
        """

    def finish_run(
        self,
        *,
        run_id: str,
        status: str,
        finished_at: datetime,
        counts: Mapping[str, int],
        batches: int,
        seconds: float,
        ages: Mapping[str, float],
        error_code: str | None,
    ) -> None:
        """Record how it ended. Raises IntegrityError `run_unknown`, no such run began."""

    def run(self, run_id: str) -> RunRecord | None:
        """One run, None where there was none of that id."""

    def cancel(self, run_id: str, *, actor: str, now: datetime) -> bool:
        """Ask a run to end, until it has ended; whether nobody had asked yet."""

    def signals(self, run_id: str, sync: str, target: str) -> Signals:
        """What a run looks for between its batches: one statement, for it is asked often."""

    def note_events(self, run_id: str, lines: Mapping[int, str]) -> None:
        """Keep events of a run by their numbers; what is kept under a number stays."""

    def events(self, run_id: str) -> Sequence[tuple[int, str]]:
        """Numbers and lines of a run's events, in order."""

    def end_events(self, *, began_before: datetime, runs: int) -> None:
        """Forget the events of runs that began before, and of all but the newest so many."""

    def runs(self, limit: int) -> Sequence[RunRecord]:
        """The newest runs, newest first."""

    def last_run(self, sync: str, target: str) -> RunRecord | None:
        """The newest run of a sync."""

    def approve(self, record: ApprovalRecord) -> None:
        """Record an approval; it replaces the earlier one of that sync and target."""

    def approval(self, sync: str, target: str) -> ApprovalRecord | None:
        """The approval in force."""

    def latest_time(self) -> datetime:
        """The latest time that any process has noted here, in UTC; 1970 where none has."""

    def note_time(self, now: datetime) -> None:
        """Note a time, where it is later."""

    def anchors(self) -> Sequence[AnchorRecord]:
        """How far each anchor is that was ever tried."""

    def note_anchor(self, record: AnchorRecord) -> None:
        """Note how far an anchor is; it replaces what was noted of it."""

    def pending_approvals(self) -> Sequence[PendingApproval]:
        """What waits for approval, by target and sync."""

    def note_pending_approval(self, pending: PendingApproval) -> None:
        """Note what waits; where the same does already, since then."""

    def end_pending_approval(self, sync: str, target: str) -> None:
        """It was approved, or is not asked for any more; where nothing waits nothing is done."""

    def verdicts(self, target: str, model: str) -> Sequence[ColumnVerdict]:
        """What a model's columns were last found to be, by name."""

    def note_verdicts(self, target: str, model: str, found: Sequence[ColumnVerdict]) -> None:
        """Note what a model's columns are; it replaces all that was noted of them."""

    def rejections(self) -> Sequence[Rejection]:
        """What was rejected, by target and sync."""

    def reject(self, rejection: Rejection) -> None:
        """Record a rejection; it replaces the earlier one of that sync and target."""

    def end_rejection(self, sync: str, target: str) -> None:
        """It was approved after all; where nothing was rejected nothing is done."""

    def pauses(self, target: str) -> Sequence[Pause]:
        """What is paused under a target, by sync."""

    def pause(self, pause: Pause) -> bool:
        """Pause a sync; whether it was not yet. Of one that is paused nothing changes."""

    def resume(self, sync: str, target: str) -> bool:
        """End a pause; whether there was one."""

    def ticks(self, target: str) -> Sequence[Ticking]:
        """Where the schedules under a target are, by sync."""

    def change_tick(self, ticking: Ticking) -> bool:
        """Note where a schedule is; whether it was: false where another process changed it since
        that version.
        """

    def end_tick(self, sync: str, target: str) -> None:
        """Forget a schedule; where there is none nothing is done."""

    def enlist(self, executor: str, region: str) -> None:
        """Note that a worker begins. Raises ConfigError `store_conflict`, the name is taken."""

    def beat(self, executor: str, *, lease_ms: int) -> bool:
        """Note that a worker lives; whether it still may: false where it was given up, or its last
        beat is longer ago than its lease.
        """

    def workers(self) -> Sequence[WorkerBeat]:
        """The workers of this store; of those that ended, the ones of the last day at least."""

    def end_worker(self, worker: WorkerBeat) -> bool:
        """Give a worker up; whether nobody had, and it has not beaten since."""

    def offer_run(self, offer: RunOffer) -> None:
        """Let other workers know of a run; it replaces what was offered of that sync."""

    def run_offers(self, target: str) -> Sequence[RunOffer]:
        """Runs under a target that are offered, by sync."""

    def end_offer(self, run_id: str) -> None:
        """Offer a run no more; where it is not nothing is done."""

    def people(self) -> str:
        """Digest of the list of people that approvals are held to; empty where there is none."""

    def note_people(self, digest: str) -> None:
        """Hold approvals to another list from now on."""

    def key_mark(self, purpose: str, scope: str) -> str | None:
        """The mark of the key that the workspace has for a purpose and scope; None before any."""

    def note_key_mark(self, purpose: str, scope: str, mark: str) -> str:
        """Note the mark of a key, where none is; the one that stands then."""

    def outages(self) -> Sequence[Outage]:
        """Destinations that were away when they were last asked."""

    def note_outage(self, outage: Outage) -> None:
        """Note that a destination is away; it replaces what was noted of it."""

    def end_outage(self, destination: str, target: str) -> None:
        """A destination has answered; where nothing was noted nothing is done."""

    def alerts(self) -> Sequence[OpenAlert]:
        """Alerts that channels were told of, or should have been, and that have not cleared."""

    def claim_alert(
        self,
        channel: str,
        alert: Alert,
        *,
        now: datetime,
        told_before: datetime,
        sending_before: datetime,
    ) -> bool:
        """Take it on to tell a channel of an alert, until `note_alert`; of several callers one
        does. False where the channel was told later than `told_before`, or another began to tell
        it after `sending_before` and has not noted an end.
        """

    def note_alert(self, channel: str, alert: Alert, *, failure: str) -> None:
        """Note why a channel could not be told; empty where it was."""

    def end_alert(self, channel: str, alert: Alert) -> bool:
        """An alert has cleared; whether the channel had been told of it."""

    def actor(self, name: str, new_id: str) -> str:
        """Id of who acts under a name; the new one where there is none yet."""

    def actors(self) -> Mapping[str, str]:
        """Names of who acted, by ids."""

    def forget_actor(self, actor: str) -> bool:
        """Delete a name; whether it was there. What was done under its id stays on the ledger."""

    def open_acts(self) -> Sequence[OpenAct]:
        """Acts that began and are not on the ledger yet, by id."""

    def note_acts(self, acts: Sequence[OpenAct]) -> None:
        """Note that acts begin; or, of one that is noted, how it ended."""

    def end_acts(self, acts: Sequence[OpenAct]) -> None:
        """Forget acts, which are on the ledger; where one is not noted nothing is done."""

    def incidents(self) -> Sequence[Incident]:
        """Every incident, by when it became known."""

    def open_incident(self, incident: Incident) -> None:
        """Open an incident; where one of its kind, subject and target is open already, that one
        happened once more, with the more rows of both.
        """

    def close_incident(
        self, incident: str, *, measures: Sequence[str], note: str, now: datetime
    ) -> bool:
        """Close an incident; whether it was open."""

    def erasures(self) -> Sequence[ErasureRequest]:
        """Every request for a person, by when it was received."""

    def add_erasure(self, request: ErasureRequest, digests: Collection[bytes]) -> None:
        """Record a request with the person's keyed digests; one of that id stays as it is, and
        has these digests, too.
        """

    def change_erasure(self, request: ErasureRequest) -> None:
        """Note its time limit and its end; with its end its digests are deleted."""

    def erasure_digests(self, request: str) -> Sequence[bytes]:
        """Keyed digests of the person of an open request."""

    def erasure_steps(self, request: str) -> Sequence[ErasureStep]:
        """How far each destination is with it, by sync."""

    def note_erasure_step(self, request: str, step: ErasureStep) -> None:
        """Note how far one is; it replaces what was noted of that sync."""

    def deletion(self) -> Mapping[str, datetime]:
        """Steps of the deletion of this workspace that are done, in order, and when; none where it
        is not deleted.
        """

    def note_deletion(self, step: str, now: datetime) -> None:
        """That a step is done; the first time stays."""

    def empty(self) -> int:
        """Delete all that is here but the workspace's own line, its deletion, clock, anchors and
        ledger; how many rows.
        """

    def add_suppressions(
        self,
        entries: Sequence[tuple[str, bytes]],
        now: datetime,
        *,
        forms: Mapping[str, int] | None = None,
    ) -> int:
        """Add (kind, keyed digest) pairs; how many were new.

        `forms` names, by kind, which version of the identifiers' canonical form they were made by;
        the first where it names none.
        """

    def remove_suppressions(self, entries: Sequence[tuple[str, bytes]]) -> int:
        """Remove them; how many there were."""

    def suppression_recorded(self) -> tuple[int, int]:
        """How often the ledger had recorded the list when this store last agreed with it, and the
        list's version then.
        """

    def note_suppression_recorded(self, times: int, version: int) -> None:
        """Note that the store agrees with the ledger, as of a version of the list."""

    def suppression_counts(self) -> Mapping[str, int]:
        """Entries per kind."""

    def suppression_forms(self) -> Mapping[str, frozenset[int]]:
        """By kind, the forms that entries were made by."""

    def suppression_digests(self) -> pa.Array:
        """All keyed digests, 32-byte binary."""

    def suppression_version(self) -> int:
        """Changes whenever the list does."""
