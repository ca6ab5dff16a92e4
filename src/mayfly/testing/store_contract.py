"""What every store promises, as a suite of tests. Subclass it and give a `StoreWorld`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from mayfly.domain.alerts import Alert, AlertKind
from mayfly.domain.erasures import (
    ErasureRequest,
    ErasureStep,
    Regulation,
    RequestKind,
    StepStatus,
)
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, PolicyError
from mayfly.domain.runs import (
    AnchorRecord,
    ApprovalRecord,
    ColumnVerdict,
    Outage,
    Pause,
    PendingApproval,
    Rejection,
    Signals,
    Ticking,
    WorkerBeat,
    WorkspaceRecord,
)
from mayfly.ports.store import Store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WORKER = WorkerBeat(executor="here/1/0", region="eu", beat_ms=0, age_ms=0, ended=False)
_FINISHED = {"delivered": 7, "withheld_consent": 2}


@dataclass(frozen=True, kw_only=True)
class StoreWorld:
    """A place without a store.

    Args:
        open: a new `Store` of that place, as another process would open it.
        execute: run one statement on the database behind the store's back.
    """

    open: Callable[[], Store]
    execute: Callable[[str], None]

    def made(self) -> Store:
        """The store, created."""
        store = self.open()
        create(store)
        return store


def create(store: Store) -> None:
    """Create it as `shop-1`."""
    store.create(workspace_id="shop-1", name="shop", installation_id="installation", now=NOW)


def entry(text: str, kind: str = "email") -> tuple[str, bytes]:
    """An entry of the suppression list."""
    return kind, hashlib.sha256(text.encode()).digest()


def approval(mark: str = "a" * 64, sync: str = "vip", target: str = "dev") -> ApprovalRecord:
    """An approval with this fingerprint."""
    return ApprovalRecord(
        sync=sync,
        target=target,
        fingerprint=mark,
        document={"columns": [{"field": "EMAIL", "minimum": None}], "key": ["é"]},
        actor="operator",
        self_approved=True,
        at=NOW,
    )


def start(store: Store, run: str, *, sync: str = "vip", at: datetime = NOW) -> None:
    """Start a run of target `dev`."""
    store.start_run(
        run_id=run, sync=sync, target="dev", mode="audience", started_at=at, holder="here/1/0"
    )


def finish(store: Store, run: str, *, error: str | None = None) -> None:
    """Finish a run one minute after `NOW`."""
    store.finish_run(
        run_id=run,
        status="failed" if error else "succeeded",
        finished_at=NOW + timedelta(minutes=1),
        counts=_FINISHED,
        batches=3,
        seconds=1.5,
        ages={"p50": 0.1, "p95": 0.2, "max": 0.3},
        error_code=error,
    )


def pending(sync: str, fingerprint: str = "f", *, at: datetime = NOW) -> PendingApproval:
    """A sync of target `dev` that waits for approval."""
    return PendingApproval(sync=sync, target="dev", fingerprint=fingerprint, since=at)


def rejection(sync: str) -> Rejection:
    """A sync of target `dev` that was rejected."""
    return Rejection(sync=sync, target="dev", fingerprint="f", actor="alice", at=NOW)


def pause(sync: str) -> Pause:
    """A sync of target `dev` that somebody paused."""
    return Pause(sync=sync, target="dev", actor="alice", since=NOW)


def ticking(sync: str) -> Ticking:
    """A schedule under target `dev` that the store does not know yet."""
    return Ticking(sync=sync, target="dev", schedule="every 5 minutes", next_at=NOW)


def outage(destination: str, *, failures: int = 5, pause: bool = False) -> Outage:
    """A destination of target `dev` that is away."""
    return Outage(
        destination=destination,
        target="dev",
        since=NOW,
        failures=failures,
        code="http_503",
        asked_again_at=NOW + timedelta(hours=1) if pause else None,
    )


def verdict(column: str, cls: str = "email", *, model: str = "people") -> ColumnVerdict:
    """What a column of target `dev` was found to be."""
    return ColumnVerdict(
        target="dev",
        model=model,
        column=column,
        cls=cls,
        counts={"values": 2000, "email": 1},
        basis="b" * 64,
        at=NOW,
    )


_ALERT = Alert(kind=AlertKind.FAILED, subject="vip", target="dev")


def erasure(request: str) -> ErasureRequest:
    """A request of that id."""
    return ErasureRequest(
        request=request,
        target="dev",
        kind=RequestKind.ERASURE,
        regulation=Regulation.GDPR,
        received_at=NOW,
        due_at=NOW + timedelta(days=30),
    )


def erasure_step(sync: str, status: StepStatus = StepStatus.REQUESTED) -> ErasureStep:
    """A request's part of that sync."""
    return ErasureStep(sync=sync, destination="meta", status=status, rows=1, changed_at=NOW)


