"""What another tool delivered before is taken as delivered: then only changes are sent."""

from __future__ import annotations

from functools import partial

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import E0, E1, E2, People, become, settled
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.ledger.entry import EntryType
from mayfly.services.as_delivered import Taking, take_as_delivered
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World, digest

CROWD: People = {n: (f"p{n}@example.com", f"c{n}") for n in range(10, 16)}
THERE: People = {1: (E0, "c0"), 2: (E1, "c0"), **CROWD}


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


def take(world: World, share: float = 1.0) -> int:
    """Take the model of a world as delivered."""
    run = Attempt(world=world)._run()
    return take_as_delivered(
        Taking(
            spec=run.spec,
            policy=run.policy,
            store=world.store(run.spec.identity),
            worker=run.worker,
            ledger=world.ledger,
            entry=run.entry,
            now_ms=run.now_ms,
            holder=run.holder,
            alive=run.alive,
            withheld_share_max=share,
        )
    )


def code_of(act: partial[int]) -> str:
    """What an act is refused with."""
    with pytest.raises(PolicyError) as refused:
        act()
    return refused.value.code


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_only_what_changes_is_sent_after(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Who leaves later is taken out, also what was never sent from here; the ledger tells."""
    with warehouse() as other:
        tool = World(warehouse=other, mode=mode)
        become(tool, THERE)
    with warehouse() as made:
        world = World(warehouse=made, mode=mode, destination=tool.destination)
        world.people = dict(THERE)
        world.edited()
        assert take(world) == len(THERE)
        [entry] = [e for e in world.ledger.recorded if e.type is EntryType.STATE_ADOPTED]
        assert (entry.rows, entry.reason[:13]) == (len(THERE), "as_delivered/")
        assert world.ledger.open_runs("people", "dev") == []
        settled(world)
        assert code_of(partial(take, world)) == "state_exists"
        run = become(world, {**THERE, 1: (E2, "c0")} | {3: ("new@example.com", "c1")})
        assert run.tally is not None
        assert 0 < run.tally.rows_planned < len(THERE)
        settled(world)
        become(world, {k: v for k, v in THERE.items() if k != 2})
        settled(world)


def test_neither_who_refused_nor_who_is_suppressed_is_taken(warehouse: MakeWarehouse) -> None:
    """They are not in the state; who agrees later is sent."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people, world.consent = dict(THERE), {2: False}
        world.edited()
        world.suppress(E0)
        assert take(world) == len(CROWD)
        world.consent = {}
        become(world, THERE)
        assert world.destination.members["EMAIL"] == {digest(E1).hex()}
