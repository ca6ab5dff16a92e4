"""Short stories of the delivery protocol, one for each rule that chance seldom meets.

Each fails once the rule it names is left out: the state machine of `test_planstore_protocol` would
find that only in long play.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from contract.test_planstore_protocol import (
    EMAILS,
    STORES,
    MakeWarehouse,
    duckdb_file,
    postgres,
)
from mayfly.adapters.planstores.states import SourceStates
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import EngineError, IntegrityError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.planning.spec import Plan
from mayfly.testing.plan_driver import Attempt, CrashError, Events, Step
from mayfly.testing.plan_world import World, digest, identifiers

E0, E1, E2 = EMAILS[0], EMAILS[2], EMAILS[4]
# Orders of two batches.
FIRST_TO_LAST, LAST_TO_FIRST = 0, 1


@pytest.fixture(params=[STORES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in STORES[1:])])
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    if request.param == "duckdb":
        return duckdb_file
    return partial(postgres, request.getfixturevalue("postgres_database"))


def become(world: World, people: dict[int, tuple[str | None, str]], **more: Any) -> Attempt:
    """The model holds these people, and a run is made of it."""
    world.people = dict(people)
    world.edited()
    run = Attempt(world=world, **more).go()
    run.check_end()
    return run


def die(
    world: World, step: Step, people: dict[int, tuple[str | None, str]], **more: Any
) -> Attempt:
    """The same, and the process dies at a step."""
    run = become(world, people, events={step: Attempt.crash}, **more)
    assert isinstance(run.error, CrashError)
    return run


def settled(world: World, **more: Any) -> None:
    """Nothing is left to do, and nothing is left behind or missing."""
    run = become(world, world.people, **more)
    assert run.tally is not None
    assert run.tally.status == "no_changes"
    world.check_truth()


def refuse_city(world: World, city: str) -> None:
    """The destination takes no row of a city, whatever its e-mail."""
    world.destination.reject_values([digest(city).hex()])


# -- pairs of an audience -----------------------------------------------------------------------


def test_an_earlier_value_that_was_kept_for_another_goes_with_that_other(
    warehouse: MakeWarehouse,
) -> None:
    """Marking outdated pairs: 1 had E0 before, 2 wants it and is refused, then 2 leaves. Row 1
    looks unchanged, and its pair of E0 must all the same not count as wanted.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {1: (E1, "c0"), 2: (E0, "c9")})
        assert digest(E0).hex() in world.destination.members["EMAIL"]
        become(world, {1: (E1, "c0")})
        settled(world)


def test_an_outdated_value_that_is_wanted_again_is_kept(warehouse: MakeWarehouse) -> None:
    """The mark goes with the row's next delivery."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {1: (E1, "c0"), 2: (E0, "c9")})
        become(world, {1: (E0, "c0"), 2: (E0, "c9")})
        become(world, {1: (E0, "c0")})
        settled(world)


def test_a_value_whose_removal_is_in_doubt_is_sent_again_once_it_is_wanted(
    warehouse: MakeWarehouse,
) -> None:
    """Looking again at doubtful rows: E0 was perhaps removed, E1 never sent, and the row has E0
    again. Its fingerprint is the one that the state knows.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        die(world, ("before outcome", 1), {1: (E1, "c0")}, seed=LAST_TO_FIRST)
        assert not world.destination.members["EMAIL"]
        become(world, {1: (E0, "c0")})
        settled(world)


def test_a_refused_row_lets_go_of_what_a_dying_run_did_not_remove(
    warehouse: MakeWarehouse,
) -> None:
    """It is not sent again, and what of it was delivered before goes in the next run."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        world.reject(E1)
        die(world, ("before intent", 2), {1: (E1, "c0")}, seed=FIRST_TO_LAST)
        assert world.destination.members["EMAIL"]
        become(world, world.people)
        settled(world)


def test_a_pair_is_not_forgotten_for_another_that_goes_too(warehouse: MakeWarehouse) -> None:
    """1 and 2 leave, 3 wants their e-mail and is refused: the e-mail goes once 3 leaves."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c0")})
        refuse_city(world, "c9")
        become(world, {3: (E0, "c9")})
        become(world, {})
        settled(world)


def test_a_pair_that_another_row_holds_is_forgotten_with_its_row() -> None:
    """Nothing is removed at the destination, and the state keeps no digest of who left."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c0")})
        become(world, {2: (E0, "c0")})
        [state] = SourceStates(made.source, made.sql).all()
        assert state.identifiers == 2
        settled(world)


def test_who_was_never_sent_is_not_taken_back(warehouse: MakeWarehouse) -> None:
    """Rows that a request did not hold are not in doubt with their batch: no digest of one who
    withdrew before anything was sent leaves for a removal.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (E0, "c0"), 2: (E1, "c1")}
        world.edited()
        what: Events = {("after create", 1): withdraw, ("before outcome", 1): Attempt.crash}
        assert isinstance(Attempt(world=world, events=what).go().error, CrashError)
        become(world, world.people)
        settled(world)
        assert Operation.REMOVE not in {operation for operation, _ in world.destination.requests}


