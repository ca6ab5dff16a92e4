"""What waits sealed holds back no withdrawal: who withdrew meanwhile is taken out before it goes,
and whatever keeps it from going.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse, duckdb_file
from contract.plan_stories import E0, E1, E2, People, become, settled
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World, digest

PEOPLE: People = {1: (E0, "c0"), 2: (E1, "c1"), 3: (E2, "c2")}
PAUSED = PolicyError("sync_paused", "The sync is paused.")
MODES = pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


@contextmanager
def sealed(make: MakeWarehouse, mode: SyncMode) -> Iterator[World]:
    """Person 1 was delivered; 2 and 3 wait sealed; the destination is back, and 1 has withdrawn."""
    with make() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: PEOPLE[1]})
        world.destination.be_away(99)
        become(world, PEOPLE, holds=True)
        world.destination.be_back()
        world.consent[1] = False
        world.edited()
        world.destination.requests.clear()
        assert waiting(world)
        yield world


def waiting(world: World) -> int:
    """How many batches wait sealed."""
    spool = world.spool()
    assert spool is not None
    return len(spool.held())


def there(world: World, person: int) -> bool:
    """Whether the destination has somebody's e-mail, or row."""
    if world.mode is SyncMode.MIRROR:
        return (person,) in world.destination.rows
    return digest(PEOPLE[person][0] or "").hex() in world.destination.members["EMAIL"]


@MODES
def test_they_are_taken_out_before_it_goes(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """The first that the destination hears of is the removal; then what waited goes."""
    with sealed(warehouse, mode) as world:
        run = become(world, PEOPLE, holds=True)
        assert world.destination.requests[0][0] is Operation.REMOVE
        assert (there(world, 1), there(world, 2), waiting(world)) == (False, True, 0)
        assert run.tally is not None
        assert run.tally.removed == (2 if mode is SyncMode.AUDIENCE else 1)
        settled(world)


@MODES
def test_they_are_taken_out_while_it_may_not_go(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Of a sync that is paused: what waits stays sealed, and is neither sent nor lost."""
    with sealed(warehouse, mode) as world:
        run = become(world, PEOPLE, holds=True, refusal=PAUSED)
        assert run.error is PAUSED
        assert {operation for operation, _ in world.destination.requests} == {Operation.REMOVE}
        assert (there(world, 1), waiting(world) > 0) == (False, True)
        become(world, PEOPLE, holds=True)
        assert (there(world, 1), there(world, 2), waiting(world)) == (False, True, 0)
        settled(world)


@MODES
def test_who_agrees_again_is_sent_again(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Though the state still remembers them as delivered when they do."""
    with sealed(warehouse, mode) as world:
        become(world, PEOPLE, holds=True, refusal=PAUSED)
        assert not there(world, 1)
        world.consent[1] = True
        become(world, PEOPLE, holds=True)
        assert there(world, 1)
        settled(world)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["after withdrawals", "after write", "after open"])
def test_a_crash_among_them_is_made_good(step: str) -> None:
    """Who withdrew is out in the end, also if they agree and withdraw again."""
    with sealed(duckdb_file, SyncMode.AUDIENCE) as world:
        become(world, PEOPLE, holds=True, events={(step, 1): Attempt.crash})
        world.consent[1] = True
        become(world, PEOPLE, holds=True)
        assert there(world, 1)
        world.consent[1] = False
        become(world, PEOPLE, holds=True)
        assert not there(world, 1)
        settled(world)
