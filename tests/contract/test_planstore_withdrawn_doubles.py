"""A model whose keys are not unique adds nobody, and takes out who withdrew all the same: what says
no counts, on whichever of a person's rows it stands.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import E0, E1, E2, People, become, settled
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.planning.spec import PlanSpec
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import ModelRow, World, digest

CROWD: People = {n: (f"p{n}@example.com", f"c{n}") for n in range(10, 14)}
PEOPLE: People = {1: (E0, "c0"), 2: (E1, "c1"), **CROWD}
NEW: People = {**PEOPLE, 5: (E2, "c5")}
AGREES = (2, E1, "c1", True)
"""A second row of person 2."""
MODES = pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


def refused(world: World, people: People, *doubles: ModelRow, code: str, **more: object) -> Attempt:
    """A run over a model with rows too many, which is refused and adds nobody."""
    world.doubles = list(doubles)
    before = there(world)
    world.people = dict(people)
    world.edited()
    run = Attempt(world=world, **more).go()  # type: ignore[arg-type]
    assert getattr(run.error, "code", None) == code
    assert there(world) <= before
    return run


def there(world: World) -> set[int]:
    """Whom the destination has, by their e-mail or their row."""
    if world.mode is SyncMode.AUDIENCE:
        held = world.destination.members.get("EMAIL", set())
        known = {n: email or "" for n, (email, _) in (PEOPLE | NEW | world.people).items()}
        return {n for n, email in known.items() if digest(email).hex() in held}
    return {key for (key,) in world.destination.rows}


def mended(world: World, people: People) -> None:
    """With unique keys everything goes as it should."""
    world.doubles = []
    become(world, people, accept_removals=99)
    settled(world)


@MODES
def test_any_row_that_refuses_takes_the_person_out(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """And nobody else: who stands twice and agrees twice stays, as does who stands once. The
    message is the one of the keys.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, PEOPLE)
        run = refused(world, NEW, (1, E0, "c0", False), AGREES, code="key_duplicate")
        assert "2 primary keys stand on more than one row" in str(run.error)
        assert run.withdrawing
        assert there(world) == {2, *CROWD}
        mended(world, NEW)
        assert there(world) == set(NEW)


@MODES
def test_keys_of_others_hold_back_no_withdrawal(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Neither null ones nor those that stand twice; told from both columns and events."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode, consent_by="both")
        become(world, PEOPLE)
        world.consent[1] = False
        nobody: ModelRow = (None, "n@example.com", "c8", True)
        refused(world, NEW, nobody, (None, None, "c8", False), AGREES, code="key_null")
        assert there(world) == {2, *CROWD}
        world.consent.clear()
        mended(world, NEW)


def test_a_suppressed_identifier_of_any_row_counts(warehouse: MakeWarehouse) -> None:
    """Of one that SQL hashes, and of one that only the worker can hash."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, PEOPLE)
        world.suppress("off@example.com")
        world.suppress("xoff@example.com")
        doubles = ((1, "off@example.com", "c0", True), (2, "xoff@example.com", "c1", True))
        more = ((10, "xfine@example.com", "c10", True), (11, CROWD[11][0], "c11", True))
        refused(world, NEW, *doubles, *more, code="key_duplicate")
        assert there(world) == set(CROWD)
        mended(world, NEW)


@pytest.mark.slow
@MODES
@pytest.mark.parametrize(("guard_rows", "stays"), [(3, True), (99, False)])
def test_unknown_is_no_unless_it_is_a_mass_change(
    warehouse: MakeWarehouse, mode: SyncMode, guard_rows: int, stays: bool
) -> None:
    """Of people on several rows who do not all agree; for the many a person decides."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, PEOPLE)
        unknown = [(n, email, city, None) for n, (email, city) in list(CROWD.items())[:3]]
        refused(
            world, NEW, *unknown, (1, E0, "c0", False), code="key_duplicate", guard_rows=guard_rows
        )
        gone = set() if stays else {n for n, *_ in unknown}
        assert there(world) == {2, *CROWD} - gone
        mended(world, NEW)


@pytest.mark.slow
def test_what_another_wants_stays(warehouse: MakeWarehouse) -> None:
    """Though it is not sure which of two rows is theirs: both agree."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        people = {1: (E0, "c0"), 2: (E0, "c1"), 3: (E0, "c2"), **CROWD}
        become(world, people)
        world.consent[1] = False
        refused(world, people, (2, E1, "c1", True), (2, E2, "c1", True), code="key_duplicate")
        assert digest(E0).hex() in world.destination.members["EMAIL"]
        assert digest("c0").hex() not in world.destination.members["PHONE"]
        mended(world, people)


@pytest.mark.slow
@MODES
def test_what_waits_sealed_holds_back_no_withdrawal(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """While the plan of an earlier run is open, and additions are refused beside the keys."""
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, PEOPLE)
        world.destination.be_away(99)
        become(world, NEW, holds=True)
        world.destination.be_back()
        paused = PolicyError("sync_paused", "The sync is paused.")
        refused(world, NEW, (1, E0, "c0", False), code="sync_paused", holds=True, refusal=paused)
        assert there(world) == {2, *CROWD}
        mended(world, NEW)


class KeyedByCity(World):
    """The destination writes a row by its city, and takes it out by the primary key."""

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        return replace(super().spec(run), destination_key=("city",))


@pytest.mark.slow
def test_a_key_of_the_destination_holds_back_no_withdrawal(warehouse: MakeWarehouse) -> None:
    """That two people would be written by."""
    with warehouse() as made:
        world = KeyedByCity(warehouse=made, mode=SyncMode.UPSERT, erases=True)
        become(world, PEOPLE)
        world.consent[1] = False
        people = {**PEOPLE, 3: (E2, "c1")}
        refused(world, people, code="destination_key_duplicate")
        assert there(world) == {2, *CROWD}