def withdraw(attempt: Attempt) -> None:
    """Person 2 withdraws."""
    attempt.world.consent[2] = False
    attempt.world.edited()


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR, SyncMode.APPEND])
def test_who_withdraws_after_the_plan_is_not_sent(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Consent is looked at again with each read; who consents again later is sent then."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        people: dict[int, tuple[str | None, str]] = {1: (E0, "c0"), 2: (E1, "c1")}
        run = become(world, people, events={("after create", 1): withdraw})
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.deferred) == (1, 1)
        assert not world.has_taken(E1)
        world.check_truth()
        world.consent.clear()
        become(world, people)
        settled(world)


def test_a_changed_rule_sends_what_it_changes_and_a_dying_run_leaves_the_rest_due(
    warehouse: MakeWarehouse,
) -> None:
    """The versions move only after a complete close, whatever the fingerprints of the rows."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        people: dict[int, tuple[str | None, str]] = {k: (EMAILS[2 * k], "c0") for k in range(4)}
        become(world, people)
        world.salt, world.versions = "salt", "salted"
        die(world, ("before intent", 2), people)
        become(world, people)
        settled(world)


def test_a_plan_is_closed_by_its_own_mapping(warehouse: MakeWarehouse) -> None:
    """Fields stand elsewhere in the next run's; then everybody leaves."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        die(world, ("before close", 1), {1: (E0, "c0")})
        world.versions = "v2"
        assert become(world, world.people).tally.status == "no_changes"  # type: ignore[union-attr]
        become(world, {})
        settled(world)


def test_doubt_of_an_earlier_value_does_not_send_a_row_for_ever(warehouse: MakeWarehouse) -> None:
    """An upsert keeps the earlier e-mail; its removal for another person is in doubt. What the row
    sends now could never clear that.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT, by_identifier=True, erases=True)
        become(world, {1: (E0, "c0")})
        become(world, {1: (E1, "c0")})
        world.consent[1] = False
        die(world, ("before outcome", 1), world.people, seed=LAST_TO_FIRST)
        world.consent.clear()
        become(world, world.people)
        settled(world)


# -- rejections and suppression -----------------------------------------------------------------


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_a_refused_row_is_tried_again_only_when_it_or_the_rules_change(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Not in the next run; with other values, at once; with its earlier ones after others were
    taken; and after another mapping.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        refused: dict[int, tuple[str | None, str]] = {1: (E0, "c0")}
        world.reject(E0)
        for run, requests in ((become(world, refused), 1), (become(world, refused), 1)):
            assert run.error is None
            assert len(world.destination.requests) == requests
        become(world, {1: (E1, "c0")})
        settled(world)
        world.accept(E0)
        become(world, refused)
        settled(world)
        world.reject(E2)
        become(world, {1: (E2, "c0")})
        world.accept(E2)
        world.versions = "v2"
        become(world, {1: (E2, "c0")})
        settled(world)


def test_a_row_that_is_answered_for_twice_is_remembered_once(warehouse: MakeWarehouse) -> None:
    """What the intent said of a row stays: two codes of one row would double its key."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        world.people = {1: (E0, "c0")}
        world.edited()
        spec = world.spec("r")
        store = world.store(spec.identity)
        store.acquire(spec, holder="h", now_ms=0, alive=lambda _: True)
        store.create(spec, world.worker, check=accept_any)
        withheld = Outcomes.all_of(OutcomeCode.WITHHELD, 1, Reason(code="wrong_shape"))
        store.intent(0, withheld)
        store.outcome(0, withheld)
        store.close(spec, now_ms=0)
        assert [row["rows"] for row in store.rejections()[1]] == [1]


def accept_any(_: Plan) -> None:
    """Any plan may be made."""


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_who_is_suppressed_is_removed_once(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Also where the row is unchanged; the removal is not repeated."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0"), 2: (E1, "c0")})
        world.suppress(E1)
        become(world, world.people)
        assert not world.has_taken(E1)
        settled(world)
        settled(world)


# -- tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SyncMode.MIRROR, SyncMode.UPSERT])
def test_a_row_in_doubt_is_written_again_though_it_is_as_it_was(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Its new values arrived, nobody knows, and the model has the earlier ones again."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0")})
        die(world, ("before outcome", 1), {1: (E1, "c0")})
        become(world, {1: (E0, "c0")})
        settled(world)


