"""Appends that wait: nothing is appended twice, and nothing that can still go is thrown away."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from mayfly.adapters import clock
from mayfly.api import RunRequest, load
from mayfly.bootstrap import app as wiring
from mayfly.bootstrap import registry
from mayfly.cli.commands import app
from mayfly.connectors.destinations.database_sqlite import SqliteEngine
from mayfly.connectors.destinations.files import Files
from mayfly.domain.errors import TransientError
from mayfly.services import advance_run
from mayfly.testing.fake_destination import FakeDestination, FakeWorld

DAY_MS = 86_400_000
# No purpose: whoever is gone from the source is sent all the same.
UNBOUND = SHOP + TO_LOG.replace("    purpose: ads\n", "    batch_rows: 30\n")
FILES = UNBOUND.replace("{type: sqlite, path: log.sqlite,", "{type: files, path: out, format: csv,")
FILES = SHOP + FILES[len(SHOP) :].replace("    table: people\n", "")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once, and a locked file is waited for no longer."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    monkeypatch.setitem(SqliteEngine.__init__.__kwdefaults__, "busy_seconds", 0.05)


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the machine's clock some days ahead."""
    real = clock._system_ms
    return lambda ahead: monkeypatch.setattr(
        clock, "_system_ms", lambda: real() + round(ahead * DAY_MS)
    )


def project(root: Path, text: str, *, rows: int) -> Path:
    """An approved project with an empty log."""
    made = make_project(root / "project", "", text=text, rows=rows)
    (made / "out").mkdir()
    with sqlite3.connect(made / "log.sqlite") as log:
        log.execute("CREATE TABLE people (id INTEGER, email TEXT)")
    approved(made)
    return made


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return done.exit_code, json.loads(done.stdout)


def logged(root: Path) -> list[int]:
    """Ids in the log, in order."""
    with sqlite3.connect(root / "log.sqlite") as log:
        return [n for (n,) in log.execute("SELECT id FROM people ORDER BY id")]


