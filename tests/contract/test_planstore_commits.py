"""Plan stores where making a table ends the transaction it stands in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from contract.plan_machine import EMAILS
from contract.plan_stores import MakeWarehouse, committing_file, maker_of
from contract.plan_stories import E0, E1, become, die, settled
from mayfly.adapters.planstores.schema import SourceSchema
from mayfly.adapters.planstores.states import SourceStates
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import EngineError
from mayfly.planning.names import WORKING_COPIES
from mayfly.testing.plan_world import Warehouse, World


@pytest.fixture(params=["committing", pytest.param("snowflake", marks=pytest.mark.slow)])
def committing(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses of such an engine."""
    return maker_of(request)


def copies(made: Warehouse) -> Sequence[str]:
    """Names of working copies that are there."""
    with made.source.session(write=False) as session:
        found = session.table(made.sql.tables_of("_mayfly")).column("name").to_pylist()
    return [name for name in found if str(name).split("_")[0] in WORKING_COPIES]


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_a_history_ends_in_the_truth_and_leaves_no_copy(
    committing: MakeWarehouse, mode: SyncMode
) -> None:
    """Changes, a rejected row, who leaves."""
    with committing() as made:
        world = World(warehouse=made, mode=mode)
        world.reject(EMAILS[5])
        become(world, {1: (E0, "c0"), 2: (EMAILS[5], "c0")})
        become(world, {1: (E1, "c0"), 3: (E0, "c1")})
        become(world, {3: (E0, "c1")})
        assert copies(made) == []
        settled(world)


@pytest.mark.parametrize(
    "step", ["after create", "before write", "after write", "before outcome", "before close"]
)
def test_a_run_that_dies_is_closed_by_the_next(step: str) -> None:
    """Its copies have the number of its lease, and go with the next plan or its close."""
    with committing_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        die(world, (step, 1), {1: (E1, "c0"), 2: (E0, "c0")})
        left = copies(made)
        assert left
        assert all(name.rsplit("_", 1)[1].isdigit() for name in left)
        become(world, world.people)
        assert copies(made) == []
        settled(world)


def test_a_plan_that_was_refused_belongs_to_nobody_and_goes(committing: MakeWarehouse) -> None:
    """Its tables were made, since nothing undoes them; it was never opened."""
    with committing() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (E0, "c0")}
        world.edited()
        spec = world.spec("r1")
        store = world.store(spec.identity)
        store.acquire(spec, holder="h", now_ms=0, alive=lambda _: False)

        def refuse(_: object) -> None:
            raise EngineError("refused", "The plan is refused.")

        with pytest.raises(EngineError, match="refused"):
            store.create(spec, world.worker, check=refuse)
        store.release()
        assert copies(made)
        assert store.open_plan() is None
        become(world, world.people)
        assert copies(made) == []


def test_what_a_dropped_state_left_is_not_the_next_ones(committing: MakeWarehouse) -> None:
    """A process died after the state's line went and before its tables did."""
    with committing() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")})
        sid = world.spec("r").identity.sid
        with made.source.session(write=True) as session:
            states = f"{made.sql.quote('_mayfly')}.{made.sql.quote('states')}"
            session.execute(made.sql.delete(states, f"sid = '{sid}'"))
        spec = world.spec("again")
        store = world.store(spec.identity)
        assert store.count(spec, world.worker).counts.added == 1
        store.acquire(spec, holder="h", now_ms=0, alive=lambda _: False)
        assert store.create(spec, world.worker, check=lambda _: None).counts.added == 1


def test_states_are_listed_dropped_and_uninstalled(committing: MakeWarehouse) -> None:
    """With an open plan, too."""
    with committing() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        die(world, ("after create", 1), {1: (E0, "c0")})
        states = SourceStates(made.source, made.sql)
        [state] = states.all()
        assert (state.waiting_batches, state.open_run is None) == (1, False)
        schema = SourceSchema(made.source, made.sql, schema="_mayfly")
        traces = schema.traces()
        assert traces is not None
        assert traces.foreign == 0
        schema.remove(owner="me", now_ms=10**13, alive=lambda _: False, record=lambda _: None)
        assert schema.traces() is None