def test_who_left_and_comes_back_without_consent_is_erased(warehouse: MakeWarehouse) -> None:
    """An upsert leaves who left the model, and still knows of them when they withdraw, or are
    suppressed; and who merely left does not count towards a mass change.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT, erases=True)
        people: dict[int, tuple[str | None, str]] = {k: (EMAILS[2 * k], "c0") for k in range(3)}
        become(world, people)
        become(world, {})
        assert set(world.destination.rows) == {(0,), (1,), (2,)}
        world.consent[0] = False
        world.suppress(EMAILS[2])
        become(world, {k: people[k] for k in (0, 1)}, guard_rows=1)
        assert set(world.destination.rows) == {(2,)}
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR, SyncMode.UPSERT])
def test_who_comes_back_unchanged_is_sent_again(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Whoever left, or withdrew, is no longer there for the state."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        people: dict[int, tuple[str | None, str]] = {1: (E0, "c0"), 2: (E1, "c1")}
        become(world, people)
        world.consent[2] = False
        become(world, {2: (E1, "c1")})
        world.consent.clear()
        run = become(world, people)
        assert run.tally is not None
        assert run.tally.delivered == 2
        settled(world)


def test_a_key_that_became_double_after_the_plan_is_not_sent(warehouse: MakeWarehouse) -> None:
    """Which of its rows is meant nobody knows; the others go."""

    def double(attempt: Attempt) -> None:
        rows = [(k, e, city, True) for k, (e, city) in attempt.world.people.items()]
        attempt.world.warehouse.write_model([*rows, (2, E2, "c2", True)])

    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        run = become(world, {1: (E0, "c0"), 2: (E1, "c1")}, events={("after create", 1): double})
        assert run.tally is not None
        assert (run.tally.delivered, run.tally.deferred) == (1, 1)
        assert set(world.destination.rows) == {(1,)}


# -- appends and jobs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "asynchronous", "jobs"),
    [
        ("before write", False, "kept"),
        ("after write", False, "kept"),
        ("before outcome", False, "kept"),
        ("before submitted", True, "kept"),
        ("before submitted", True, "done"),
        ("before submitted", True, "lost"),
    ],
)
def test_an_append_in_doubt_is_asked_for_by_its_marker(
    warehouse: MakeWarehouse, step: str, jobs: str, *, asynchronous: bool
) -> None:
    """Taken as delivered only where the marker is there, and sent again only where it is not."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.APPEND)
        world.people = {1: (E0, "c0"), 2: (E1, "c1")}
        world.edited()
        what = {(step, 1): partial(Attempt.crash, jobs=jobs)}
        died = Attempt(world=world, events=what, asynchronous=asynchronous).go()
        assert isinstance(died.error, CrashError)
        asked = become(world, world.people, asynchronous=asynchronous)
        assert ("before applied", 1) in asked.steps
        settled(world)


@pytest.mark.parametrize("in_doubt", ["resend", "skip"])
@pytest.mark.parametrize("step", ["before write", "before outcome"])
def test_an_append_in_doubt_without_marker_goes_as_the_operator_says(
    warehouse: MakeWarehouse, step: str, in_doubt: str
) -> None:
    """Once more, or never again; and not at all before he has said it."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.APPEND)
        people: dict[int, tuple[str | None, str]] = {1: (E0, "c0")}
        die(world, (step, 1), people, markers=False)
        arrived = len(world.destination.inserted)
        assert getattr(become(world, people, markers=False).error, "code", None) == "in_doubt"
        assert len(world.destination.inserted) == arrived
        assert become(world, people, markers=False, in_doubt=in_doubt).error is None
        assert len(world.destination.inserted) == arrived + (in_doubt == "resend")
        settled_rows = list(world.destination.inserted)
        become(world, people, markers=False)
        assert world.destination.inserted == settled_rows


def test_an_append_without_marker_is_not_repeated(warehouse: MakeWarehouse) -> None:
    """Neither after a cut connection, nor where a row is deferred; an answered one is not asked
    for again.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.APPEND)
        people: dict[int, tuple[str | None, str]] = {1: (E0, "c0")}
        world.destination.fail_after()
        held = become(world, people, markers=False)
        assert held.tally is not None
        assert held.tally.status == "held"
        assert len(world.destination.inserted) == 1
        become(world, people, markers=False, in_doubt="skip")
        world.defer(E1, 1)
        people[2] = (E1, "c1")
        deferred = become(world, people, markers=False)
        assert deferred.tally is not None
        assert (deferred.tally.status, deferred.tally.deferred) == ("partial", 1)
        die(world, ("after outcome", 1), people, markers=False)
        settled(world, markers=False)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.APPEND])
