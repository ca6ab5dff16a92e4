"""What every store promises of pauses, schedules, workers, events, alerts and erasures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from mayfly.domain.alerts import Alert, AlertKind
from mayfly.domain.erasures import (
    StepStatus,
)
from mayfly.domain.incidents import IncidentKind
from mayfly.domain.runs import (
    Signals,
)
from mayfly.testing.store_world import (
    NOW,
    StoreWorld,
    approval,
    entry,
    erasure,
    erasure_step,
    finish,
    incident,
    open_act,
    pause,
    rejection,
    run_offer,
    start,
    ticking,
)


class StoreOperations:
    """A part of `StoreContract`."""

    def test_a_deletion_is_noted_and_empties_all_else(self, world: StoreWorld) -> None:
        """The first time of a step stays; the workspace's own line and the clock do, too."""
        store = world.made()
        assert dict(store.deletion()) == {}
        store.add_erasure(erasure("e1"), [b"a" * 32])
        store.note_time(NOW)
        for at in (NOW, NOW + timedelta(hours=1)):
            store.note_deletion("waiting", at)
        store.note_deletion("states", NOW + timedelta(hours=2))
        assert store.empty() == 2
        assert store.empty() == 0
        later = world.open()
        assert list(later.erasures()) == []
        assert list(later.deletion().items()) == [
            ("waiting", NOW),
            ("states", NOW + timedelta(hours=2)),
        ]
        assert (later.workspace(), later.latest_time()) == (store.workspace(), NOW)

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
        cancelled = replace(erasure("e2"), ended_at=NOW, cancelled=True)
        store.change_erasure(cancelled)
        assert list(world.open().erasures()) == [ended, cancelled]

    def test_an_actor_has_one_id_until_the_name_is_forgotten(self, world: StoreWorld) -> None:
        """Whoever of several asks first gives it."""
        store = world.made()
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(world.open().actor, "alice", f"a-{n}") for n in range(4)]
            [first] = {one.result() for one in asked}
        assert world.open().actor("alice", "a-9") == first
        assert store.actor("bob", "b-1") == "b-1"
        assert store.actors() == {first: "alice", "b-1": "bob"}
        assert world.open().forget_actor(first)
        assert not store.forget_actor(first)
        assert store.actors() == {"b-1": "bob"}
        assert store.actor("alice", "a-9") == "a-9"

    def test_an_act_is_noted_until_it_is_recorded(self, world: StoreWorld) -> None:
        """With how it ended, where that could not be recorded."""
        store = world.made()
        store.note_acts([])
        store.note_acts([open_act("2"), open_act("1")])
        assert list(world.open().open_acts()) == [open_act("1"), open_act("2")]
        ended = open_act("2", after="c" * 64, outcome="done")
        world.open().note_acts([ended])
        assert list(store.open_acts()) == [open_act("1"), ended]
        store.end_acts([open_act("1"), open_act("3")])
        assert list(world.open().open_acts()) == [ended]

    def test_an_incident_is_open_once(self, world: StoreWorld) -> None:
        """Of a kind, subject and target; once it is closed the next one is another."""
        store, later = world.made(), NOW + timedelta(hours=1)
        store.open_incident(incident("i1"))
        again = incident("i2", known_at=later, last_at=later, rows=9, code="other", run="r2")
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(world.open().open_incident, again) for _ in range(3)]:
                done.result()
        once = incident("i1", last_at=later, occurrences=4, rows=9)
        assert list(world.open().incidents()) == [once]
        store.open_incident(incident("i3", rows=1, target="prod"))
        store.open_incident(incident("i4", kind=IncidentKind.GUARD_STOP))
        assert [i.id for i in store.incidents()] == ["i1", "i3", "i4"]
        measures, note = ["paused", "data_deleted"], "né à Paris"
        assert world.open().close_incident("i1", measures=measures, note=note, now=later)
        assert not store.close_incident("i1", measures=[], note="", now=NOW)
        assert not store.close_incident("gone", measures=[], note="", now=NOW)
        closed = replace(once, closed_at=later, measures=tuple(measures), note=note)
        assert store.incidents()[0] == closed
        store.open_incident(again)
        assert store.incidents()[-1] == again
        assert closed in store.incidents()

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

    def test_a_run_is_offered_until_it_ends(self, world: StoreWorld) -> None:
        """One of each sync; the end of another run of it ends nothing."""
        store = world.made()
        for sync, run in (("b", "r1"), ("a", "r2"), ("b", "r3")):
            store.offer_run(run_offer(sync, run))
        store.end_offer("r1")
        assert list(world.open().run_offers("dev")) == [run_offer("a", "r2"), run_offer("b", "r3")]
        assert list(store.run_offers("prod")) == []
        store.end_offer("r3")
        assert list(world.open().run_offers("dev")) == [run_offer("a", "r2")]

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