_CALLS: dict[str, Callable[[Store], object]] = {
    "workspace": lambda s: s.workspace(),
    "alerts": lambda s: s.alerts(),
    "claim_alert": lambda s: s.claim_alert(
        "ops", _ALERT, now=NOW, told_before=NOW, sending_before=NOW
    ),
    "note_alert": lambda s: s.note_alert("ops", _ALERT, failure=""),
    "end_alert": lambda s: s.end_alert("ops", _ALERT),
    "start_run": lambda s: start(s, "r1"),
    "finish_run": lambda s: finish(s, "r1"),
    "runs": lambda s: s.runs(5),
    "last_run": lambda s: s.last_run("vip", "dev"),
    "approve": lambda s: s.approve(approval()),
    "approval": lambda s: s.approval("vip", "dev"),
    "latest_time": lambda s: s.latest_time(),
    "note_time": lambda s: s.note_time(NOW),
    "anchors": lambda s: s.anchors(),
    "note_anchor": lambda s: s.note_anchor(AnchorRecord(name="a", entries=1, at=None, code="x")),
    "pending_approvals": lambda s: s.pending_approvals(),
    "note_pending_approval": lambda s: s.note_pending_approval(pending("a")),
    "end_pending_approval": lambda s: s.end_pending_approval("a", "dev"),
    "verdicts": lambda s: s.verdicts("dev", "people"),
    "note_verdicts": lambda s: s.note_verdicts("dev", "people", [verdict("a")]),
    "rejections": lambda s: s.rejections(),
    "reject": lambda s: s.reject(rejection("a")),
    "end_rejection": lambda s: s.end_rejection("a", "dev"),
    "pauses": lambda s: s.pauses("dev"),
    "pause": lambda s: s.pause(pause("a")),
    "resume": lambda s: s.resume("a", "dev"),
    "erasures": lambda s: s.erasures(),
    "add_erasure": lambda s: s.add_erasure(erasure("e1"), [b"d" * 32]),
    "change_erasure": lambda s: s.change_erasure(erasure("e1")),
    "erasure_digests": lambda s: s.erasure_digests("e1"),
    "erasure_steps": lambda s: s.erasure_steps("e1"),
    "note_erasure_step": lambda s: s.note_erasure_step("e1", erasure_step("a")),
    "key_mark": lambda s: s.key_mark("pseudonym", "crm"),
    "note_key_mark": lambda s: s.note_key_mark("pseudonym", "crm", "m1"),
    "run": lambda s: s.run("r1"),
    "cancel": lambda s: s.cancel("r1", actor="alice", now=NOW),
    "signals": lambda s: s.signals("r1", "a", "dev"),
    "note_events": lambda s: s.note_events("r1", {0: "{}"}),
    "events": lambda s: s.events("r1"),
    "end_events": lambda s: s.end_events(began_before=NOW, runs=5),
    "ticks": lambda s: s.ticks("dev"),
    "change_tick": lambda s: s.change_tick(ticking("a")),
    "end_tick": lambda s: s.end_tick("a", "dev"),
    "enlist": lambda s: s.enlist("here/1/0", "eu"),
    "beat": lambda s: s.beat("here/1/0", lease_ms=1_000),
    "workers": lambda s: s.workers(),
    "end_worker": lambda s: s.end_worker(WORKER),
    "people": lambda s: s.people(),
    "note_people": lambda s: s.note_people("a" * 64),
    "outages": lambda s: s.outages(),
    "note_outage": lambda s: s.note_outage(outage("a")),
    "end_outage": lambda s: s.end_outage("a", "dev"),
    "add_suppressions": lambda s: s.add_suppressions([entry("a")], NOW),
    "remove_suppressions": lambda s: s.remove_suppressions([entry("a")]),
    "suppression_recorded": lambda s: s.suppression_recorded(),
    "note_suppression_recorded": lambda s: s.note_suppression_recorded(1, 0),
    "suppression_counts": lambda s: s.suppression_counts(),
    "suppression_forms": lambda s: s.suppression_forms(),
    "suppression_digests": lambda s: s.suppression_digests(),
    "suppression_version": lambda s: s.suppression_version(),
}


