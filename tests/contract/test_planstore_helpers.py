"""Several workers send batches of one plan, and are killed, hang, and are overtaken."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from contract.plan_machine import (
    CASES,
    EDITS,
    JOBS,
    PEOPLE,
    RUNS,
    Change,
    Protocol,
    apply,
    events,
    play,
)
from contract.plan_stores import MakeWarehouse, maker, shared_file
from mayfly.adapters.planstores.registry import LEASE_MS
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import IntegrityError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import Plan, PlanSpec
from mayfly.ports.planstore import SharedPlanStore
from mayfly.testing.plan_driver import Attempt, Step
from mayfly.testing.plan_helper import Helper, help_with
from mayfly.testing.plan_world import Warehouse, World
from mayfly.testing.turns import Turns

# Nothing comes between the last proof and the request: that is what a lease outlasts.
MOMENTS = st.tuples(
    st.sampled_from(
        [
            *("after claim", "after write", "before outcome", "before claim") * 3,
            *("after join", "after has_lane", "after outcome", "before leave", "after read"),
            *("after submitted", "before poll", "after begun"),
        ]
    ),
    st.sampled_from([1, 1, 1, 2, 2, 3]),
)


@st.composite
def troubles(draw: st.DrawFn) -> dict[Step, Callable[[Helper], None]]:
    """What happens to a helper, by step."""
    kind = draw(st.sampled_from(["nothing", "nothing", "crash", "hang", "given_up"]))
    if kind == "nothing":
        return {}
    if kind == "crash":
        return {draw(MOMENTS): partial(Helper.crash, jobs=draw(JOBS))}
    return {draw(MOMENTS): partial(Helper.hang, given_up=kind == "given_up")}


HELPERS = st.lists(troubles(), min_size=1, max_size=2)


def _help(attempt: Attempt, *, helpers: list[dict[Step, Any]]) -> None:
    for number, of_helper in enumerate(helpers):
        help_with(attempt, events=of_helper, number=number)


class Helped(Protocol):
    """As `Protocol`, with workers that help with each run, perhaps beyond its end."""

    @initialize(
        people=st.dictionaries(st.integers(0, 19), PEOPLE, min_size=14), order=st.integers(0, 999)
    )
    def begin(self, people: dict[int, tuple[str | None, str]], order: int) -> None:
        """Enough rows for many batches."""
        Protocol.open(self, people)
        self.world.turns = Turns(draws=random.Random(order))

    @rule(
        changes=EDITS,
        what=events(),
        more=RUNS,
        helpers=HELPERS,
        lanes=st.sampled_from([2, 2, 3]),
        lingers=st.booleans(),
        fault=st.sampled_from(["cut", "cut_after", "be_away", "", "", ""]),
    )
    def turn(
        self,
        changes: list[Change],
        what: Any,
        more: Any,
        helpers: list[Any],
        lanes: int,
        lingers: bool,
        fault: str,
    ) -> None:
        """People change, and a run whose batches several workers send."""
        if fault:
            getattr(self, fault)(self.world.runs % 5)
        for key in range(10, 20):
            # Everybody moves: there are many batches.
            self.world.people[key] = (f"a{key}.{self.world.runs}@example.com", f"c{key % 3}")
        apply(self.world, changes)
        what = {("after offer", 1): partial(_help, helpers=helpers)} | what
        self._attempt(events=what, **(more | {"concurrency": lanes}))
        if not lingers:
            self.world.turns.finish()

    def teardown(self) -> None:
        """Whoever still helps goes on to its end first."""
        if hasattr(self, "world"):
            try:
                self.world.turns.finish()
            except BaseException:
                self._opened.__exit__(None, None, None)
                raise
        super().teardown()


def helped(warehouse: MakeWarehouse, mode: SyncMode, **more: Any) -> type[Protocol]:
    """The machine for one mode."""
    return type("Machine", (Helped,), {"warehouse": staticmethod(warehouse), "mode": mode} | more)


@pytest.mark.parametrize(("mode", "more"), [CASES[0], CASES[3]])
def test_any_history_of_several_workers_ends_in_the_truth(
    mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """No batch is sent by two, and none of a run that is over; nothing is lost."""
    # The slow test plays more of them.
    play(helped(shared_file, mode, **more), request.node.name, examples=1, steps=4)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ["shared", "postgres"])
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_many_histories_of_several_workers_end_in_the_truth(
    engine: str, mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The same, more often; on an engine whose plans are shared, too."""
    often = {"shared": 20, "postgres": 1}[engine]
    play(helped(maker(request, engine), mode, **more), request.node.name, examples=often, steps=4)


