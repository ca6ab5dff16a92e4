"""What short stories of the delivery protocol are told with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.plan_machine import EMAILS
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import EngineError
from mayfly.planning.names import Names
from mayfly.planning.spec import Plan
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import Source
from mayfly.ports.states import States
from mayfly.testing.plan_driver import Attempt, CrashError, Step
from mayfly.testing.plan_world import Person, Warehouse, World, digest

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


def check_open_plans(made: Warehouse, states: States, database: Callable[[str], Source]) -> None:
    """Of a plan that a dead process left it is told what waits, though what its state remembers
    cannot be counted; of a state without one nothing is told.

    Args:
        made: an empty warehouse.
        states: its states.
        database: where the tables of a state are.
    """
    made.write_model([])
    assert list(states.open_plans()) == []
    world = World(warehouse=made, mode=SyncMode.UPSERT)
    become(world, {1: (E0, "c0")})
    assert list(states.open_plans()) == []
    dead = die(world, ("after create", 1), {1: (E0, "c1"), 2: (E1, "c1")})
    [state] = states.all()
    [plan] = states.open_plans()
    assert (plan.sid, plan.run) == (state.sid, state.open_run) == (state.sid, dead.run)
    assert plan.waiting_batches == state.waiting_batches >= 1
    assert plan.waiting_rows == state.waiting_rows == 2
    kept = database(state.sid)
    sql = DuckdbDialect() if kept.dialect == "duckdb" else made.sql
    with kept.session(write=True) as session:
        session.begin()
        session.execute(sql.drop_table(Names(sql=sql, schema="_mayfly", sid=state.sid).of("state")))
        session.commit()
    assert list(states.open_plans()) == [plan]
    with pytest.raises(EngineError):
        states.all()