def test_a_job_that_was_taken_is_asked_for_after_a_crash(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Without a marker, too, nothing is in doubt; and whom the job did not hold is still due."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        world.people = {1: (E0, "c0"), 2: (E1, "c1")}
        world.edited()
        job: dict[str, Any] = {"asynchronous": True, "markers": False}
        what: Events = {("after create", 1): withdraw, ("after submitted", 1): Attempt.crash}
        assert isinstance(Attempt(world=world, events=what, **job).go().error, CrashError)
        asked = become(world, world.people, **job)
        assert asked.tally is not None
        assert (asked.tally.recovered, asked.tally.status) == (0, "no_changes")
        assert ("before poll", 2) in asked.steps
        world.consent.clear()
        become(world, world.people, **job)
        settled(world, **job)


def test_a_job_is_waited_for_in_its_run(warehouse: MakeWarehouse) -> None:
    """The run knows what became of it."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        run = become(world, {1: (E0, "c0")}, asynchronous=True)
        assert run.tally is not None
        assert (run.tally.status, run.tally.delivered) == ("succeeded", 1)
        settled(world, asynchronous=True)


# -- lease and fence ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "asynchronous"),
    [
        ("before create", False),
        ("before read", False),
        ("before intent", False),
        ("before outcome", False),
        ("before submitted", True),
        ("before close", False),
    ],
)
def test_an_overtaken_process_stops_at_its_next_call(
    warehouse: MakeWarehouse, step: str, *, asynchronous: bool
) -> None:
    """Whoever took over died with a plan open, of tables with the same names; and nobody may take
    its lease because the first process gives back its own.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        dies: dict[Step, Any] = {("after create", 1): Attempt.crash}
        taken = partial(Attempt.overtake, events=dies, jobs="kept")
        run = become(world, {1: (E0, "c0")}, events={(step, 1): taken}, asynchronous=asynchronous)
        assert getattr(run.error, "code", None) == "fenced"
        assert (step.replace("before", "after"), 1) not in run.steps
        spec = world.spec("knock")
        with pytest.raises(TransientError, match="run_active"):
            world.store(spec.identity).acquire(
                spec, holder="k", now_ms=world.now_ms, alive=lambda _: True
            )
        become(world, world.people)
        settled(world)


def test_a_deferred_row_is_sent_again_only_by_the_leases_holder(warehouse: MakeWarehouse) -> None:
    """Each further sending renews the lease first."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.defer(E0, 1)
        taken = partial(Attempt.overtake, events={}, jobs="kept")
        run = become(world, {1: (E0, "c0")}, events={("before intent", 2): taken})
        assert getattr(run.error, "code", None) == "fenced"
        assert ("before write", 2) not in run.steps
        settled(world)


def test_a_lease_lasts_two_minutes_from_its_holders_last_write(warehouse: MakeWarehouse) -> None:
    """Before that nobody takes it from a process that is alive, after that anybody does, and at
    once where the holder is dead.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (E0, "c0")}
        world.edited()
        spec = world.spec("r")

        def knock(holder: str = "k", *, alive: bool = True) -> str:
            try:
                world.store(spec.identity).acquire(
                    spec, holder=holder, now_ms=world.now_ms, alive=lambda _: alive
                )
            except EngineError as error:
                return error.code
            return "taken"

        holder = world.store(spec.identity)
        holder.acquire(spec, holder="h", now_ms=world.now_ms, alive=lambda _: True)
        world.now_ms += 119_000
        assert knock() == "run_active"
        holder.create(spec, world.worker, check=accept_any)
        world.now_ms += 119_000
        assert knock() == "run_active"
        world.now_ms += 1_001
        assert knock() == "taken"
        with pytest.raises(IntegrityError, match="fenced"):
            holder.intent(0)
        assert knock("l") == "run_active"
        assert knock("l", alive=False) == "taken"


def test_an_open_plan_is_not_planned_over(warehouse: MakeWarehouse) -> None:
    """It would be forgotten what of it perhaps went."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        die(world, ("before outcome", 1), {1: (E0, "c0")})
        spec = world.spec("r")
        store = world.store(spec.identity)
        store.acquire(spec, holder="h", now_ms=world.now_ms, alive=lambda _: False)
        with pytest.raises(IntegrityError, match="plan_open"):
            store.create(spec, world.worker, check=accept_any)
        assert store.open_plan() is not None


def test_a_plan_that_was_announced_and_never_made_is_no_longer_open(
    warehouse: MakeWarehouse,
) -> None:
    """In the ledger, after the next run."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        died = die(world, ("before create", 1), {1: (E0, "c0")})
        assert world.ledger.open_runs("people", "dev") == [died.run]
        become(world, world.people)
        assert world.ledger.open_runs("people", "dev") == []
        assert world.destination.members["PHONE"] == identifiers("PHONE", world.people)
