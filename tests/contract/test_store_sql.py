"""The suite of stores, on SQLite and PostgreSQL, and what holds for SQLite's file alone."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from mayfly.adapters.stores.sql_store import MIGRATIONS, SqlStore
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    PolicyError,
    TransientError,
)
from mayfly.testing.register_contract import RegisterStoreContract
from mayfly.testing.store_contract import (
    NOW,
    StoreContract,
    StoreWorld,
    create,
    entry,
    finish,
    start,
)


class TestSqlite(StoreContract, RegisterStoreContract):
    """A file in the project."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[StoreWorld]:
        """A folder that is not there yet."""
        folder = tmp_path / ".mayfly"
        opened: list[SqlStore] = []

        def open_store() -> SqlStore:
            opened.append(SqlStore("sqlite", folder))
            return opened[-1]

        def execute(statement: str) -> None:
            with sqlite3.connect(folder / "store.sqlite") as connection:
                connection.execute(statement)
            connection.close()

        yield StoreWorld(open=open_store, execute=execute)
        for store in opened:
            store.close()


class TestPostgres(StoreContract, RegisterStoreContract):
    """A database of its own on a real server."""

    @pytest.fixture
    def world(self, postgres_database: str, tmp_path: Path) -> Iterator[StoreWorld]:
        """An empty database."""
        url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
        opened: list[SqlStore] = []

        def open_store() -> SqlStore:
            opened.append(SqlStore(url, tmp_path / ".mayfly"))
            return opened[-1]

        def execute(statement: str) -> None:
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute(statement.encode())

        yield StoreWorld(open=open_store, execute=execute)
        for store in opened:
            store.close()


def test_its_files_are_the_owners_alone(tmp_path: Path) -> None:
    """Folder 0700, and 0600 for the database and the files that SQLite makes beside it."""
    folder = tmp_path / ".mayfly"
    before = os.umask(0)
    try:
        store = SqlStore("sqlite", folder)
        create(store)
        store.add_suppressions([entry("a")], NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"store.sqlite", "store.sqlite-wal"} <= set(modes)
    store.close()


def test_an_open_folder_and_file_are_closed_on_creation(tmp_path: Path) -> None:
    """What was there with wider rights loses them before anything is written."""
    folder = tmp_path / ".mayfly"
    folder.mkdir()
    folder.chmod(0o755)
    file = folder / "store.sqlite"
    file.touch()
    file.chmod(0o644)
    store = SqlStore("sqlite", folder)
    assert not store.exists()
    create(store)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.close()


@pytest.mark.parametrize("act", ["exists", "create", "workspace"])
def test_a_file_that_is_no_store_is_damaged(tmp_path: Path, act: str) -> None:
    """It is reported as such, with none of its bytes, and left as it is."""
    garbage = b"marked-7f3a is not a database " * 200
    (tmp_path / "store.sqlite").write_bytes(garbage)
    store = SqlStore("sqlite", tmp_path)
    with pytest.raises(IntegrityError) as caught:
        create(store) if act == "create" else getattr(store, act)()
    assert caught.value.code == "store_damaged"
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__suppress_context__
    assert (tmp_path / "store.sqlite").read_bytes() == garbage


def test_a_cut_store_is_damaged(tmp_path: Path) -> None:
    """A database whose pages are lost is not taken for an empty one."""
    store = SqlStore("sqlite", tmp_path)
    create(store)
    store.close()
    file = tmp_path / "store.sqlite"
    file.write_bytes(file.read_bytes()[:4096])
    with pytest.raises(IntegrityError) as caught:
        SqlStore("sqlite", tmp_path).workspace()
    assert caught.value.code == "store_damaged"


