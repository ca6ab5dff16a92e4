"""Whoever withdraws is taken out, first and whatever else is refused; nothing else goes then. And
consent that was read long ago is read again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import E0, E1, E2, People, become, settled
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import PolicyError, TransientError
from mayfly.planning.spec import PlanSpec
from mayfly.services import hold
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_ports import WatchedStore
from mayfly.testing.plan_world import Warehouse, World, digest

CROWD: People = {n: (f"p{n}@example.com", f"c{n}") for n in range(10, 16)}
MANY = 9


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


def refused(world: World, people: People) -> Attempt:
    """A run in which most leave, which the guard refuses."""
    run = become(world, people, guard_rows=3)
    assert getattr(run.error, "code", None) == "mass_change"
    return run


def emails(world: World) -> set[str]:
    """Of the audience."""
    return world.destination.members["EMAIL"]


def sha(*values: str) -> set[str]:
    """As an audience holds them."""
    return {digest(v).hex() for v in values}


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_withdrawals_go_though_the_plan_is_refused(
    warehouse: MakeWarehouse, mode: SyncMode
) -> None:
    """Of one who withdrew nothing is left; those who left stay until a person decides, who was
    added is not sent; and all comes right with that person's word.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        become(world, {1: (E0, "c0"), **CROWD})
        world.consent[1] = False
        run = refused(world, {1: (E0, "c0"), 2: (E1, "c0")})
        assert run.tally is None
        assert run.withdrawing
        if mode is SyncMode.AUDIENCE:
            assert emails(world) == sha(*(e for e, _ in CROWD.values() if e))
        else:
            assert {k for (k,) in world.destination.rows} == set(CROWD)
        settled_by_word(world)


def settled_by_word(world: World, **more: object) -> None:
    """With the word of a person all goes, and then there is nothing to do."""
    become(world, world.people, accept_removals=MANY, **more)
    settled(world)


def test_nobody_withdrew_and_nothing_goes(warehouse: MakeWarehouse) -> None:
    """A refused plan without withdrawals is refused as ever."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, CROWD)
        before = emails(world)
        assert not refused(world, {2: (E1, "c0")}).withdrawing
        assert emails(world) == before


def test_who_is_suppressed_goes_as_well(warehouse: MakeWarehouse) -> None:
    """An objection is a withdrawal."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), **CROWD})
        world.suppress(E0)
        refused(world, {1: (E0, "c0")})
        assert digest(E0).hex() not in emails(world)
        settled_by_word(world)


def test_what_another_wants_stays(warehouse: MakeWarehouse) -> None:
    """An identifier is never removed from under somebody who agreed to it."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c1"), **CROWD})
        world.consent[1] = False
        refused(world, {1: (E0, "c0"), 2: (E0, "c1")})
        assert digest(E0).hex() in emails(world)
        assert digest("c0").hex() not in world.destination.members["PHONE"]
        settled_by_word(world)


def test_one_who_left_holds_back_no_withdrawal(warehouse: MakeWarehouse) -> None:
    """Their common e-mail goes; and who left and comes back is sent again."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c1"), **CROWD})
        world.consent[1] = False
        refused(world, {1: (E0, "c0")})
        assert digest(E0).hex() not in emails(world)
        become(world, {1: (E0, "c0"), 2: (E0, "c1"), **CROWD})
        settled(world)
        assert digest(E0).hex() in emails(world)


def test_an_earlier_value_of_another_holds_back_no_withdrawal(warehouse: MakeWarehouse) -> None:
    """Who had the e-mail and now has another, refused like all additions, gets it back if they
    have it again.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c1"), **CROWD})
        world.consent[1] = False
        refused(world, {1: (E0, "c0"), 2: (E1, "c1")})
        assert emails(world).isdisjoint(sha(E0, E1))
        become(world, {1: (E0, "c0"), 2: (E0, "c1"), **CROWD})
        settled(world)
        assert digest(E0).hex() in emails(world)


def test_a_changed_rule_is_not_forgotten(warehouse: MakeWarehouse) -> None:
    """What it would send again was refused, and goes once a person has decided."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        people = {1: (E0, "c0"), **CROWD}
        become(world, people)
        world.consent[1] = False
        world.salt, world.versions = "pepper ", "v2"
        run = become(world, people, guard_rows=3)
        assert getattr(run.error, "code", None) == "mass_change"
        assert digest(E0).hex() not in emails(world)
        settled_by_word(world)


