"""What short stories of the delivery protocol are told with."""

from __future__ import annotations

from typing import Any

from contract.plan_machine import EMAILS
from mayfly.planning.spec import Plan
from mayfly.testing.plan_driver import Attempt, CrashError, Step
from mayfly.testing.plan_world import Person, World, digest

People = dict[int, Person]
E0, E1, E2 = EMAILS[0], EMAILS[2], EMAILS[4]
# Orders of two batches.
FIRST_TO_LAST, LAST_TO_FIRST = 0, 1


def become(world: World, people: People, **more: Any) -> Attempt:
    """The model holds these people, and a run is made of it."""
    world.people = dict(people)
    world.edited()
    run = Attempt(world=world, **more).go()
    run.check_end()
    return run


def die(world: World, step: Step, people: People, **more: Any) -> Attempt:
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


def withdraw(attempt: Attempt) -> None:
    """Person 2 withdraws."""
    attempt.world.consent[2] = False
    attempt.world.edited()


def accept_any(_: Plan) -> None:
    """Any plan may be made."""