def _codes(store: Store) -> dict[str, str]:
    """What each call refuses with."""
    found = {}
    for name, call in _CALLS.items():
        try:
            call(store)
        except (PolicyError, ConfigError) as error:
            found[name] = error.code
        else:
            found[name] = "done"
    return found


class StoreContract:
    """The tests. Each gets a place without a store."""

    @pytest.fixture
    def world(self) -> StoreWorld:
        """The place under test."""
        raise NotImplementedError

    def test_every_method_is_in_the_list_of_calls(self) -> None:
        """A method added to the port without a line in this suite fails here."""
        methods = {name for name in vars(Store) if not name.startswith("_")}
        assert methods - {"exists", "create"} == set(_CALLS)

    def test_nothing_works_before_it_is_made(self, world: StoreWorld) -> None:
        """Every call refuses with `not_initialised`, and makes nothing."""
        store = world.open()
        assert _codes(store) == dict.fromkeys(_CALLS, "not_initialised")
        assert not store.exists()

    def test_a_newer_store_is_refused(self, world: StoreWorld) -> None:
        """Every call refuses a store of a newer program."""
        store = world.made()
        world.execute("UPDATE schema_version SET version = version + 1")
        assert _codes(store) == dict.fromkeys(_CALLS, "store_newer")

    @pytest.mark.parametrize("table", ["workspace", "schema_version"])
    def test_a_store_without_its_one_row_is_damaged(self, world: StoreWorld, table: str) -> None:
        """A row that is always there and is not makes an integrity error, not a retry."""
        store = world.made()
        world.execute(f"DELETE FROM {table}")
        with pytest.raises(IntegrityError) as caught:
            store.workspace()
        assert caught.value.code == "store_damaged"

    def test_a_store_without_a_table_is_damaged(self, world: StoreWorld) -> None:
        """The message names neither the table nor the statement."""
        store = world.made()
        world.execute("DROP TABLE approvals")
        with pytest.raises(IntegrityError) as caught:
            store.approval("vip", "dev")
        assert caught.value.code == "store_damaged"
        assert "SELECT" not in str(caught.value)

    def test_it_is_made_once(self, world: StoreWorld) -> None:
        """A second `create` refuses and changes nothing."""
        store = world.open()
        assert not store.exists()
        create(store)
        again = world.open()
        assert again.exists()
        with pytest.raises(PolicyError) as caught:
            again.create(workspace_id="other", name="other", installation_id="x", now=NOW)
        assert caught.value.code == "store_exists"
        assert world.open().workspace() == WorkspaceRecord(
            workspace_id="shop-1", name="shop", installation_id="installation", created_at=NOW
        )

    def test_a_failed_creation_leaves_nothing(self, world: StoreWorld) -> None:
        """What fails after the tables were made takes them away again; the next one works."""
        store = world.open()
        nobody: Any = None
        with pytest.raises(EngineError):
            store.create(workspace_id=nobody, name="shop", installation_id="i", now=NOW)
        assert not world.open().exists()
        create(world.open())
        assert world.open().workspace().workspace_id == "shop-1"

    def test_of_many_that_make_it_one_does(self, world: StoreWorld) -> None:
        """Creations at the same moment end in one store and refusals."""

        def attempt(_: int) -> str:
            try:
                create(world.open())
            except PolicyError as error:
                return error.code
            return "made"

        with ThreadPoolExecutor(4) as pool:
            ends = sorted(pool.map(attempt, range(4)))
        assert ends == ["made", "store_exists", "store_exists", "store_exists"]

    def test_a_run_is_kept_as_told(self, world: StoreWorld) -> None:
        """Running first, then with its end; another handle reads the same."""
        store = world.made()
        start(store, "r1")
        (running,) = world.open().runs(10)
        assert (running.status, running.finished_at, running.counts) == ("running", None, None)
        assert running.holder == "here/1/0"
        finish(store, "r1", error="source_away")
        ended = world.open().last_run("vip", "dev")
        assert ended is not None
        assert (ended.run_id, ended.mode, ended.status) == ("r1", "audience", "failed")
        assert ended.started_at == NOW
        assert ended.finished_at == NOW + timedelta(minutes=1)
        assert (ended.counts, ended.batches, ended.seconds) == (_FINISHED, 3, 1.5)
        assert ended.ages == {"p50": 0.1, "p95": 0.2, "max": 0.3}
        assert ended.error_code == "source_away"

    def test_a_run_is_started_once(self, world: StoreWorld) -> None:
        """The same id again is a conflict; the first record stays."""
        store = world.made()
        start(store, "r1")
        with pytest.raises(ConfigError) as caught:
            start(store, "r1", sync="other")
        assert caught.value.code == "store_conflict"
        assert [r.sync for r in store.runs(5)] == ["vip"]

    def test_a_run_that_never_began_cannot_end(self, world: StoreWorld) -> None:
        """A lost record is told, not passed over."""
        store = world.made()
        with pytest.raises(IntegrityError, match="run_unknown"):
            finish(store, "r9")
        assert list(store.runs(9)) == []

    def test_a_run_is_found_by_its_id(self, world: StoreWorld) -> None:
        """And no other."""
        store = world.made()
        for run in ("r1", "r2"):
            start(store, run)
        found = store.run("r1")
        assert found is not None
        assert (found.run_id, found.status, store.run("r3")) == ("r1", "running", None)

    def test_runs_come_newest_first(self, world: StoreWorld) -> None:
        """By moment, whatever zone and precision it was told in; no more than asked for."""
        store = world.made()
        start(store, "r2", at=NOW + timedelta(microseconds=1))
        start(store, "r1", at=NOW.astimezone(timezone(timedelta(hours=9))))
        start(
            store, "r3", at=(NOW + timedelta(seconds=1)).astimezone(timezone(-timedelta(hours=5)))
        )
        assert [r.run_id for r in store.runs(10)] == ["r3", "r2", "r1"]
        assert [r.run_id for r in store.runs(2)] == ["r3", "r2"]

    def test_the_last_run_is_of_its_sync_and_target(self, world: StoreWorld) -> None:
        """Runs of other syncs and targets are not taken for it."""
        store = world.made()
        start(store, "r1")
        start(store, "r2", sync="other", at=NOW + timedelta(seconds=1))
        found = store.last_run("vip", "dev")
        assert found is not None
        assert found.run_id == "r1"
        assert store.last_run("vip", "prod") is None

    def test_an_approval_is_kept_as_told(self, world: StoreWorld) -> None:
        """Document, actor and self-approval included; other syncs and targets have none."""
        world.made().approve(approval())
        store = world.open()
        assert store.approval("vip", "dev") == approval()
        assert store.approval("vip", "prod") is None
        assert store.approval("other", "dev") is None

    def test_a_new_approval_replaces_its_own_only(self, world: StoreWorld) -> None:
        """Of the same sync and target; another target's stays."""
        store = world.made()
        store.approve(approval("a" * 64, target="prod"))
        store.approve(approval("b" * 64))
        store.approve(approval("c" * 64))
        assert store.approval("vip", "dev") == approval("c" * 64)
        assert store.approval("vip", "prod") == approval("a" * 64, target="prod")

    def test_the_latest_time_never_goes_back(self, world: StoreWorld) -> None:
        """An earlier one changes nothing; zones are told apart."""
        store = world.made()
        assert store.latest_time() == datetime(1970, 1, 1, tzinfo=UTC)
        store.note_time(NOW)
        store.note_time(NOW - timedelta(days=1))
        store.note_time(NOW.astimezone(timezone(timedelta(hours=9))))
        assert world.open().latest_time() == NOW
        store.note_time(NOW + timedelta(microseconds=1))
        assert world.open().latest_time() == NOW + timedelta(microseconds=1)

    def test_what_is_known_of_an_anchor_is_the_last(self, world: StoreWorld) -> None:
        """Each by its name; a failure keeps what was left there before."""
        store = world.made()
        assert list(store.anchors()) == []
        first = AnchorRecord(name="b", entries=0, at=None, code="anchor_away")
        other = AnchorRecord(name="a", entries=3, at=NOW, code="")
        for record in (first, other, AnchorRecord(name="b", entries=7, at=NOW, code="")):
            store.note_anchor(record)
        found = world.open().anchors()
        assert list(found) == [other, AnchorRecord(name="b", entries=7, at=NOW, code="")]

    def test_what_waits_for_approval_waits_since_the_first_time(self, world: StoreWorld) -> None:
        """Another request is another time; an end that nobody began is none."""
        store, later = world.made(), NOW + timedelta(days=1)
        assert list(store.pending_approvals()) == []
        for asked in (
            pending("b"),
            pending("a"),
            pending("b", at=later),
            pending("a", "g", at=later),
        ):
            store.note_pending_approval(asked)
        kept = [pending("a", "g", at=later), pending("b")]
        assert list(world.open().pending_approvals()) == kept
        for sync in ("a", "c"):
            store.end_pending_approval(sync, "dev")
        assert list(world.open().pending_approvals()) == [pending("b")]

    def test_verdicts_of_a_model_are_replaced_as_a_whole(self, world: StoreWorld) -> None:
        """A column that is gone has none; those of other models and targets stay."""
        store, other = world.made(), verdict("a", model="orders")
        prod = replace(verdict("a", "phone"), target="prod")
        assert list(store.verdicts("dev", "people")) == []
        store.note_verdicts("dev", "people", [verdict("b"), verdict("a", "none")])
        store.note_verdicts("dev", "orders", [other])
        store.note_verdicts("prod", "people", [prod])
        assert list(world.open().verdicts("dev", "people")) == [verdict("a", "none"), verdict("b")]
        store.note_verdicts("dev", "people", [verdict("c")])
        assert list(world.open().verdicts("dev", "people")) == [verdict("c")]
        assert list(world.open().verdicts("dev", "orders")) == [other]
        assert list(world.open().verdicts("prod", "people")) == [prod]

    def test_a_rejection_is_the_last_until_it_ends(self, world: StoreWorld) -> None:
        """Of each sync and target; an end that nobody began is none."""
        store, later = world.made(), NOW + timedelta(days=1)
        assert list(store.rejections()) == []
        kept = replace(rejection("a"), fingerprint="g", actor="bob", at=later)
        for one in (rejection("b"), rejection("a"), kept):
            store.reject(one)
        assert list(world.open().rejections()) == [kept, rejection("b")]
        for sync in ("a", "c"):
            store.end_rejection(sync, "dev")
        assert list(world.open().rejections()) == [rejection("b")]

    def test_an_erasure_keeps_its_digests_until_it_ends(self, world: StoreWorld) -> None:
        """Each step is the last that was noted; who asks again changes nothing but the digests."""
        store, ended = world.made(), replace(erasure("e1"), ended_at=NOW)
        assert list(store.erasures()) == []
        store.add_erasure(erasure("e1"), [b"a" * 32])
        store.add_erasure(replace(erasure("e1"), target="prod"), [b"a" * 32, b"b" * 32])
        store.add_erasure(erasure("e2"), [b"c" * 32])
        assert list(world.open().erasures()) == [erasure("e1"), erasure("e2")]
        assert list(world.open().erasure_digests("e1")) == [b"a" * 32, b"b" * 32]
        kept = replace(erasure_step("a", StepStatus.ACCEPTED), forgotten=True, code="x")
        for step in (erasure_step("b"), erasure_step("a"), kept):
            store.note_erasure_step("e1", step)
        assert list(world.open().erasure_steps("e1")) == [kept, erasure_step("b")]
        assert list(world.open().erasure_steps("e2")) == []
        store.change_erasure(ended)
        assert list(world.open().erasures()) == [ended, erasure("e2")]
        assert list(world.open().erasure_digests("e1")) == []
        assert list(world.open().erasure_digests("e2")) == [b"c" * 32]

    def test_the_mark_of_a_key_is_the_first(self, world: StoreWorld) -> None:
        """Of each purpose and scope: who notes another is told of the one that stands."""
        store = world.made()
        assert store.key_mark("pseudonym", "crm") is None
        assert store.note_key_mark("pseudonym", "crm", "m1") == "m1"
        assert world.open().note_key_mark("pseudonym", "crm", "m2") == "m1"
        assert world.open().note_key_mark("pseudonym", "ads", "m2") == "m2"
        assert store.key_mark("pseudonym", "crm") == "m1"

    def test_a_pause_is_the_first_until_it_ends(self, world: StoreWorld) -> None:
        """Of each sync and target; who pauses again, or ends what nobody began, changes nothing."""
        store, later = world.made(), NOW + timedelta(days=1)
        assert list(store.pauses("dev")) == []
        again = replace(pause("a"), actor="bob", since=later)
        other = replace(pause("a"), target="prod")
        assert [store.pause(p) for p in (pause("b"), pause("a"), again, other)] == [
            *(True, True, False, True)
        ]
        assert list(world.open().pauses("dev")) == [pause("a"), pause("b")]
        assert [store.resume(sync, "dev") for sync in ("a", "a", "c")] == [True, False, False]
        assert list(world.open().pauses("dev")) == [pause("b")]
        assert list(world.open().pauses("prod")) == [other]

    def test_a_schedule_is_changed_by_who_has_seen_it_last(self, world: StoreWorld) -> None:
        """Of two processes that look at once, one asks for the run."""
        store = world.made()
        assert [store.change_tick(t) for t in map(ticking, "baa")] == [True, True, False]
        first, _ = world.open().ticks("dev")
        assert first == replace(ticking("a"), version=1)
        asked = replace(
            first, asked_at=NOW, again_at=NOW, attempts=1, probes=2, dropped=3, schedule="0 6 * * *"
        )
        assert [world.open().change_tick(asked), store.change_tick(first)] == [True, False]
        assert store.ticks("dev")[0] == replace(asked, version=2)
        assert list(store.ticks("prod")) == []
        store.end_tick("a", "dev")
        store.end_tick("c", "dev")
        assert [t.sync for t in store.ticks("dev")] == ["b"]

    def test_a_worker_lives_while_it_beats(self, world: StoreWorld) -> None:
        """Who is given up, or was silent for longer than its lease, may not go on."""
        store = world.made()
        store.enlist("here/1/0", "eu")
        assert [store.beat(w, lease_ms=60_000) for w in ("here/1/0", "here/2/0")] == [True, False]
        [seen] = world.open().workers()
        assert (seen.executor, seen.region, seen.ended) == ("here/1/0", "eu", False)
        assert 0 <= seen.age_ms < 60_000
        assert store.end_worker(replace(seen, beat_ms=seen.beat_ms - 1)) is False
        assert [world.open().end_worker(seen), store.end_worker(seen)] == [True, False]
        assert store.workers()[0].ended
        assert not store.beat("here/1/0", lease_ms=60_000)

    def test_a_lease_that_ran_out_is_not_renewed(self, world: StoreWorld) -> None:
        """By the store's clock: its holder may have been given up by now."""
        store = world.made()
        store.enlist("here/1/0", "eu")
        world.execute("UPDATE workers SET beat_ms = beat_ms - 60000")
        assert not store.beat("here/1/0", lease_ms=50_000)
        assert store.beat("here/1/0", lease_ms=90_000)

    def test_workers_that_ended_are_forgotten_after_a_day(self, world: StoreWorld) -> None:
        """By the next one that begins; until then runs are told from those that go on."""
        store = world.made()
        for name in ("here/1/0", "here/2/0"):
            store.enlist(name, "eu")
        for worker in store.workers():
            store.end_worker(worker)
        world.execute("UPDATE workers SET beat_ms = beat_ms - 90000000 WHERE executor = 'here/1/0'")
        store.enlist("here/3/0", "eu")
        assert [w.executor for w in store.workers()] == ["here/2/0", "here/3/0"]

    def test_a_run_is_asked_to_end_until_it_has(self, world: StoreWorld) -> None:
        """It alone; what asks twice adds nothing."""
        store = world.made()
        for run in ("r1", "r2"):
            start(store, run)
        assert [store.cancel("r1", actor="alice", now=NOW) for _ in range(2)] == [True, False]
        asked = [world.open().signals(run, "vip", "dev").cancelled for run in ("r1", "r2")]
        assert asked == [True, False]
        finish(store, "r1")
        assert not store.signals("r1", "vip", "dev").cancelled

    def test_signals_are_what_the_other_calls_say(self, world: StoreWorld) -> None:
        """Of the sync, target and run that are asked for."""
        store = world.made()
        nothing = Signals(
            cancelled=False,
            paused=False,
            suppression_version=0,
            approved=None,
            rejected=None,
            people="",
        )
        assert store.signals("r1", "vip", "dev") == nothing
        store.approve(approval("b" * 64))
        store.reject(rejection("vip"))
        store.pause(pause("vip"))
        store.note_people("c" * 64)
        store.add_suppressions([entry("a")], NOW)
        listed = replace(nothing, suppression_version=1, people="c" * 64)
        said = replace(listed, paused=True, approved="b" * 64, rejected="f")
        assert world.open().signals("r1", "vip", "dev") == said
        assert world.open().signals("r1", "vip", "prod") == listed

    def test_events_are_kept_for_a_time_and_a_number_of_runs(self, world: StoreWorld) -> None:
        """In their order; those of older runs end, and of more than so many."""
        store = world.made()
        for day in range(4):
            start(store, f"r{day}", at=NOW + timedelta(days=day))
            store.note_events(f"r{day}", {1: "b", 0: "a"})
        store.note_events("r3", {1: "other", 2: "c"})
        assert list(world.open().events("r3")) == [(0, "a"), (1, "b"), (2, "c")]
        store.end_events(began_before=NOW + timedelta(days=1), runs=9)
        assert [len(store.events(f"r{day}")) for day in range(4)] == [0, 2, 2, 3]
        store.end_events(began_before=NOW, runs=1)
        assert [len(store.events(f"r{day}")) for day in range(4)] == [0, 0, 0, 3]

    def test_the_list_of_people_is_the_last(self, world: StoreWorld) -> None:
        """There is none at first."""
        store = world.made()
        assert store.people() == ""
        for digest in ("a" * 64, "b" * 64):
            store.note_people(digest)
        assert world.open().people() == "b" * 64

    def test_an_outage_is_known_until_it_ends(self, world: StoreWorld) -> None:
        """Of each destination and target the last; an end that nobody began is none."""
        store = world.made()
        assert list(store.outages()) == []
        other = replace(outage("b"), target="prod")
        for known in (outage("b"), other, outage("a"), outage("b", failures=9, pause=True)):
            store.note_outage(known)
        kept = [outage("a"), outage("b", failures=9, pause=True), other]
        assert list(world.open().outages()) == kept
        for destination in ("b", "c"):
            store.end_outage(destination, "dev")
        assert list(world.open().outages()) == [outage("a"), other]

    def test_suppressions_are_a_set(self, world: StoreWorld) -> None:
        """What is there is not counted as new, nor is what is not there as removed."""
        store = world.made()
        assert store.add_suppressions([entry("a"), entry("b"), entry("a")], NOW) == 2
        assert store.add_suppressions([entry("b"), entry("a", "phone")], NOW) == 1
        assert store.suppression_counts() == {"email": 2, "phone": 1}
        assert store.remove_suppressions([entry("a"), entry("c")]) == 1
        assert store.suppression_counts() == {"email": 1, "phone": 1}

    def test_the_forms_that_entries_were_made_by_are_known(self, world: StoreWorld) -> None:
        """By kind; an entry that is there keeps its own."""
        store = world.made()
        assert store.suppression_forms() == {}
        store.add_suppressions([entry("a"), entry("b", "phone")], NOW)
        later = [entry("a"), entry("c"), entry("d", "phone")]
        store.add_suppressions(later, NOW, forms={"email": 3})
        found = world.open().suppression_forms()
        assert found == {"email": frozenset({1, 3}), "phone": frozenset({1})}

    def test_digests_are_32_bytes_each(self, world: StoreWorld) -> None:
        """They come back as they went in, also from an empty list."""
        store = world.made()
        assert store.suppression_digests().type == pa.binary(32)
        assert len(store.suppression_digests()) == 0
        entries = [entry("a"), entry("b", "primary_key")]
        store.add_suppressions(entries, NOW)
        found = world.open().suppression_digests()
        assert found.type == pa.binary(32)
        assert sorted(found.to_pylist()) == sorted(digest for _, digest in entries)

    def test_the_version_moves_only_with_the_list(self, world: StoreWorld) -> None:
        """Calls that change nothing leave it; each that does changes it, also back to empty."""
        store = world.made()
        seen = [store.suppression_version()]
        store.add_suppressions([], NOW)
        store.remove_suppressions([entry("a")])
        assert store.suppression_version() == seen[-1]
        store.add_suppressions([entry("a")], NOW)
        seen.append(store.suppression_version())
        store.add_suppressions([entry("a")], NOW)
        assert store.suppression_version() == seen[-1]
        store.remove_suppressions([entry("a")])
        seen.append(world.open().suppression_version())
        assert len(set(seen)) == 3

    def test_how_often_the_list_was_recorded_outlives_a_process(self, world: StoreWorld) -> None:
        """Never, to begin with; changes of the list leave it."""
        store = world.made()
        assert store.suppression_recorded() == (0, store.suppression_version())
        store.note_suppression_recorded(3, 7)
        store.add_suppressions([entry("a")], NOW)
        assert world.open().suppression_recorded() == (3, 7)

    def test_writers_at_once_wait_for_each_other(self, world: StoreWorld) -> None:
        """No addition is lost and none fails."""
        world.made()

        def add(number: int) -> int:
            return world.open().add_suppressions([entry(str(number))], NOW)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(add, range(16))) == 16
        assert world.open().suppression_counts() == {"email": 16}
        assert world.open().suppression_version() == 16

    def test_an_alert_is_claimed_by_one(self, world: StoreWorld) -> None:
        """Of several callers at once; what was noted as told is not claimed before its time."""
        world.made()
        alert = Alert(kind=AlertKind.FAILED, subject="s", target="dev")
        later, before = NOW + timedelta(hours=2), NOW - timedelta(hours=1)

        def claim(now: datetime, told: datetime, sending: datetime) -> bool:
            return world.open().claim_alert(
                "ops", alert, now=now, told_before=told, sending_before=sending
            )

        with ThreadPoolExecutor(4) as pool:
            claims = list(pool.map(lambda _: claim(NOW, before, before), range(4)))
        assert sorted(claims) == [False, False, False, True]
        store = world.open()
        assert claim(later, NOW, NOW)  # who claimed it first was not heard of again
        store.note_alert("ops", alert, failure="")
        assert not claim(later, NOW, later)
        assert claim(later, later, before)
        store.note_alert("ops", alert, failure="alert_away")
        assert claim(later, before, before)
        [kept] = store.alerts()
        assert (kept.since, kept.told_at, kept.failure) == (NOW, later, "sending")

    def test_an_alert_ends_once(self, world: StoreWorld) -> None:
        """And its end is to be told where it was told itself."""
        store = world.made()
        alert = Alert(kind=AlertKind.HELD, subject="s", target="dev")
        known = {"now": NOW, "told_before": NOW, "sending_before": NOW}
        assert not store.end_alert("ops", alert)
        store.claim_alert("ops", alert, **known)
        store.note_alert("ops", alert, failure="")
        assert not store.end_alert("other", alert)
        assert store.end_alert("ops", alert)
        assert not store.end_alert("ops", alert)
        store.claim_alert("ops", alert, **known)
        store.note_alert("ops", alert, failure="alert_away")
        assert not store.end_alert("ops", alert)
        assert store.alerts() == []
