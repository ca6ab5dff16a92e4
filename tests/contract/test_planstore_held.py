"""The delivery protocol where a destination is away and its rows wait sealed: whatever happens
while they are sealed, and while they go out, the end is the truth and nothing waits any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from contract.local_stores import READING_ROLE, any_maker_of, parquet_folder
from contract.plan_machine import CASES, DAY_MS, EMAILS, OF_WORLD, SOAK, apply
from contract.plan_stores import MakeWarehouse, duckdb_file
from marks import IN_A_SOAK
from mayfly.domain.batch import SyncMode
from mayfly.services.stopping import Stop, stricter_error
from mayfly.testing.plan_driver import Attempt, Step
from mayfly.testing.plan_world import World

Event = Callable[[Attempt], None]
ALL = 1_000
# Where a batch is half here and half there.
SEAMS = [
    *[("before hold", 1), ("after hold", 1), ("before hold", 2)],
    *[("after open", 1), ("before purge", 1), ("after purge", 1), ("after purge", 2)],
    *[("after write", 1), ("before outcome", 1), ("after intent", 1)],
]


def tell(
    make: MakeWarehouse,
    mode: SyncMode,
    *,
    sealing: dict[Step, Event] | None = None,
    draining: dict[Step, Event] | None = None,
    **more: Any,
) -> tuple[Attempt, Attempt]:
    """A run finds its destination away after some rows, and the next finds it back, while people
    change, withdraw and are suppressed in between; then the truth.
    """
    of_world = {name: more.pop(name) for name in OF_WORLD if name in more}
    with make() as warehouse:
        world = World(warehouse=warehouse, mode=mode, **of_world)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c0")}
        world.edited()
        more = {"markers": True, "accept_removals": ALL, "holds": True} | more
        assert Attempt(world=world, **more).go().error is None
        world.people |= {n: (EMAILS[n % 7], f"c{n % 3}") for n in range(3, 10)}
        del world.people[2]
        world.edited()

        first = Attempt(
            world=world, events={("after acquire", 1): _leave} | (sealing or {}), **more
        )
        first.go().check_end()
        world.destination.be_back()
        apply(world, [(4, "refuse"), (5, (EMAILS[7], "c9")), (6, None)])
        world.suppress(EMAILS[3])
        world.suppress(EMAILS[7])
        second = Attempt(world=world, events=draining or {}, **more).go()
        second.check_end()
        check(world, more)
        return first, second


def _leave(attempt: Attempt) -> None:
    """The destination is away for all of this run."""
    attempt.world.destination.be_away(ALL)


def check(world: World, more: dict[str, Any]) -> None:
    """Two undisturbed runs, the truth, and nothing that waits."""
    world.destination.be_back()
    for _ in range(2):
        end = Attempt(world=world, **more).go()
        assert end.error is None, end.error
    world.destination.finish_jobs()
    world.check_truth(in_doubt=more.get("in_doubt"))
    assert world.ledger.open_runs("people", "dev") == []
    assert world.ledger.open_batches() == []
    spool = world.spool()
    assert spool is not None
    assert spool.held() == []


def _ways(step: Step) -> Sequence[dict[Step, Event]]:
    return [{step: Attempt.crash}, {step: partial(Attempt.overtake, events={}, jobs="kept")}]


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("folder", marks=pytest.mark.slow),
        pytest.param(READING_ROLE, marks=IN_A_SOAK),
    ]
)
def make(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store, in the source and beside it."""
    return any_maker_of(request)


def test_nothing_that_waits_goes_by_what_is_stricter(make: MakeWarehouse) -> None:
    """It stays sealed, as it was; what was only cancelled drains, for its deadline goes on."""
    more: dict[str, Any] = {"markers": True, "holds": True}
    with make() as warehouse:
        world = World(warehouse=warehouse, mode=SyncMode.AUDIENCE)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c1")}
        world.edited()
        Attempt(world=world, events={("after acquire", 1): _leave}, **more).go()
        spool = world.spool()
        assert spool is not None
        sealed = spool.held()
        world.destination.be_back()
        run = Attempt(world=world, look=lambda: Stop(stricter_error("a column")), **more).go()
        assert getattr(run.error, "code", None) == "configuration_stricter"
        assert spool.held() == sealed
        assert len(sealed) > 0
        assert "before write" not in {name for name, _ in run.steps}
        run = Attempt(world=world, look=Stop, **more).go()
        assert run.error is None
        assert spool.held() == []
        check(world, more)


@pytest.mark.parametrize(("mode", "more"), CASES)
def test_what_was_sealed_goes_out(
    make: MakeWarehouse, mode: SyncMode, more: dict[str, Any]
) -> None:
    """It is sealed, sent when the destination is back, and gone; who withdrew is left out."""
    first, second = tell(make, mode, **more)
    names = [name for name, _ in first.steps]
    assert names.count("after hold") >= 2
    assert [name for name, _ in second.steps].count("after open") >= 1
    assert first.tally is not None
    assert (first.tally.status, first.tally.sealed > 0) == ("held", True)


@pytest.mark.parametrize(
    "made", [duckdb_file, pytest.param(parquet_folder, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("step", SEAMS, ids=lambda step: f"{step[0]}-{step[1]}")
def test_a_crash_between_warehouse_spool_and_ledger(made: MakeWarehouse, step: Step) -> None:
    """Of sealing, and of sending what was sealed."""
    number = SEAMS.index(step)
    mode, what = (SyncMode.AUDIENCE, SyncMode.APPEND)[number % 2], _ways(step)[number // 2 % 2]
    first, second = tell(made, mode, sealing=what, draining=what)
    assert step in first.steps or step in second.steps


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_a_crash_at_every_step_of_a_hold(
    mode: SyncMode, more: dict[str, Any], *, asynchronous: bool
) -> None:
    """The process dies, or is overtaken, at each step in turn; without `MAYFLY_SOAK` at every
    tenth, and in one way.
    """
    more = more | {"asynchronous": asynchronous}
    runs = dict(zip(("sealing", "draining"), tell(duckdb_file, mode, **more), strict=True))
    for name, run in runs.items():
        for number, step in enumerate(run.steps[3:]):
            if SOAK or number % 10 == 5 * asynchronous:
                for what in _ways(step) if SOAK else [_ways(step)[number // 10 % 2]]:
                    tell(duckdb_file, mode, **more, **{name: what})


def test_what_is_past_its_cap_is_gone_and_still_arrives() -> None:
    """After thirty-one days nothing is sent out of the spool; what is wanted is planned anew."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {n: (EMAILS[n], "c0") for n in range(6)}
        world.edited()
        away = {("after acquire", 1): _leave}
        first = Attempt(world=world, holds=True, events=away).go()
        assert first.tally is not None
        assert first.tally.sealed == 6
        world.now_ms += 31 * DAY_MS
        world.sweep()
        world.destination.be_back()
        second = Attempt(world=world).go()
        assert "before open" not in {name for name, _ in second.steps}
        check(world, {})
