"""kill -9 at any moment, then `mayfly run` again: nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.batches import logged
from end_to_end.holding import about_batches
from end_to_end.projects import members
from killed import (
    HELD,
    HELD_POSTGRES,
    HELD_SQLITE,
    MARKER,
    SYNCS,
    TOKEN,
    Place,
    PostgresWarehouse,
    SqliteWarehouse,
    Warehouse,
    digests_found,
    leaks,
    run_killed,
)
from mayfly.api import load
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.server import LoopbackServer
from unreliable import ANYTHING, PEOPLE, Unreliable, sent_again

pytestmark = pytest.mark.slow
# How many runs are killed in all; `make soak` says more. A test of its own for each dozen, so that
# several cores may share them.
KILLS = int(os.environ.get("MAYFLY_KILLS", "25"))
DOZEN = 13
SEED = int(os.environ.get("MAYFLY_SEED", "11"))
SQLITE_KILLS = 5
SHARE = 0.2
AWAY = 0.4
LANES = 2


def parts() -> list[tuple[str, int, int]]:
    """Warehouse, seed and kills of each test."""
    tests = -(-KILLS // DOZEN)
    sizes = [KILLS // tests + (n < KILLS % tests) for n in range(tests)]
    found = [(("duckdb", "postgres")[n % 2], SEED + n, size) for n, size in enumerate(sizes)]
    return [*found, ("sqlite", SEED + tests, min(SQLITE_KILLS, KILLS))]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Folders of their own for a project and its processes."""
    return Place.below(tmp_path)


@pytest.fixture
def platform() -> Iterator[tuple[Unreliable, LoopbackServer]]:
    """A sandbox with something unreliable in front of it."""
    app = Unreliable(
        app=SandboxApp(tokens=frozenset({TOKEN}), record_bodies=False),
        chance=random.Random(SEED),
        said=f"no {MARKER}@example.com",
    )
    with LoopbackServer(app) as server:
        yield app, server


def made(
    place: Place, url: str, request: pytest.FixtureRequest, chance: random.Random
) -> Warehouse:
    """A project with an empty table, approved."""
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("META_TOKEN", TOKEN)
    text, shop = HELD, Warehouse(str(place.root / "shop.duckdb"), chance)
    if request.node.callspec.params["warehouse"] == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("SHOP", dsn)
        text, shop = HELD_POSTGRES, PostgresWarehouse(dsn, chance)
    if request.node.callspec.params["warehouse"] == "sqlite":
        text, shop = HELD_SQLITE, SqliteWarehouse(str(place.root / "shop.db"), chance)
    place.root.mkdir()
    (place.root / "mayfly.yml").write_text(text.replace("URL", url))
    shop.make()
    # By others: SQLite loses its locks in a process that also reads the file as it is.
    for words in (["init"], ["approve", "--all"]):
        ended = run_killed(place, words)
        assert ended.code == 0, ended.said
    return shop


@pytest.mark.each
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("warehouse", "seed", "kills"), parts())
def test_killed_runs_end_in_the_truth(
    place: Place,
    platform: tuple[Unreliable, LoopbackServer],
    request: pytest.FixtureRequest,
    warehouse: str,
    seed: int,
    kills: int,
) -> None:
    """A platform and tables that take four of five requests, lose answers, and are away at times;
    people who come, move and withdraw; and runs that are killed at some moment.

    After each kill nothing of ours holds a value, a credential or what was said of them, nor what
    waits a digest. One run later everybody is where they are wanted; what was appended is there
    once; who was sent again after an answer was on the way at a kill; each run has an end, the
    ledger pairs everything, and nothing waits.
    """
    print(f"seed {seed}")  # noqa: T201
    unreliable, server = platform
    chance = random.Random(seed)
    shop = made(place, server.url, request, chance)
    usual = undisturbed(place, shop)
    seal(place, shop, unreliable)
    killed = turn = 0
    while killed < kills:
        turn += 1
        unreliable.turn, unreliable.share = turn, SHARE
        unreliable.away = chance.choice([PEOPLE, ANYTHING]) if chance.random() < AWAY else None
        shop.change(turn)
        syncs = chance.sample(SYNCS, chance.randrange(1, len(SYNCS) + 1))
        ended = run_killed(
            place,
            ["run", *syncs],
            seed=turn,
            share=SHARE,
            away=unreliable.away is not None,
            after=chance.random() * usual * len(syncs) / len(SYNCS),
            whole_writes=shop.whole_writes,
        )
        killed += ended.code < 0
        assert leaks(place, shop, ended.said) == []
        assert digests_found(place, shop.digests()) == []
    unreliable.turn, unreliable.share, unreliable.away = turn + 1, 0.0, None
    last = run_killed(place, ["run"])
    assert (last.code, leaks(place, shop, last.said)) == (0, [])
    arrived(place.root, shop, server)
    again, unexcused = sent_again(unreliable.sendings, lanes=LANES)
    print(f"{killed} kills in {turn} runs, {again} people sent again")  # noqa: T201
    assert unexcused == 0
    over(place.root, runs=3 * turn + 9)


def undisturbed(place: Place, shop: Warehouse) -> float:
    """Seconds that a run takes to which nothing happens."""
    shop.change(0)
    ended = run_killed(place, ["run"])
    assert ended.code == 0, ended.said
    return ended.seconds


def seal(place: Place, shop: Warehouse, unreliable: Unreliable) -> None:
    """Of a run that comes to its end while everything is away, all waits sealed."""
    unreliable.away = PEOPLE
    shop.change(0)
    ended = run_killed(place, ["run"], away=True)
    assert ended.code == 4, ended.said
    held = about_batches(place.root, "held")
    assert {entry["sync"] for entry in held} == {"to_meta", "to_log"}


def arrived(root: Path, shop: Warehouse, server: LoopbackServer) -> None:
    """Everybody is where they are wanted, and nobody else; what was appended is there once."""
    assert members(server) == {d.hex() for d in shop.digests()}
    with sqlite3.connect(root / "crm.sqlite") as crm:
        assert crm.execute("SELECT id, email FROM people ORDER BY id").fetchall() == shop.wanted()
    assert logged(root) == Counter(range(shop.rows))


def over(root: Path, *, runs: int) -> None:
    """Each run has ended, nothing waits, and the ledger pairs everything."""
    project = load(root)
    assert "running" not in {r["status"] for r in project.runs(runs)["runs"]}
    assert project.status()["held"] == []
    assert list((root / ".mayfly" / "spool").glob("*")) == []
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
    assert report["ok"], report
    counts = [report[name] for name in ("unpaired", "overdue", "inconsistent", "held")]
    assert counts == [0, 0, 0, 0]
