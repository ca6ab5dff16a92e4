"""While a batch is on its way the next is read: what goes wrong there is told afterwards."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import pytest

from contract.local_stores import parquet_folder
from contract.plan_machine import EMAILS
from contract.plan_stores import duckdb_file, postgres
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ContractError, TransientError
from mayfly.services import deliver_plan
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World

# The seed of a shuffle that leaves four batches in their order.
_IN_ORDER = 9


def go_away(_: Attempt) -> None:
    """The warehouse does not answer."""
    raise TransientError("source_unreachable", "The source is away, as planned.")


def test_an_answer_is_kept_where_the_next_batch_cannot_be_read() -> None:
    """The batch that was sent meanwhile is not in doubt."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c1")}
        world.edited()
        assert Attempt(world=world).go().error is None
        world.people = {3: (EMAILS[2], "c2")}
        world.edited()
        held = Attempt(world=world, events={("before read", 2): go_away}).go()
        assert held.tally is not None
        assert held.tally.status == "held"
        assert len(world.destination.requests) == 2
        again = Attempt(world=world).go()
        assert again.tally is not None
        assert (again.tally.recovered, again.tally.status) == (0, "succeeded")
        world.check_truth()


def test_of_two_errors_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A run that is overtaken can neither keep the answer nor read on: asyncio writes no traceback
    of the error that did not end the run.
    """
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c1")}
        world.edited()
        assert Attempt(world=world).go().error is None
        world.people = {3: (EMAILS[2], "c2")}
        world.edited()
        gc.collect()
        caplog.clear()
        taken = partial(Attempt.overtake, events={}, jobs="kept")
        run = Attempt(world=world, events={("before read", 2): taken}).go()
        assert getattr(run.error, "code", None) == "fenced"
        assert run.steps[-4:-2] == [("before read", 2), ("before outcome", 1)]
        del run
        gc.collect()
        assert not [r for r in caplog.records if r.name == "asyncio"]


def test_a_cancelled_run_ends_what_it_read_ahead() -> None:
    """The reading is over before its generator is closed, which would not be allowed otherwise."""
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c1"), 3: (EMAILS[2], "c2")}
        world.edited()

        def cancel(_: Attempt) -> None:
            for task in asyncio.all_tasks():
                task.cancel()

        for concurrency in (1, 2):
            run = Attempt(
                world=world, events={("before write", 1): cancel}, concurrency=concurrency
            )
            with pytest.raises(asyncio.CancelledError):
                run.go()
            assert run.steps[-1] == ("after release", 1)
        assert Attempt(world=world).go().error is None
        world.check_truth()


def test_two_batches_are_on_their_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is sent before the first is answered for, and no third is in memory."""
    monkeypatch.setattr(deliver_plan, "READ_ROWS", 1)
    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {n: (f"p{n}@example.com", "c0") for n in range(12)}
        world.edited()
        run = Attempt(world=world, concurrency=2).go()
    assert run.error is None
    for begins in ("after intent", "before read"):
        going, most = 0, 0
        for name, _ in run.steps:
            going += (name == begins) - (name == "after outcome")
            most = max(most, going)
        assert most == 2


def test_where_each_reading_looks_at_everything_batches_are_read_together(
    monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    """Of a CSV file and of a warehouse without indexes: four batches take one reading, not four."""
    monkeypatch.setattr(deliver_plan, "READ_ROWS", 3)
    stores = {
        "in a file that finds rows": duckdb_file,
        "beside a folder": parquet_folder,
        "in a warehouse": partial(postgres, postgres_database),
    }
    readings = {}
    for name, store in stores.items():
        with store() as made:
            world = World(warehouse=made, mode=SyncMode.AUDIENCE)
            world.people = {n: (f"p{n}@example.com", "c0") for n in range(12)}
            world.edited()
            run = Attempt(world=world, seed=_IN_ORDER).go()
            assert run.error is None
            world.check_truth()
            readings[name] = [step for step, _ in run.steps].count("before read")
    assert readings == {"in a file that finds rows": 4, "beside a folder": 1, "in a warehouse": 1}


@pytest.mark.parametrize("code", ["destination_away", "refused"])
def test_a_lane_that_fails_lets_the_other_keep_its_answer(code: str) -> None:
    """One batch is in doubt, and no more are sent."""

    def fail(_: Attempt) -> None:
        if code == "refused":
            raise ContractError(code, "Refused, as planned.")
        raise TransientError(code, "Away, as planned.")

    with duckdb_file() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        world.people = {n: (f"p{n}@example.com", "c0") for n in range(12)}
        world.edited()
        events = {("before write", n): fail for n in range(2, 20)}
        run = Attempt(world=world, concurrency=2, events=events).go()
        assert [s for s in run.steps if s[0] == "after outcome"] == [("after outcome", 1)]
        if code == "refused":
            assert getattr(run.error, "code", None) == code
        else:
            assert run.tally is not None
            assert run.tally.status == "held"
        assert Attempt(world=world, concurrency=2).go().error is None
        world.check_truth()
