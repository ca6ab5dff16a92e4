"""Short stories of the delivery protocol: appends, jobs and leases.

Each fails once the rule it names is left out: the state machine of `test_planstore_protocol` would
find that only in long play.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import (
    E0,
    E1,
    People,
    accept_any,
    become,
    die,
    settled,
    withdraw,
)
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import EngineError, IntegrityError, TransientError
from mayfly.ports.planstore import PlanStore
from mayfly.testing.plan_driver import Attempt, CrashError, Events, Step
from mayfly.testing.plan_world import World, identifiers


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


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
        people: People = {1: (E0, "c0")}
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
        people: People = {1: (E0, "c0")}
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


def test_of_two_that_take_a_lease_at_once_one_has_it(warehouse: MakeWarehouse) -> None:
    """Both have seen the same fence of a run that died; the slower one is told so."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        die(world, ("after create", 1), {1: (E0, "c0")})
        spec = world.spec("r")
        slow, quick = world.store(spec.identity), world.store(spec.identity)

        has: dict[str, bool] = {}

        def take(store: PlanStore, holder: str, alive: Callable[[str], bool]) -> None:
            try:
                store.acquire(spec, holder=holder, now_ms=0, alive=alive)
                has[holder] = True
            except TransientError:
                has[holder] = False

        def ask(_: str) -> bool:
            take(quick, "quick", lambda _: False)
            return False

        take(slow, "slow", ask)
        assert sorted(has.values()) == [False, True]
        winner, other = (slow, quick) if has["slow"] else (quick, slow)
        with pytest.raises(IntegrityError, match="no_lease"):
            other.close(spec, now_ms=world.now_ms)
        assert winner.close(spec, now_ms=world.now_ms).dropped


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
    once where the holder is dead. Who waits for long says so.
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
        holder.keep(600.0)
        world.now_ms += 719_000
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
