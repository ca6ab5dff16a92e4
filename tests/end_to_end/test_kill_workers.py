"""Workers beside each other on PostgreSQL, killed, hung and cut off: nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from conftest import fresh_database
from end_to_end.serving import due, wait_for
from fleet import PROJECT, fleet, people, wait_until_arrived
from key_services.vault import TOKEN, FakeVault
from mayfly.adapters.engine.journal import SCHEMA
from mayfly.api import load
from mayfly.api.serving import GIVEN_UP, Worker
from mayfly.bootstrap import initialise
from mayfly.domain.errors import EngineError, PolicyError
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.server import LoopbackServer
from servers import system_server

SCHEDULE = "0 6 * * * Europe/Paris"
KILLS = int(os.environ.get("MAYFLY_KILLS", "25"))
SEED = int(os.environ.get("MAYFLY_SEED", "11"))
SHARE = 5
"""Kills of one test."""
PEOPLE = 200
USUAL_SECONDS = 1.5


@dataclass(kw_only=True)
class World:
    """A project on a store and a warehouse in PostgreSQL, and where it sends to."""

    root: Path
    shop: str
    store: str
    platform: LoopbackServer

    def change(self, turn: int) -> None:
        """Some come, some move, some withdraw; and a run is due. One that goes on is waited for: a
        tick meanwhile would be dropped.
        """
        wait_for(self.is_over, "the end of the run before")
        first = PEOPLE + turn * 20 + 1
        people(
            self.shop,
            f"INSERT INTO people SELECT i, 't{turn}p' || i || '@example.com', true "
            f"FROM generate_series({first}, {first + 19}) i",
            f"UPDATE people SET email = 'm{turn}' || email WHERE id % 17 = {turn % 17}",
            f"UPDATE people SET ads = NOT ads WHERE id % 23 = {turn % 23}",
        )
        self.ask()

    def ask(self) -> None:
        """Let the tick be due; again where a worker changed it in between."""
        wait_for(self._asked, "a tick that is due")

    def is_over(self) -> bool:
        """Whether nothing is asked for and nothing goes on."""
        try:
            store = load(self.root).app.store
            ticks, last = store.ticks("dev"), store.last_run("to_meta", "dev")
        except EngineError:  # the server is only starting
            return False
        going = last is not None and last.status == "running"
        return all(t.asked_at is None for t in ticks) and not going

    def check(self) -> None:
        """Everybody is where they are wanted, the newest run ended well, and nothing waits."""
        wait_until_arrived(self.platform, self.shop)
        wait_for(self.is_over, "the end of the run")
        project = load(self.root)
        assert project.app.store.runs(1)[0].status in ("succeeded", "no_changes")
        assert project.status()["held"] == []

    def _asked(self) -> bool:
        try:
            due(self.root, "to_meta", SCHEDULE)
        except AssertionError:
            return False
        return True


@contextmanager
def made(
    root: Path,
    server_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxApp | None = None,
) -> Iterator[World]:
    """Two databases, keys in Vault, a sandbox; two hundred people, approved."""
    sandbox = sandbox or SandboxApp(tokens=frozenset({"t0ken"}), record_bodies=False)
    with (
        FakeVault() as vault,
        fresh_database(server_dsn) as shop,
        fresh_database(server_dsn) as store,
        LoopbackServer(sandbox) as platform,
    ):
        vault.make_key("shop")
        monkeypatch.setenv("VAULT_SECRET", TOKEN)
        monkeypatch.setenv("SHOP", shop)
        monkeypatch.setenv("STORE_URL", store.replace("postgresql://", "postgresql+psycopg://", 1))
        people(
            shop,
            "CREATE TABLE people (id bigint PRIMARY KEY, email text, ads boolean)",
            f"INSERT INTO people SELECT i, 'p' || i || '@example.com', true "
            f"FROM generate_series(1, {PEOPLE}) i",
        )
        text = PROJECT.replace("VAULT", vault.address, 1).replace('"URL"', f'"{platform.url}"')
        (root / "mayfly.yml").write_text(text, encoding="utf-8")
        initialise(root)
        load(root).approve(actor="tester")
        yield World(root=root, shop=shop, store=store, platform=platform)


@pytest.fixture
def world(
    tmp_path: Path, postgres_server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """On the server of the tests."""
    with made(tmp_path, postgres_server_dsn, monkeypatch) as found:
        yield found


@pytest.mark.each
@pytest.mark.slow
@pytest.mark.parametrize("part", range(-(-KILLS // SHARE)))
def test_killed_workers_lose_nothing(world: World, part: int) -> None:
    """Of two, one is killed at any moment while a run is due; the other goes on."""
    moments = random.Random(SEED + part)
    with fleet(world.root) as workers:
        workers.start()
        workers.start()
        world.ask()
        wait_until_arrived(world.platform, world.shop)
        for turn in range(SHARE):
            world.change(turn)
            victim = moments.choice(workers.running)
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(timeout=moments.uniform(0.0, USUAL_SECONDS))
            workers.kill(victim)
            workers.start()
            wait_until_arrived(world.platform, world.shop)
        world.check()


@pytest.mark.slow
def test_a_worker_that_hung_finds_its_lease_over(world: World) -> None:
    """Another goes on with its run; once it wakes it ends by itself, and has done no harm."""
    with fleet(world.root) as workers:
        hung = workers.start()
        world.ask()
        wait_for(lambda: not world.is_over(), "a run that goes on")
        hung.send_signal(signal.SIGSTOP)
        workers.start()
        wait_until_arrived(world.platform, world.shop)
        hung.send_signal(signal.SIGCONT)
        assert hung.wait(timeout=60) == GIVEN_UP
        world.change(0)
        world.check()


@pytest.mark.slow
def test_a_server_that_fails_under_load_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, journal and warehouse are gone in the midst of a run, and back: it goes on."""
    with system_server() as server:
        server.create()
        server.start()
        with made(tmp_path, server.dsn, monkeypatch) as world, fleet(world.root) as workers:
            workers.start()
            world.ask()
            wait_for(lambda: not world.is_over(), "a run that goes on")
            server.stop("immediate")
            server.start()
            wait_until_arrived(world.platform, world.shop)
            world.change(0)
            world.check()


@pytest.mark.slow
def test_a_journal_that_is_deleted_is_made_anew(world: World) -> None:
    """What was asked for stands in the store."""
    with fleet(world.root) as workers:
        workers.start()
        world.ask()
        wait_until_arrived(world.platform, world.shop)
        wait_for(world.is_over, "the end of the run")
        with psycopg.connect(world.store, autocommit=True) as admin:
            admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())
        world.change(0)
        world.check()


def test_a_worker_of_another_region_is_refused(world: World) -> None:
    """With the names of both."""
    with pytest.raises(PolicyError) as caught:
        Worker(root=world.root, region="us-east4")
    assert caught.value.code == "worker_elsewhere"
    assert "us-east4" in caught.value.message
    assert "europe-west1" in caught.value.message
