"""A project and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

from mayfly.api import acts, alerts, asking, erasing
from mayfly.api.approving import approve, people, people_to_sign, reject, to_sign, waiting
from mayfly.api.connecting import connect, disconnect
from mayfly.api.keys import KeyAct, act_on_keys
from mayfly.api.mapping import proposed
from mayfly.api.planning import planned
from mayfly.api.processor_acts import ProcessorActs
from mayfly.api.record_acts import RecordActs
from mayfly.api.results import PlanResult, RunResult
from mayfly.api.running import RunRequest, run_syncs
from mayfly.api.state_acts import StateActs
from mayfly.api.subject_acts import SubjectActs
from mayfly.api.sweeping import sweep
from mayfly.api.trying import tried
from mayfly.api.waiting import Swept, away, held, pending, remains
from mayfly.domain.runs import Pause, RunRecord, Ticking
from mayfly.domain.settings import SyncSettings
from mayfly.ports.ledger import Recipient
from mayfly.services import approve as approvals
from mayfly.services.left_behind import left_behind
from mayfly.services.schedule_runs import is_interrupted


class Project(ProcessorActs, RecordActs, StateActs, SubjectActs):
    """An initialised project. Calls block; one run at a time per object."""

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


def _next_run(sync: SyncSettings, known: Ticking | None, pause: Pause | None) -> str | None:
    """When a worker asks for one: no tick of a paused sync does."""
    if sync.schedule is None or known is None or pause is not None:
        return None
    return (known.asked_at or known.again_at or known.next_at).isoformat()
