"""Two workers on PostgreSQL send the batches of one run; one is killed, or hangs, in the midst."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from end_to_end import serving
from end_to_end.serving import wait_for
from end_to_end.test_kill_workers import World, made
from fleet import Fleet, fleet, people, wait_until_arrived
from mayfly.api import load
from mayfly.api.helping import SHARES_VARIABLE, offering
from mayfly.api.serving import GIVEN_UP
from mayfly.sandbox.app import SandboxApp

BATCHES = 14
BATCH = 20


class SlowPlatform(SandboxApp):
    """One that takes its time for each request, as platforms do."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Wait, and answer."""
        if str(scope.get("path", "")).endswith("/users"):
            await asyncio.sleep(0.4)
        await super().__call__(scope, receive, send)


@pytest.fixture
def world(
    tmp_path: Path, postgres_server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """With people for that many batches. Two workers and a platform that waits take longer."""
    monkeypatch.setattr(serving, "PATIENCE_SECONDS", 3 * serving.PATIENCE_SECONDS)
    monkeypatch.setenv(SHARES_VARIABLE, "1")
    sandbox = SlowPlatform(tokens=frozenset({"t0ken"}), record_bodies=False)
    with made(tmp_path, postgres_server_dsn, monkeypatch, sandbox=sandbox) as found:
        people(
            found.shop,
            f"INSERT INTO people SELECT i, 'p' || i || '@example.com', true "
            f"FROM generate_series(201, {BATCHES * BATCH}) i",
        )
        yield found


def test_no_run_is_shared_unless_that_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of project or store."""
    monkeypatch.delenv(SHARES_VARIABLE, raising=False)
    nothing: Any = None
    assert offering(nothing, nothing, "r") is None


def helpers(world: World) -> list[str]:
    """Names of workers that were given a lane of the run that goes on."""
    with psycopg.connect(world.shop) as connection:
        try:
            rows = connection.execute("SELECT plan_layout FROM _mayfly.states").fetchall()
        except psycopg.errors.UndefinedTable:
            return []
    shared = [json.loads(layout).get("shared") for (layout,) in rows if layout]
    return [name for s in shared if s for name, (_, lane) in s["helpers"].items() if lane]


def process_of(workers: Fleet, holder: str) -> subprocess.Popen[str]:
    """The worker of that name."""
    [found] = [p for p in workers.running if f"/{p.pid}/" in holder]
    return found


def helping(world: World, workers: Fleet) -> subprocess.Popen[str]:
    """The worker that helps, once one does."""
    found: list[str] = []

    def there() -> bool:
        found[:] = helpers(world)
        return bool(found)

    wait_for(there, "a worker that helps")
    return process_of(workers, found[0])


def owner(world: World, workers: Fleet) -> subprocess.Popen[str]:
    """The worker whose run goes on."""
    last = load(world.root).app.store.last_run("to_meta", "dev")
    assert last is not None
    assert last.status == "running"
    return process_of(workers, last.holder or "")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_send_one_run(world: World, tmp_path: Path) -> None:
    """Each sends some of its batches, and the run has counted them all."""
    events = tmp_path / "events"
    events.mkdir()
    with fleet(world.root, events=events, lease=60.0) as workers:
        workers.start()
        workers.start()
        world.ask()
        wait_until_arrived(world.platform, world.shop)
        world.check()
        lines = [json.loads(t) for f in events.iterdir() for t in f.read_text().splitlines()]
    last = load(world.root).app.store.last_run("to_meta", "dev")
    assert last is not None
    assert (last.status, last.batches) == ("succeeded", BATCHES)
    assert last.counts is not None
    assert last.counts["delivered"] == BATCHES * BATCH
    [helped] = [line for line in lines if line["event"] == "run_helped"]
    assert (helped["run"], helped["code"]) == (last.run_id, "")
    assert 0 < helped["batches"] < BATCHES
    delivered = [line["batch"] for line in lines if line.get("act") == "delivered"]
    assert sorted(delivered) == list(range(min(delivered), min(delivered) + BATCHES))
    with psycopg.connect(world.store) as connection:
        assert connection.execute("SELECT count(*) FROM run_offers").fetchone() == (0,)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", [helping, owner])
def test_a_worker_is_killed_in_the_midst_of_a_shared_run(world: World, who: Any) -> None:
    """Whoever it was, everybody arrives."""
    with fleet(world.root, lease=60.0) as workers:
        workers.start()
        workers.start()
        world.ask()
        helping(world, workers)
        workers.kill(who(world, workers))
        wait_until_arrived(world.platform, world.shop)
        world.check()


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_helper_that_hung_finds_itself_given_up(world: World) -> None:
    """The run does not wait for it for ever; once it wakes it ends, and has done no harm."""
    with fleet(world.root, lease=20.0) as workers:
        workers.start()
        workers.start()
        world.ask()
        hung = helping(world, workers)
        hung.send_signal(signal.SIGSTOP)
        wait_until_arrived(world.platform, world.shop)
        wait_for(world.is_over, "the end of the run")
        hung.send_signal(signal.SIGCONT)
        assert hung.wait(timeout=60) == GIVEN_UP
        world.change(10)
        world.check()
