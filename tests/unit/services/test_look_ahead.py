"""While a batch is on its way the next is read: what goes wrong there is told afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from contract.plan_machine import EMAILS
from contract.plan_stores import duckdb_file
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import TransientError
from mayfly.services import advance_run
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World


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

    async def reading(begun: asyncio.Event) -> AsyncGenerator[int, None]:
        begun.set()
        await asyncio.Event().wait()
        yield 1

    async def both(begun: asyncio.Event) -> None:
        async with contextlib.aclosing(reading(begun)) as upcoming:
            await advance_run._both(asyncio.Event().wait(), anext(upcoming, None))

    async def main() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(both(begun))
        await begun.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