def test_held_additions_that_are_refused_hold_back_no_withdrawal(
    warehouse: MakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are planned anew, after who withdrew meanwhile."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), **CROWD})
        world.destination.be_away(99)
        become(world, {1: (E0, "c0"), 2: (E1, "c1"), **CROWD}, holds=True)
        spool = world.spool()
        assert spool is not None
        assert spool.held()
        world.destination.be_back()
        world.consent[1] = False

        async def refuse(*_: object, **__: object) -> None:
            raise PolicyError("withheld_threshold", "Too many rows were withheld.")

        monkeypatch.setattr(hold, "deliver_one", refuse)
        become(world, {1: (E0, "c0"), 2: (E1, "c1"), **CROWD}, holds=True)
        assert digest(E0).hex() not in emails(world)
        assert spool.held() == []
        settled(world)


@pytest.mark.parametrize(
    "step",
    [
        *("before outcome", "after outcome"),
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("after create", "before close")),
    ],
)
def test_a_crash_among_withdrawals_is_made_good(warehouse: MakeWarehouse, step: str) -> None:
    """As of any plan."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E0, "c9"), **CROWD})
        world.consent[1] = False
        number = 2 if step == "after create" else 1
        crash = {(step, number): Attempt.crash}
        become(world, {1: (E0, "c0")}, guard_rows=3, events=crash)
        refused(world, {1: (E0, "c0")})
        assert digest(E0).hex() not in emails(world)
        become(world, {1: (E0, "c0"), 2: (E0, "c9"), **CROWD})
        settled(world)


def test_additions_stop_where_consent_becomes_unknown(warehouse: MakeWarehouse) -> None:
    """Of more than the guard's share: who withdrew goes, and nobody is added, though nothing else
    would be taken out.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT)
        become(world, {1: (E0, "c0"), **CROWD})
        world.consent |= dict.fromkeys(CROWD, None)
        run = become(world, {1: (E0, "c0"), 2: (E2, "c0"), **CROWD}, guard_rows=3)
        assert getattr(run.error, "code", None) == "mass_change"
        assert (2,) not in world.destination.rows