def change(root: Path, sql: str) -> None:
    """The warehouse's owner changes it."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Somebody else has the log for himself."""
    other = sqlite3.connect(root / "log.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.close()


def die_before_the_answer_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there, and the warehouse does not know."""

    async def dying(*_: object, **__: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr("mayfly.services.deliver_plan._answered", dying)
        CliRunner().invoke(app, ["run", "--project", str(root)])


def test_what_may_be_there_already_is_asked_for_and_not_swept(
    tmp_path: Path, days: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run was killed more than a day ago; a sweep says that it is left."""
    root = project(tmp_path, SHOP + TO_LOG, rows=10)
    die_before_the_answer_is_kept(root, monkeypatch)
    assert logged(root) == list(range(10))
    days(1.01)
    code, document = call(root, "sweep")
    assert (code, [left["code"] for left in document["left"]]) == (4, ["in_doubt"])
    assert call(root, "run")[0] == 0
    assert logged(root) == list(range(10))
    assert call(root, "sweep")[0] == 0


@pytest.mark.parametrize("command", [pytest.param("sweep", marks=pytest.mark.slow), "purge"])
def test_what_nobody_asked_for_counts_as_there(
    tmp_path: Path, days: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """After 30 days, or on demand: rows may be missing then, and none is twice."""
    root = project(tmp_path, SHOP + TO_LOG, rows=10)
    die_before_the_answer_is_kept(root, monkeypatch)
    if command == "sweep":
        days(30.01)
    code, document = call(root, command)
    assert (code, [e["in_doubt"] for e in document["purged"]]) == (0, [10])
    assert call(root, "run")[1]["syncs"][0]["status"] == "no_changes"
    assert logged(root) == list(range(10))


def test_a_later_fault_takes_no_time_from_what_is_sealed(tmp_path: Path, days: Any) -> None:
    """The destination was away, then it was there and its table another."""
    root = project(tmp_path, UNBOUND, rows=100)
    with locked(root):
        assert call(root, "run")[0] == 4
    change(root, "DELETE FROM people")
    days(2)
    with sqlite3.connect(root / "log.sqlite") as log:
        log.execute("ALTER TABLE people RENAME COLUMN email TO mail")
    assert call(root, "run")[1]["syncs"][0]["status"] != "succeeded"
    assert call(root, "sweep")[1]["purged"] == []
    with sqlite3.connect(root / "log.sqlite") as log:
        log.execute("ALTER TABLE people RENAME COLUMN mail TO email")
    assert call(root, "run")[1]["syncs"][0]["rows"]["delivered"] == 100
    assert logged(root) == list(range(100))


def test_who_was_left_out_of_an_attempt_goes_with_the_next_plan_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent was withdrawn at the first one, and given again before the second."""
    world = FakeWorld()

    def make(
        _project: Any, _settings: Any, context: Any, _sync: Any, _gate: Any
    ) -> FakeDestination:
        return FakeDestination(world, context, batch_marker=True)

    monkeypatch.setattr(wiring, "make_destination", make)
    root = project(tmp_path, SHOP + TO_LOG, rows=10)
    for granted in ("TRUE", "FALSE"):
        change(root, f"UPDATE people SET ads = {granted} WHERE id = 3")
        for _ in range(5):
            world.fail_before()
        assert call(root, "run")[0] == 4
    change(root, "UPDATE people SET ads = TRUE WHERE id = 3")
    assert call(root, "run")[0] == 0
    assert sorted(row["id"] for row in world.inserted) == list(range(10))


def test_a_file_of_which_a_part_is_gone_is_made_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows left the source before they could be sealed."""
    root = project(tmp_path, FILES, rows=100)
    seal = advance_run.seal_waiting

    async def away(*_: object) -> None:
        raise TransientError("disk_full", "There is no room.")

    async def later(*given: Any) -> None:
        change(root, "DELETE FROM people WHERE id >= 90")
        await seal(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "write", away)
        patch.setattr(advance_run, "seal_waiting", later)
        assert call(root, "run")[0] == 4
    change(root, "DELETE FROM people")
    ended = call(root, "run")[1]["syncs"][0]
    assert ended["rows"]["delivered"] == 90
    [file] = (root / "out").glob("*.csv")
    assert len(file.read_text().splitlines()) == 1 + 90
    assert not list((root / ".mayfly" / "spool").glob("*"))


@pytest.fixture
def no_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    """A destination that cannot tell what it has, and whose first answer got lost."""
    world = FakeWorld()

    def make(
        _project: Any, _settings: Any, context: Any, _sync: Any, _gate: Any
    ) -> FakeDestination:
        return FakeDestination(world, context)

    monkeypatch.setattr(wiring, "make_destination", make)
    spec = registry.SPECS["sqlite"]
    monkeypatch.setitem(registry.SPECS, "sqlite", replace(spec, batch_marker=False))
    project(tmp_path, SHOP + TO_LOG, rows=10)
    world.fail_after()
    return world


@pytest.mark.parametrize("choice", ["resend", "skip"])
def test_a_choice_is_of_what_was_in_doubt_then(
    tmp_path: Path, no_marker: FakeWorld, choice: str
) -> None:
    """What comes into doubt while a run waits is decided by a person again."""
    loaded = load(tmp_path / "project")

    async def no_sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    loaded.app.sleep = no_sleep
    loaded.run()
    change(tmp_path / "project", "INSERT INTO people SELECT 100 + id, * EXCLUDE id FROM people")
    no_marker.fail_after()
    request = RunRequest(in_doubt=choice, wait=timedelta(hours=1))
    result = loaded.run(request=request)
    assert [s.status for s in result.syncs] == ["in_doubt"]
    assert len(no_marker.inserted) == 20


def test_a_dry_run_ends_nothing_though_it_waits(
    tmp_path: Path, days: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing, whatever is past its deadline; by command it cannot wait at all."""
    root = project(tmp_path, UNBOUND, rows=100)
    with locked(root):
        assert call(root, "run")[0] == 4
    before = sorted(p.name for p in (root / ".mayfly" / "spool").iterdir())

    async def away(*_: object) -> None:
        raise TransientError("source_away", "It is away.")

    monkeypatch.setattr(advance_run, "find_object", away)
    loaded = load(root)
    loaded.app.sleep = asyncio.sleep
    request = RunRequest(dry_run=True, wait=timedelta(seconds=6))

    async def no_sleep(_seconds: float) -> None:
        days(31)

    loaded.app.sleep = no_sleep
    assert loaded.run(request=request).exit_code == 4
    assert sorted(p.name for p in (root / ".mayfly" / "spool").iterdir()) == before
    done = CliRunner().invoke(app, ["run", "--dry-run", "--wait", "1m", "--project", str(root)])
    assert done.exit_code == 2


def test_a_purge_is_of_one_target(tmp_path: Path) -> None:
    """What waits under another stays."""
    root = project(tmp_path, UNBOUND + "targets: {dev: {}, prod: {}}\n", rows=100)
    load(root, target="prod").approve()
    with locked(root):
        assert call(root, "run", "--target", "prod")[0] == 4
    assert call(root, "purge")[1]["purged"] == []
    assert call(root, "purge", "--target", "prod")[1]["purged"] != []