def shared_world(made: Warehouse, people: int) -> World:
    """People whose first run is to come."""
    world = World(warehouse=made, mode=SyncMode.UPSERT)
    world.people = {key: (f"a{key}@example.com", "c0") for key in range(people)}
    world.edited()
    return world


def plan_of(world: World) -> tuple[SharedPlanStore, PlanSpec, Plan]:
    """A store that has the lease and an open plan, which it offers."""
    spec = world.spec("r1")
    store = world.store(spec.identity)
    assert isinstance(store, SharedPlanStore)
    store.acquire(spec, holder="owner", now_ms=world.now_ms, alive=lambda _: False)
    plan = store.create(spec, world.worker, check=lambda _: None)
    store.offer(row_bytes=0, reads_at_once=1)
    return store, spec, plan


def helper_of(world: World, store: SharedPlanStore, spec: PlanSpec, name: str) -> SharedPlanStore:
    """One that was given a lane."""
    helper = world.store(spec.identity)
    assert isinstance(helper, SharedPlanStore)
    helper.join(spec, run=spec.run, name=name)
    assert not helper.has_lane()
    assert store.give_lane(name)
    assert helper.has_lane()
    return helper


def test_of_workers_that_begin_a_batch_at_once_one_sends_it(
    request: pytest.FixtureRequest,
) -> None:
    """On a server, with transactions that wait for each other."""
    with maker(request, "postgres")() as made:
        world = shared_world(made, 12)
        store, spec, plan = plan_of(world)
        senders = [store, *(helper_of(world, store, spec, name) for name in ("h1", "h2"))]
        start = threading.Barrier(len(senders))

        def claimed(sender: SharedPlanStore) -> list[int]:
            start.wait()
            return [b.number for b in plan.batches if sender.claim(b.number)]

        with ThreadPoolExecutor(len(senders)) as pool:
            found = [number for numbers in pool.map(claimed, senders) for number in numbers]
    assert sorted(found) == sorted(b.number for b in plan.batches)
    assert len(found) == 4


def test_a_helper_counts_until_it_leaves_or_is_gone() -> None:
    """Nobody takes the lease meanwhile; whoever is given up writes nothing more."""
    with shared_file() as made:
        world = shared_world(made, 6)
        store, spec, plan = plan_of(world)
        helper, other = (helper_of(world, store, spec, name) for name in ("h1", "h2"))
        first, second = (b.number for b in plan.batches)
        assert helper.claim(first)
        assert other.claim(second)
        with pytest.raises(TransientError) as refused:
            world.store(spec.identity).acquire(
                spec, holder="new", now_ms=world.now_ms, alive=lambda name: name == "h1"
            )
        assert refused.value.code == "run_active"
        assert not store.end_offer(lambda name: name == "h1")
        with pytest.raises(IntegrityError) as late:
            other.outcome(second, Outcomes.all_of(OutcomeCode.ACCEPTED, 3))
        assert late.value.code == "fenced"
        with pytest.raises(TransientError) as over:
            helper.claim(second)
        assert over.value.code == "sharing_over"
        helper.outcome(first, Outcomes.all_of(OutcomeCode.ACCEPTED, 3))
        helper.leave(oldest_seconds=7.5)
        assert store.end_offer(lambda _: True)
        assert (store.oldest_seconds(), set(store.answers()), store.begun()) == (
            7.5,
            {first},
            {first, second},
        )


def test_a_helper_that_is_silent_for_a_lease_counts_no_more() -> None:
    """Though its process may still be there."""
    with shared_file() as made:
        world = shared_world(made, 6)
        store, spec, _ = plan_of(world)
        helper = helper_of(world, store, spec, "h1")
        world.now_ms += LEASE_MS
        helper.keep(0.0)
        world.now_ms += LEASE_MS - 1
        assert not store.end_offer(lambda _: True)
        world.now_ms += 1
        assert store.end_offer(lambda _: True)
        with pytest.raises(IntegrityError) as late:
            helper.keep(0.0)
        assert late.value.code == "fenced"


def test_what_is_not_offered_is_not_joined() -> None:
    """Nor what was, nor a plan made by other rules."""
    with shared_file() as made:
        world = shared_world(made, 6)
        store, spec, _ = plan_of(world)
        for joins in (replace(spec, versions="other"), spec):
            helper = world.store(spec.identity)
            assert isinstance(helper, SharedPlanStore)
            run = "r0" if joins is spec else spec.run
            with pytest.raises(TransientError) as refused:
                helper.join(joins, run=run, name="h1")
            assert refused.value.code == "sharing_over"
            helper.leave(oldest_seconds=0.0)
        assert store.end_offer(lambda _: True)
        with pytest.raises(TransientError):
            helper.join(spec, run=spec.run, name="h1")