class Dated(World):
    """A world whose table says since when somebody does not agree: a millisecond after 1970."""

    def __init__(self, warehouse: Warehouse, **more: object) -> None:
        super().__init__(warehouse=warehouse, consent_by="table", **more)  # type: ignore[arg-type]

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        return replace(super().spec(run), batch_rows=2)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_withdrawals_go_first_and_by_themselves(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Before anything is added, changed, or taken out since it left; and it is told how long each
    waited.
    """
    with warehouse() as made:
        world = Dated(made, mode=mode)
        become(world, {1: (E0, "c0"), 2: (E1, "c1"), **CROWD})
        world.consent |= {1: False, 2: False}
        world.destination.requests.clear()
        left = dict(list(CROWD.items())[1:])
        run = become(world, {1: (E0, "c0"), 2: (E1, "c1"), 3: (E2, "c2"), **left})
        assert run.tally is not None
        kinds = world.destination.requests
        urgent = 4 if mode is SyncMode.AUDIENCE else 2
        first = 0
        while sum(rows for _, rows in kinds[:first]) < urgent:
            first += 1
        assert sum(rows for _, rows in kinds[:first]) == urgent
        assert {operation for operation, _ in kinds[:first]} == {Operation.REMOVE}
        assert Operation.REMOVE in {operation for operation, _ in kinds[first:]}
        told = run.tally.withdrawal_times()
        waited = (run.tally.finished_ms - 1) / 1_000
        assert (told["answered"], told["waiting"], told["late"]) == (urgent, 0, 0)
        assert (told["p50"], told["max"]) == (waited, waited)


MINUTE_MS = 60_000


def later(attempt: Attempt, minutes: int) -> None:
    """The clock runs on, and person 2 withdraws."""
    attempt.world.now_ms += minutes * MINUTE_MS
    attempt.world.consent[2] = False
    attempt.world.edited()


@pytest.mark.parametrize(("minutes", "goes"), [(14, True), (16, False)])
def test_a_batch_that_waited_is_asked_again(
    warehouse: MakeWarehouse, minutes: int, goes: bool
) -> None:
    """Of consent that was read a quarter of an hour ago or longer nothing goes."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        events = {("after read", 1): partial(later, minutes=minutes)}
        run = become(world, {1: (E0, "c0"), 2: (E1, "c1")}, events=events)
        assert run.error is None
        assert (digest(E1).hex() in emails(world)) is goes
        settled_by_word(world)


def test_it_is_asked_as_of_that_moment(
    warehouse: MakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as of the run's beginning: a grant may be over since."""
    moments: list[int] = []
    read = WatchedStore.read

    def noted(self: WatchedStore, spec: PlanSpec, *args: Any, **more: Any) -> Any:
        moments.append(spec.now_ms)
        return read(self, spec, *args, **more)

    monkeypatch.setattr(WatchedStore, "read", noted)
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0")}, events={("after read", 1): partial(later, minutes=16)})
        assert [b - a for a, b in pairwise(moments)] == [16 * MINUTE_MS]


def test_no_answer_no_delivery(warehouse: MakeWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the source is away when it is asked again nothing goes, and nothing is lost."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)

        def away(attempt: Attempt) -> None:
            attempt.world.now_ms += 16 * MINUTE_MS
            monkeypatch.setattr(WatchedStore, "read", _away)

        run = become(world, {1: (E0, "c0")}, events={("after read", 1): away})
        assert run.tally is not None
        assert run.tally.status == "held"
        assert not world.destination.members
        monkeypatch.undo()
        become(world, {1: (E0, "c0")})
        settled(world)


@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
def test_what_waited_sealed_is_asked_once_and_not_sent_without_an_answer(
    warehouse: MakeWarehouse, mode: SyncMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart, however short the wait: no answer, and it stays sealed; with one, who
    withdrew meanwhile does not go.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode, consent_by="table")
        world.destination.be_away(99)
        people: People = {1: (E0, "c0"), 2: (E1, "c1"), **CROWD}
        become(world, people, holds=True)
        spool = world.spool()
        assert spool is not None
        waiting = len(spool.held())
        assert waiting > 1
        world.destination.be_back()
        world.consent[2] = False
        monkeypatch.setattr(WatchedStore, "allowed", _away)
        run = become(world, people, holds=True)
        assert run.tally is not None
        assert run.tally.status == "held"
        assert not world.destination.requests
        assert len(spool.held()) == waiting
        monkeypatch.undo()
        run = become(world, people, holds=True)
        assert [name for name, _ in run.steps].count("before allowed") == 1
        sent = world.destination.members.get("EMAIL", set()) | {
            row["EMAIL"] for row in world.destination.rows.values()
        }
        assert sent.isdisjoint({E1, digest(E1).hex()})
        settled(world)


def test_a_long_drain_asks_again(warehouse: MakeWarehouse) -> None:
    """An answer is as old as any batch that was read."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.destination.be_away(99)
        people: People = {1: (E0, "c0"), **CROWD}
        become(world, people, holds=True)
        world.destination.be_back()

        def slow(attempt: Attempt) -> None:
            attempt.world.now_ms += 16 * MINUTE_MS

        run = become(world, people, holds=True, events={("after outcome", 1): slow})
        assert [name for name, _ in run.steps].count("before allowed") == 2
        settled(world)


def _away(*_: object, **__: object) -> None:
    raise TransientError("source_away", "The source is away.")
