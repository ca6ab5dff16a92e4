"""The delivery protocol where a process dies, or is overtaken, at a step that is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from contract.plan_machine import CASES, EMAILS, OF_WORLD, SOAK, apply
from contract.plan_stores import ENGINES, MakeWarehouse, duckdb_file, maker
from mayfly.domain.batch import SyncMode
from mayfly.testing.plan_driver import Attempt, CrashError, Step
from mayfly.testing.plan_world import World

AFTER_CREATE = ("after create", 1)
SHARES = 6
"""Tests that the steps of one story are spread over, so that they can be played side by side."""


def withdraw(attempt: Attempt) -> None:
    """One person withdraws."""
    apply(attempt.world, [(4, "refuse")])


def story(
    make: MakeWarehouse,
    mode: SyncMode,
    what: dict[Step, Any],
    *,
    all_leave: bool = False,
    **more: Any,
) -> Attempt:
    """One run of a fixed story in which something happens, then the truth: rows that are new,
    changed, shared, rejected and gone, and one that loses its consent after it was planned and
    has it again in the end, unless everybody leaves.
    """
    of_world = {name: more.pop(name) for name in OF_WORLD if name in more}
    with make() as warehouse:
        world = World(warehouse=warehouse, mode=mode, **of_world)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c0"), 3: (EMAILS[1], "c1")}
        world.edited()
        more = {"markers": True} | more
        assert Attempt(world=world, **more).go().error is None
        if mode is not SyncMode.APPEND:
            world.reject(EMAILS[5])
        world.people |= {1: (EMAILS[1], "c0"), 4: (EMAILS[2], "c0"), 5: (EMAILS[3], "c0")}
        world.people |= {6: (EMAILS[4], "c1"), 7: (EMAILS[5], "c1")}
        del world.people[2]
        world.edited()

        told = Attempt(world=world, events={AFTER_CREATE: withdraw} | what, **more).go()
        told.check_end()
        world.consent.clear()
        if all_leave:
            world.people.clear()
        world.edited()
        for _ in range(2):
            assert Attempt(world=world, **more).go().error is None
        world.destination.finish_jobs()
        world.check_truth(in_doubt=more.get("in_doubt"))
        assert world.ledger.open_runs("people", "dev") == []
        return told


def happen(step: Step, event: Callable[[Attempt], None]) -> dict[Step, Any]:
    """An event at a step, after the withdrawal where that is the same step."""

    def both(attempt: Attempt) -> None:
        if step == AFTER_CREATE:
            withdraw(attempt)
        event(attempt)

    return {step: both}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_a_crash_at_every_step_is_made_good(
    mode: SyncMode, more: dict[str, Any], *, asynchronous: bool
) -> None:
    """The process dies, or is overtaken, at each step of one story in turn. With `MAYFLY_SOAK`
    in each way at each step; else in one, at every second step with jobs, at the others without.
    Batches go two at a time where a destination takes identifiers, else one by one.
    """
    concurrency = 2 if mode is SyncMode.AUDIENCE or "by_identifier" in more else 1
    more = more | {"asynchronous": asynchronous, "concurrency": concurrency}
    steps = story(duckdb_file, mode, {}, **more).steps
    assert AFTER_CREATE in steps
    for number, step in enumerate(steps):
        jobs = ("kept", "done", "lost")[number // 3 % 3]
        crash = happen(step, partial(Attempt.crash, jobs=jobs))
        taken = happen(step, partial(Attempt.overtake, events={}, jobs=jobs))
        ways = [(crash, False), (crash, True), (taken, False)]
        if not SOAK:
            ways = [ways[number // 2 % 3]] if number % 2 == asynchronous else []
        for what, all_leave in ways:
            story(duckdb_file, mode, what, all_leave=all_leave, **more)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_crash_at_every_step_is_made_good_on_every_engine(
    request: pytest.FixtureRequest, engine: str, mode: SyncMode, share: int
) -> None:
    """Emulators included: at each step the process dies or is overtaken, in turn."""
    make = maker(request, engine)
    steps = story(duckdb_file, mode, {}).steps
    for number, step in list(enumerate(steps))[share::SHARES]:
        ways = (Attempt.crash, partial(Attempt.overtake, events={}, jobs="kept"))
        told = story(make, mode, happen(step, ways[number // SHARES % 2]))
        assert step in told.steps


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_whom_a_dying_run_reached_is_taken_back(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """A batch arrives, its outcome is lost, and everybody leaves."""
    for batch in (1, 3):
        story(warehouse, mode, happen(("before outcome", batch), Attempt.crash), all_leave=True)


def test_a_crash_while_a_row_is_sent_again_leaves_its_batch_in_doubt() -> None:
    """Nobody knows whether it arrived: who withdraws meanwhile is taken back all the same."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {2: (EMAILS[1], "c1")}
        world.edited()
        world.defer(EMAILS[1], 1)
        assert isinstance(
            Attempt(world=world, events={("after write", 2): Attempt.crash}).go().error, CrashError
        )
        assert world.destination.members["EMAIL"]
        apply(world, [(2, "refuse")])
        assert Attempt(world=world).go().error is None
        world.check_truth()
        assert not world.destination.members["EMAIL"]


@pytest.mark.parametrize(("mode", "more"), CASES[:6])
def test_a_first_delivery_in_doubt_is_no_mass_change(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any]
) -> None:
    """A process dies before it knows of an answer: nobody has to accept that it goes on."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode, **more)
        world.people = {key: (EMAILS[key], "c0") for key in range(4)}
        world.edited()
        died = {("before outcome", 1): Attempt.crash}
        assert isinstance(Attempt(world=world, events=died).go().error, CrashError)
        assert Attempt(world=world, guard_rows=1).go().error is None
        world.check_truth()
