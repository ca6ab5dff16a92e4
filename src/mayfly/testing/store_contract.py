"""What every store promises, as a suite of tests. Subclass it and give a `StoreWorld`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, PolicyError
from mayfly.domain.runs import (
    AnchorRecord,
    WorkspaceRecord,
)
from mayfly.ports.store import Store
from mayfly.testing.store_operations import StoreOperations
from mayfly.testing.store_world import (
    ALERT,
    FINISHED,
    NOW,
    WORKER,
    StoreWorld,
    approval,
    create,
    entry,
    erasure,
    erasure_step,
    finish,
    incident,
    open_act,
    outage,
    pause,
    pending,
    rejection,
    run_offer,
    start,
    ticking,
    verdict,
)

_CALLS: dict[str, Callable[[Store], object]] = {
    "workspace": lambda s: s.workspace(),
    "alerts": lambda s: s.alerts(),
    "claim_alert": lambda s: s.claim_alert(
        "ops", ALERT, now=NOW, told_before=NOW, sending_before=NOW
    ),
    "note_alert": lambda s: s.note_alert("ops", ALERT, failure=""),
    "end_alert": lambda s: s.end_alert("ops", ALERT),
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
    "actor": lambda s: s.actor("alice", "a-1"),
    "actors": lambda s: s.actors(),
    "forget_actor": lambda s: s.forget_actor("a-1"),
    "open_acts": lambda s: s.open_acts(),
    "note_acts": lambda s: s.note_acts([open_act("1")]),
    "end_acts": lambda s: s.end_acts([open_act("1")]),
    "incidents": lambda s: s.incidents(),
    "open_incident": lambda s: s.open_incident(incident("i1")),
    "close_incident": lambda s: s.close_incident("i1", measures=["paused"], note="", now=NOW),
    "erasures": lambda s: s.erasures(),
    "add_erasure": lambda s: s.add_erasure(erasure("e1"), [b"d" * 32]),
    "change_erasure": lambda s: s.change_erasure(erasure("e1")),
    "erasure_digests": lambda s: s.erasure_digests("e1"),
    "erasure_steps": lambda s: s.erasure_steps("e1"),
    "note_erasure_step": lambda s: s.note_erasure_step("e1", erasure_step("a")),
    "deletion": lambda s: s.deletion(),
    "note_deletion": lambda s: s.note_deletion("store", NOW),
    "empty": lambda s: s.empty(),
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
    "offer_run": lambda s: s.offer_run(run_offer("a", "r1")),
    "run_offers": lambda s: s.run_offers("dev"),
    "end_offer": lambda s: s.end_offer("r1"),
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


class StoreContract(StoreOperations):
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
        assert (ended.counts, ended.batches, ended.seconds) == (FINISHED, 3, 1.5)
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