def test_a_crash_in_creation_leaves_no_half_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables made before the process ended are not there for the next one."""
    from mayfly.adapters.stores import sql_store

    original = sql_store._statement

    def crash(name: str) -> object:
        if name == "insert_workspace":
            raise KeyboardInterrupt
        return original(name)

    monkeypatch.setattr(sql_store, "_statement", crash)
    store = SqlStore("sqlite", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        create(store)
    store.close()
    monkeypatch.undo()
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    create(SqlStore("sqlite", tmp_path))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in its place is told without its path."""
    (tmp_path / ".mayfly").write_text("", "utf-8")
    with pytest.raises(ConfigError) as caught:
        create(SqlStore("sqlite", tmp_path / ".mayfly"))
    assert caught.value.code == "store_unwritable"
    assert str(tmp_path) not in str(caught.value)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """It may come back: transient, without the address."""
    store = SqlStore(f"postgresql+psycopg:///shop?host={tmp_path}", tmp_path)
    with pytest.raises(TransientError) as caught:
        store.workspace()
    assert caught.value.code == "store_unavailable"
    assert str(tmp_path) not in f"{caught.value} {caught.value.hint}"


def test_values_do_not_stay_in_the_file(tmp_path: Path) -> None:
    """A removed entry is overwritten in the database."""
    store = SqlStore("sqlite", tmp_path)
    create(store)
    kind, digest = entry("a")
    store.add_suppressions([(kind, digest)], NOW)
    store.close()
    assert digest.hex().encode() in (tmp_path / "store.sqlite").read_bytes()
    store.remove_suppressions([(kind, digest)])
    store.close()
    assert digest.hex().encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_a_store_missing_after_it_was_open(tmp_path: Path) -> None:
    """A file that was removed is not made anew by a read."""
    store = SqlStore("sqlite", tmp_path)
    create(store)
    store.close()
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(PolicyError):
        store.workspace()
    assert not list(tmp_path.iterdir())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A place for a store on each engine."""
    if request.param == "sqlite":
        return "sqlite"
    dsn: str = request.getfixturevalue("postgres_database")
    return dsn.replace("postgresql://", "postgresql+psycopg://", 1)


def later_release(folder: Path, more: str) -> Path:
    """Migrations of a release that has one more than today's."""
    folder.mkdir()
    known = sorted(MIGRATIONS.glob("*.sql"))
    for path in known:
        (folder / path.name).write_text(path.read_text("ascii"), "ascii")
    newest = int(known[-1].name[:4])
    (folder / f"{newest + 1:04}_more.sql").write_text(more, "ascii")
    return folder


def test_a_store_of_an_earlier_release_is_brought_up_to_date(tmp_path: Path, url: str) -> None:
    """Its records stay, several processes may do it at once, and the earlier release refuses it."""
    old = SqlStore(url, tmp_path / "s")
    create(old)
    start(old, "r1")
    more = later_release(
        tmp_path / "later",
        "ALTER TABLE runs ADD COLUMN extra VARCHAR(8) NOT NULL DEFAULT 'new';\n"
        "UPDATE runs SET status = extra;\n",
    )
    stores = [SqlStore(url, tmp_path / "s", migrations=more) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda s: [(r.run_id, r.status) for r in s.runs(5)], stores))
    assert found == [[("r1", "new")]] * 4
    with pytest.raises(ConfigError, match="store_newer"):
        old.runs(5)
    finish(stores[0], "r1")
    assert stores[1].runs(5)[0].status == "succeeded"
    for store in (old, *stores):
        store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, url: str) -> None:
    """The store stays as it was, for the release that made it."""
    old = SqlStore(url, tmp_path / "s")
    create(old)
    start(old, "r1")
    broken = later_release(
        tmp_path / "later",
        "UPDATE runs SET status = 'lost';\nALTER TABLE nowhere ADD COLUMN x INT;\n",
    )
    later = SqlStore(url, tmp_path / "s", migrations=broken)
    with pytest.raises(EngineError):
        later.runs(5)
    assert [r.status for r in old.runs(5)] == ["running"]
    for store in (old, later):
        store.close()


def test_todays_program_opens_a_store_of_the_first_migration(tmp_path: Path, url: str) -> None:
    """Every call works on a store that the first release made."""
    first = tmp_path / "first"
    first.mkdir()
    for path in MIGRATIONS.glob("0001_*.sql"):
        (first / path.name).write_text(path.read_text("ascii"), "ascii")
    old = SqlStore(url, tmp_path / "s", migrations=first)
    create(old)
    today = SqlStore(url, tmp_path / "s")
    start(today, "r1")
    finish(today, "r1")
    assert [r.status for r in today.runs(5)] == ["succeeded"]
    assert today.suppression_version() == 0
    for store in (old, today):
        store.close()
