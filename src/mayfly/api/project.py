"""A project and what can be done with it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from mayfly.api import (
    accessing,
    acts,
    adopting,
    alerts,
    asking,
    erasing,
    incidents,
    privacy,
    reporting,
    residency,
)
from mayfly.api.approving import approve, people, people_to_sign, reject, to_sign, waiting
from mayfly.api.connecting import connect, disconnect
from mayfly.api.keys import KeyAct, act_on_keys, keep_epoch, where_keys_lie
from mayfly.api.mapping import proposed
from mayfly.api.planning import planned
from mayfly.api.processor_acts import ProcessorActs
from mayfly.api.results import PlanResult, RunResult
from mayfly.api.running import RunRequest, run_syncs
from mayfly.api.sweeping import sweep
from mayfly.api.trying import tried
from mayfly.api.uninstalling import uninstalling
from mayfly.api.waiting import Swept, away, held, pending, remains
from mayfly.bootstrap import App
from mayfly.domain.erasures import Extension, Regulation, RequestKind
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.runs import AnchorRecord, Pause, RunRecord, Ticking
from mayfly.domain.settings import SyncSettings
from mayfly.ledger.checkpoint import parse_checkpoint
from mayfly.ports.ledger import Recipient
from mayfly.services import approve as approvals
from mayfly.services import suppress as suppressions
from mayfly.services.delete_workspace import require_not_deleting
from mayfly.services.events import AnchorFailed
from mayfly.services.left_behind import left_behind
from mayfly.services.report_erasure import beyond_cap, erasure_report
from mayfly.services.report_retention import Period, over_anything, retention_report
from mayfly.services.schedule_runs import is_interrupted
from mayfly.services.states import KnownState


class Project(ProcessorActs):
    """An initialised project. Calls block; one run at a time per object."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.swept = Swept()
        self.unanchored: Sequence[AnchorRecord] = ()
        self.epoch_code = ""

    def select(self, names: Sequence[str]) -> list[SyncSettings]:
        """Syncs by name, glob or `tag:…`; all without names.

        Raises:
            UsageError: `unknown_sync`, nothing matches one of the names.
        """
        return [self.app.with_all_columns(s) for s in self._named(names)]

    def _named(self, names: Sequence[str]) -> list[SyncSettings]:
        """As `select`, without a look at any source."""
        syncs = self.app.project.syncs
        if not names:
            return list(syncs.values())
        found: dict[str, SyncSettings] = {}
        for name in names:
            matched = {n: s for n, s in syncs.items() if _matches(name, n, s)}
            if not matched:
                raise UsageError(
                    "unknown_sync",
                    f"No sync matches {name!r}.",
                    hint=f"The project has: {', '.join(sorted(syncs)) or 'none'}.",
                )
            found |= matched
        return list(found.values())

    def plan(self, *names: str, sample: int = 0) -> PlanResult:
        """What a run would do now. Counts only; writes nothing.

        Args:
            names: of syncs; all without.
            sample: rows of each sync that go out to show masked, at most. Results hold them beside
                `to_dict()`, never in it.
        """
        plans = tuple(planned(self.app, sync, sample) for sync in self.select(names))
        return PlanResult(syncs=plans, left_behind=self._left_behind())

    def _left_behind(self) -> tuple[Recipient, ...]:
        return tuple(left_behind(self.app.ledger.recipients(), self.app.project))

    def approve(
        self,
        *names: str,
        actor: str | None = None,
        request: bool = False,
        signature: str | None = None,
    ) -> dict[str, Any]:
        """Pin some syncs as they are now; see `mayfly.api.approving`.

        Args:
            names: as `select` takes them.
            actor: id of who approves; by default $MAYFLY_ACTOR, else the system's user.
            request: ask for another person's approval instead.
            signature: file of the one who asks or approves, where two people approve.
        """
        with self._act():
            syncs = self.select(names)
            name = "approve.request" if request else "approve"
            with self._recorded(name, acts.of_syncs(self.app, syncs), actor):
                return approve(self.app, syncs, actor, request, signature)

    def reject(self, *names: str, actor: str | None = None) -> dict[str, Any]:
        """Refuse some syncs as they are now, until they are others."""
        with self._act():
            syncs = self.select(names)
            with self._recorded("reject", acts.of_syncs(self.app, syncs), actor):
                return reject(self.app, syncs, actor)

    def pause(self, *names: str, actor: str | None = None) -> dict[str, Any]:
        """Let no run of some syncs send anything but withdrawals, until they are resumed.

        A brake: it sweeps nothing first, and works though clock, sources and keys do not.
        """
        syncs = self._named(names)
        with self._recorded("pause", acts.of_syncs(self.app, syncs), actor):
            return asking.pause(self.app, syncs, actor)

    def cancel(self, run: str, *, actor: str | None = None) -> dict[str, Any]:
        """Ask a run to end after the batch in hand, whatever process and machine it is of.

        A brake, as `pause` is. The run ends as `cancelled`, and keeps what was answered.
        """
        with self._recorded("cancel", acts.of_run(self.app, run), actor):
            return asking.cancel(self.app, run, actor)

    def logs(self, run: str) -> dict[str, Any]:
        """What a run told as it went: events of ids, codes and counts, for 30 days."""
        return asking.logs(self.app, run)

    def resume(self, *names: str) -> dict[str, Any]:
        """End the pauses of some syncs."""
        with self._act():
            syncs = self._named(names)
            with self._recorded("resume", acts.of_syncs(self.app, syncs)):
                return asking.resume(self.app, syncs)

    def pending(self, *names: str) -> dict[str, Any]:
        """What waits for approval, where each sync stands, and what is suggested."""
        return waiting(self.app, self.select(names))

    def to_sign(self, *names: str, request: bool = False) -> bytes:
        """What the author of a request, or the approver of one sync, signs."""
        return to_sign(self.app, self.select(names), request)

    def people(
        self, *, accept: bool = False, request: bool = False, signature: str | None = None
    ) -> dict[str, Any]:
        """The people who approve: the list in force and that of the project files.

        Args:
            accept: the list of the project files, where none is in force.
            request: the signature is that of the one who asks for the change.
            signature: file of one of the people in force.
        """
        if not accept and signature is None:
            return people(self.app, accept=False, request=request, signature=None)
        with self._act(), self._recorded("people", acts.of_people(self.app)):
            return people(self.app, accept=accept, request=request, signature=signature)

    def people_to_sign(self, *, request: bool = False) -> bytes:
        """What one of the people in force signs to let the list of the project files in."""
        return people_to_sign(self.app, request)

    def test(self, destination: str, *, sync: str | None = None, rows: int = 3) -> dict[str, Any]:
        """Send some people who do not exist to a destination, and take them back."""
        with self._act(), self._recorded("test", acts.of_name("destination", destination)):
            return tried(self.app, destination, sync=sync, rows=rows)

    def map(self, name: str) -> dict[str, Any]:
        """A mapping proposed for one sync, from classes and names. Writes nothing."""
        [sync] = self.select([name])
        return proposed(self.app, sync)

    def keys(self, act: KeyAct = "versions", version: str = "") -> dict[str, Any]:
        """Versions of the key encryption key; first rotate, rewrap or destroy `version` where
        `act` says so.
        """
        if act == "versions":
            return act_on_keys(self.app, act, version)
        with self._act(), self._recorded(f"keys.{act}", acts.of_keys(self.app, version)):
            return act_on_keys(self.app, act, version)

    def connect(
        self, name: str, *, ask: Callable[[], str], show: Callable[[str], None]
    ) -> dict[str, Any]:
        """Store what a destination logs in with; see `mayfly.api.connecting.connect`."""
        with self._act(), self._recorded("connect", acts.of_connection(self.app, name)):
            return connect(self.app, name, ask=ask, show=show)

    def disconnect(self, name: str) -> dict[str, Any]:
        """Delete what a destination logs in with."""
        with self._act(), self._recorded("disconnect", acts.of_connection(self.app, name)):
            return disconnect(self.app, name)

    def suppress(self, act: str, lines: Iterable[bytes]) -> dict[str, Any]:
        """Add to, remove from or count the suppression list.

        `up_to_date` is false, and there, while it lacks what is on record.
        """
        store = self.app.store
        if act == "list":
            return suppressions.listing(store)
        with self._act():
            recorded = self.app.recorded_list()
            if act == "remove":
                # Of a list that lacks people nobody can say who else may be taken off.
                recorded.require_current()
            entries = suppressions.entries_of(
                lines,
                key=self.app.keyring.key("suppression"),
                canonical=suppressions.canonical_of,
            )
            with self._recorded(f"suppress.{act}", acts.of_suppressions(self.app)):
                changed = suppressions.change(store, act, entries, self.app.clock.now())
            return changed if recorded.settle_if_current() else {**changed, "up_to_date": False}

    def erase(
        self,
        content: bytes,
        *,
        kind: RequestKind = RequestKind.ERASURE,
        regulation: Regulation = Regulation.GDPR,
    ) -> dict[str, Any]:
        """Suppress one person, and take the person out of every place that Mayfly reaches.

        Args:
            content: see `mayfly.services.erasure_requests.asked_of`.
            kind: objection and restriction suppress alone.
            regulation: whose time limit holds.
        """
        with self._act(), self._recorded("erase", acts.of_requests(self.app)):
            return erasing.erase(self.app, content, kind, regulation)

    def access(self, content: bytes, *, regulation: Regulation = Regulation.GDPR) -> dict[str, Any]:
        """What concerns one person: syncs, destinations, fields, rules and times.

        Args:
            content: see `mayfly.services.erasure_requests.named_in`.
            regulation: whose time limit holds.
        """
        with self._act(), self._recorded("access", acts.of_requests(self.app)):
            return accessing.access(self.app, content, regulation)

    def resume_erasures(self) -> dict[str, Any]:
        """Go on with every open request of this target."""
        with self._act(), self._recorded("erase.resume", acts.of_requests(self.app)):
            return erasing.resume(self.app)

    def extend_erasure(self, request: str, why: Extension) -> dict[str, Any]:
        """Make the time limit of a request longer, once, and say why."""
        with self._act(), self._recorded("erase.extend", acts.of_requests(self.app)):
            return erasing.extend(self.app, request, why)

    def cancel_erasure(self, request: str) -> dict[str, Any]:
        """End a request of which nobody was asked yet. The person stays suppressed."""
        with self._act(), self._recorded("erase.cancel", acts.of_requests(self.app)):
            return erasing.cancel(self.app, request)

    def erasures(self) -> dict[str, Any]:
        """Every request, in ids, times and counts."""
        return erasing.listed(self.app)

    def erasure(self, request: str) -> dict[str, Any]:
        """One request, with every destination and what is out of reach."""
        return erasing.shown(self.app, request)

    def runs(self, limit: int = 20) -> dict[str, Any]:
        """Past runs, newest first."""
        found = [
            {
                "run": r.run_id,
                "sync": r.sync,
                "target": r.target,
                "mode": r.mode,
                "status": self._status(r),
                "started_at": r.started_at.isoformat(),
                "finished_at": r.finished_at.isoformat() if r.finished_at else None,
                "rows": dict(r.counts or {}),
                "batches": r.batches,
                "seconds": r.seconds,
                "error_code": r.error_code,
            }
            for r in self.app.store.runs(limit)
        ]
        return {"schema": "mayfly/runs/1", "ok": True, "runs": found}

    def rejected(self, name: str) -> dict[str, Any]:
        """Rejected and withheld rows of a sync by reason, and the view that shows their keys."""
        [sync] = self.select([name])
        compiled = self.app.compile(sync, run="rejected")
        view, reasons = self.app.plan_store(compiled).rejections()
        return {
            "schema": "mayfly/rejected/1",
            "ok": True,
            "sync": sync.name,
            "view": view,
            "reasons": list(reasons),
        }

    def retry(self, name: str) -> dict[str, Any]:
        """Let the rejected rows of a sync be tried again by the next run."""
        with self._act():
            [sync] = self.select([name])
            plans = self.app.plan_store(self.app.compile(sync, run="retry"))
            rejected = {f"sync/{sync.id}": lambda: {"reasons": list(plans.rejections()[1])}}
            with self._recorded("retry", rejected):
                rows = plans.forget_rejections()
        return {"schema": "mayfly/retry/1", "ok": True, "sync": sync.name, "rows": rows}

    def states(self) -> dict[str, Any]:
        """What the warehouses remember of each sync, in ids and counts."""
        return _states("list", self.app.states().all())

    def state(self, name: str) -> dict[str, Any]:
        """One state, by its own name or by the sync that uses it."""
        return _states("show", [self.app.states().find(name)])

    def drop_state(self, name: str) -> dict[str, Any]:
        """Forget what was delivered, of a state or the sync that uses it.

        What is at the destination stays there and is never taken back; the sync's next run begins
        with an empty state and sends everything.
        """
        with self._act(), self._recorded("state.drop", acts.of_state(self.app, name)):
            dropped = self.app.states().drop(name)
        return _states("drop", [dropped])

    def installed(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """What there is of Mayfly's in a source. What `uninstall` would refuse is refused."""
        return uninstalling(self.app, source, force=force)

    def uninstall(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """Take everything of Mayfly's out of a source; with `force` also what waits there."""
        with self._act(), self._recorded("uninstall", acts.of_source(self.app, source)):
            return uninstalling(self.app, source, force=force, act=True)

    def adopt_state(self, name: str, *, state: str | None = None) -> dict[str, Any]:
        """Let a sync go on from a state: its own of another installation, or the one named.

        Say so only where what the state remembers is at the sync's destination: the next run
        sends nothing but what changed.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.adopt", acts.of_state(self.app, name)):
                adopted = adopting.adopt(self.app, sync, state)
        return _states("adopt", [adopted])

    def move_state(self, name: str, *, state: str) -> dict[str, Any]:
        """Let a state of this installation follow its sync, which has another id or destination.

        Refused where the sync has a state of its own that holds rows.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.move", acts.of_state(self.app, name)):
                moved = adopting.move(self.app, sync, state)
        return _states("move", [moved])

    def count_as_delivered(self, name: str) -> dict[str, int]:
        """Rows by what `take_as_delivered` would make of them. Writes nothing."""
        [sync] = self.select([name])
        return adopting.countable(self.app, sync).to_dict()

    def take_as_delivered(self, name: str) -> dict[str, Any]:
        """Take what a sync would send as delivered, because another tool sent it before.

        Nothing leaves. The sync must be approved and its state empty; who has not consented, or is
        suppressed, is not taken. The next run sends nothing but what changed, and takes back what
        left.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.as_delivered", acts.of_state(self.app, name)):
                taken = adopting.as_delivered(self.app, sync)
        return _states("adopt", [taken])

    def run(self, *names: str, request: RunRequest | None = None) -> RunResult:
        """Run some syncs, one after the other."""
        asked = request or RunRequest()
        before = (lambda: None) if asked.dry_run else self._begin
        with nullcontext() if asked.dry_run else self._act():
            if not asked.dry_run:
                erasing.resume(self.app)
            with self._let_through(asked, names):
                done = run_syncs(self.app, self.select(names), asked, before=before)
        return RunResult(syncs=tuple(done), left_behind=self._left_behind())

    @contextmanager
    def _let_through(self, asked: RunRequest, names: Sequence[str]) -> Iterator[None]:
        """Around a run that was let do once what no run does by itself."""
        given = {
            "run.accept_removals": asked.accept_removals > 0,
            "run.resend": asked.in_doubt == "resend",
            "run.skip": asked.in_doubt == "skip",
        }
        with ExitStack() as stack:
            for action in (name for name, said in given.items() if said and not asked.dry_run):
                rows = asked.accept_removals if action == "run.accept_removals" else 0
                objects = acts.of_syncs(self.app, self._named(names))
                stack.enter_context(self._recorded(action, objects, rows=rows))
            yield

    def _recorded(
        self, action: str, objects: acts.Objects, actor: str | None = None, *, rows: int = 0
    ) -> AbstractContextManager[None]:
        """Around what somebody does to the workspace; every method that changes it has one."""
        return acts.recording(self.app, action, objects, actor=actor, rows=rows)

    @contextmanager
    def _act(self) -> Iterator[None]:
        """Around whatever writes: what is past its deadline is ended first, no fault of the act
        keeps that back; and the ledger's new head leaves this machine.
        """
        try:
            self._begin()
            yield
            self._publish()
        finally:
            self.app.flush()

    def _begin(self) -> None:
        app = self.app
        self.swept = self.swept + sweep(self.app)
        require_not_deleting(app.store)
        app.require_clock()
        acts.settle(app)
        app.store.note_time(app.clock.now())
        self._keep_epoch()

    def _keep_epoch(self) -> None:
        """Nothing else depends on it: what is in the way is told, and the next act goes on."""
        try:
            keep_epoch(self.app)
        except EngineError as error:
            self.epoch_code = error.code

    def _publish(self) -> None:
        app = self.app
        if not app.project.anchors:
            return
        # Size and note of one moment: another process may append between two questions.
        note = app.ledger.checkpoint()
        size = parse_checkpoint(note).size
        if size:
            self.unanchored = [
                record
                for record in app.anchoring().publish(note, size=size, now=app.clock.now())
                if record.code
            ]
            for record in self.unanchored:
                app.tell(AnchorFailed(anchor=record.name, code=record.code))

    def sweep(self) -> dict[str, Any]:
        """End what is past its deadline, whatever the clock and the destinations say."""
        self.app.store.note_time(self.app.clock.now())
        swept = sweep(self.app)
        self._keep_epoch()
        self._publish()
        self.app.flush()
        return swept.to_dict("sweep")

    def purge(self, *names: str) -> dict[str, Any]:
        """End what waits of some syncs, now; what was not answered is not delivered."""
        with self._act():
            syncs = self.select(names)
            ids = [sync.id for sync in syncs]
            with self._recorded("purge", acts.of_waiting(self.app, syncs)):
                purged = Swept.of(*self.app.waiting().purge(ids, self.app.project.target))
        return purged.to_dict("purge")

    def alerts(self) -> dict[str, Any]:
        """Channels for alerts, and alerts that have not cleared."""
        return alerts.listed(self.app)

    def try_alerts(self, *names: str) -> dict[str, Any]:
        """Send a test alert to some channels, or to all."""
        return alerts.tried(self.app, names)

    def audit(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, Any]:
        """Administrative acts on the ledger, the oldest first."""
        return acts.listed(self.app, since=since, until=until)

    def forget_actor(self, actor: str) -> dict[str, Any]:
        """Delete the name of an actor; what the actor did stays, under a random id."""
        with self._act(), self._recorded("audit.forget", acts.of_name("actor", actor)):
            return acts.forgotten(self.app, actor)

    def incidents(self) -> dict[str, Any]:
        """Every incident, by when it became known."""
        return incidents.listed(self.app)

    def incident(self, name: str) -> dict[str, Any]:
        """One incident."""
        return incidents.shown(self.app, name)

    def close_incident(
        self, name: str, *, measures: Sequence[str], note: str = ""
    ) -> dict[str, Any]:
        """Close an incident; a note in which the guard finds somebody's value is refused."""
        with self._act(), self._recorded("incidents.close", incidents.of_incident(self.app, name)):
            return incidents.closed(self.app, name, measures, note)

    def incident_notice(self, name: str) -> dict[str, Any]:
        """What the controller is to be told of an incident."""
        return incidents.notice(self.app, name)

    def residency(self) -> dict[str, Any]:
        """Where each part is planned and found, and whether that was observed or declared."""
        return residency.listed(self.app)

    def overdue(self) -> int:
        """How many working copies and sealed batches are past their cap, by the ledger's word."""
        return sum(map(len, self.app.waiting().overdue().values()))

    def prove(
        self, *, old_size: int | None = None, entry: int | None = None, size: int | None = None
    ) -> dict[str, Any]:
        """A proof to hand out, for `mayfly verify --proof` by who has not the whole ledger.

        Args:
            old_size: of the tree that is proven to be the beginning; or
            entry: the position, from 0, of what is proven to be in the tree. One of the two.
            size: of the tree that the proof leads to; all entries by default.
        """
        ledger = self.app.ledger
        if old_size is not None and entry is None:
            return ledger.consistency(old_size, size)
        if entry is not None and old_size is None:
            return ledger.inclusion(entry, size)
        raise UsageError("nothing_to_prove", "Give the size of an older tree, or an entry.")

    def report(
        self,
        kind: str = "retention",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """A report from the ledger alone, and where the keys lie; `kind` is `retention`, how long
        data stayed, or `erasure`, when sealed batches were erased.
        """
        if kind not in ("retention", "erasure"):
            raise UsageError("unknown_report", "There are the reports retention and erasure.")
        entries, now = self.app.ledger.entries(), self.app.clock.now()
        period = Period(since=since, until=until)
        if kind == "erasure":
            found = erasure_report(entries, period=period, now=now)
            late = beyond_cap(found, now)
        else:
            found = retention_report(entries, period=period, now=now)
            late = over_anything(found)
        anchoring = self.app.anchoring()
        return {
            "schema": "mayfly/report/1",
            "ok": not late,
            "report": kind,
            "anchored": anchoring.anchored(self.app.ledger.size()),
            "anchors": anchoring.to_dict(),
            "keys": where_keys_lie(self.app),
            **found,
        }

    def make_report(
        self,
        kind: reporting.Kind,
        folder: Path,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """Write a signed report into a folder; see `mayfly.api.reporting`.

        Args:
            kind: `security`; `record` and `recipients` have versions, noted on the ledger.
            folder: that its files go into.
            since: begin of its period.
            until: its end.
        """
        with nullcontext() if kind == "security" else self._act():
            report = reporting.make_report(self.app, kind, since=since, until=until)
        return reporting.write_report(self.app, report, folder)

    def privacy_page(self, file: Path) -> dict[str, Any]:
        """Write the public privacy page, of what holds now alone."""
        return privacy.write_privacy_page(self.app, file)

    def _status(self, run: RunRecord) -> str:
        """As recorded; a run whose process ended without a word was interrupted."""
        return "interrupted" if is_interrupted(run, self.app.alive) else run.status

    def status(self) -> dict[str, Any]:
        """Last run of each sync, and what waits, by class."""
        syncs, target, store = [], self.app.project.target, self.app.store
        waits, pauses = approvals.paused(store), {p.sync: p for p in store.pauses(target)}
        ticks = {t.sync: t for t in store.ticks(target)}
        for name, sync in self.app.project.syncs.items():
            pause = pauses.get(sync.id)
            last = self.app.store.last_run(name, target)
            syncs.append(
                {
                    "sync": name,
                    "last_run": last.run_id if last else None,
                    "status": self._status(last) if last else None,
                    "next_run": _next_run(sync, ticks.get(sync.id), pause),
                    "dropped": ticks[sync.id].dropped if sync.id in ticks else 0,
                    "paused": pause is not None or (sync.id, target) in waits,
                    "pause": {"actor": pause.actor, "since": pause.since.isoformat()}
                    if pause
                    else None,
                }
            )
        room = self.app.waiting()
        return {
            "schema": "mayfly/status/1",
            "ok": True,
            "syncs": syncs,
            "held": held(room.all(), room.sealed()),
            "remains": remains(room.remains()),
            "away": away(self.app.store.outages(), target),
            "pending": pending(self.app.store.pending_approvals(), target),
            "erasures": erasing.open_requests(self.app),
            "left_behind": [asdict(r) for r in self._left_behind()],
        }


def _states(act: str, found: Sequence[KnownState]) -> dict[str, Any]:
    states = [state.to_dict() for state in found]
    return {"schema": "mayfly/state/1", "ok": True, "act": act, "states": states}


def _matches(pattern: str, name: str, sync: SyncSettings) -> bool:
    if pattern.startswith("tag:"):
        return pattern.removeprefix("tag:") in sync.tags
    return fnmatch.fnmatchcase(name, pattern)


def _next_run(sync: SyncSettings, known: Ticking | None, pause: Pause | None) -> str | None:
    """When a worker asks for one: no tick of a paused sync does."""
    if sync.schedule is None or known is None or pause is not None:
        return None
    return (known.asked_at or known.again_at or known.next_at).isoformat()
