"""What an SQLite file does to a session: locks, crashes, full disks, hostile statements."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from disks import small_disk
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.connectors.sources.sqlite_session import SqliteSession
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.planning.sql.sqlite import SqliteDialect
from sqlite_files import as_owner

SQL = SqliteDialect()
COPY = SQL.ours("_mayfly", "plan_x")
MARK = "zq-marked-value-7f3a"
_KILLED = """
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size = 5")
c.execute("BEGIN IMMEDIATE")
c.execute("UPDATE people SET name = name || 'x'")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 5,000 people."""
    return make(tmp_path / "shop.db")


def make(path: Path, *, wal: bool = False) -> Path:
    """The same, wherever."""
    with as_owner(path) as owner:
        if wal:
            owner.execute("PRAGMA journal_mode = WAL")
        owner.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
        owner.execute("BEGIN")
        owner.executemany("INSERT INTO people VALUES (?, ?)", [(i, "n" * 50) for i in range(5000)])
        owner.execute("COMMIT")
    return path


def count(source: SqliteSource) -> int:
    """The people whose names are whole."""
    query = "SELECT count(*) AS n FROM people WHERE length(name) = 50"
    with source.session(write=False) as session:
        return int(session.table(query).column("n")[0].as_py())


@pytest.mark.parametrize("wal", [False, True])
def test_a_killed_writer_leaves_nothing_half_done(tmp_path: Path, wal: bool) -> None:
    """Its journal is rolled back, by a session that only reads, too."""
    path = make(tmp_path / "shop.db", wal=wal)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [n for n in os.listdir(tmp_path) if n != "shop.db"]
    assert count(SqliteSource("shop", path)) == 5000


def test_a_file_that_is_being_written_is_reported(path: Path) -> None:
    """A writer that holds its lock is waited for, then told of; readers go on."""
    source = SqliteSource("shop", path, lock_wait_seconds=0.1)
    with as_owner(path) as other:
        other.execute("BEGIN IMMEDIATE")
        assert count(source) == 5000
        with source.session(write=True) as session, pytest.raises(TransientError) as caught:
            session.begin()
        assert caught.value.code == "database_locked"
        other.execute("ROLLBACK")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientError, match="database_locked"):
            count(source)


@pytest.mark.parametrize("kind", ["link", "folder", "nothing", "text"])
def test_what_is_no_database_file_is_refused(path: Path, kind: str) -> None:
    """A source is never followed elsewhere, and never created."""
    other = path.parent / "other.db"
    if kind == "link":
        other.symlink_to(path)
    elif kind == "folder":
        other.mkdir()
    elif kind == "text":
        other.write_text("no database " * 100)
    codes = {"link": "symbolic_link", "text": "database_unreadable"}
    with pytest.raises(ConfigError, match=codes.get(kind, "file_missing")):
        SqliteSource("shop", other).check(write=False)
    assert other.exists() == (kind != "nothing")


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{out}' AS o",
        "VACUUM INTO '{out}'",
        "PRAGMA journal_mode = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE VIRTUAL TABLE temp.v USING fts5(a)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON people BEGIN SELECT 1; END",
        "UPDATE sqlite_master SET sql = ''",
        "ANALYZE",
        "CREATE TABLE x (a)",
        "DELETE FROM people",
        "SELECT 1; SELECT 2",
    ],
)
def test_a_reading_session_reaches_nothing_else(path: Path, sql: str) -> None:
    """Behind the rules for model SQL the engine itself is shut."""
    out = path.parent / "out.db"
    source = SqliteSource("shop", path)
    with source.session(write=False) as session, pytest.raises(EngineError):
        session.execute(sql.replace("{out}", str(out)))
    assert not out.exists()
    assert count(source) == 5000


def test_a_writing_session_opens_no_other_file(path: Path) -> None:
    """Nor changes a setting."""
    with SqliteSource("shop", path).session(write=True) as session:
        for sql in ("ATTACH 'other.db' AS o", "PRAGMA secure_delete = OFF", "VACUUM INTO 'o.db'"):
            with pytest.raises(ConfigError, match="access_refused"):
                session.execute(sql)
    assert os.listdir(path.parent) == ["shop.db"]


def write_and_drop(session: SqliteSession) -> None:
    """What a plan does with a working copy, in two transactions."""
    session.begin()
    session.load("mf_rows", pa.table({"v": pa.array([f"{MARK}{i}" for i in range(3000)])}))
    session.execute(SQL.create_as(COPY, "SELECT v FROM mf_rows"))
    session.commit()
    session.begin()
    session.execute(SQL.drop_table(COPY))
    session.commit()


@pytest.mark.parametrize("wal", [False, True])
def test_a_dropped_working_copy_leaves_no_byte(tmp_path: Path, wal: bool) -> None:
    """Neither in the file nor in its log, though another program has the file open."""
    path = make(tmp_path / "shop.db", wal=wal)
    with as_owner(path) as other:
        other.execute("SELECT count(*) FROM people").fetchall()
        with SqliteSource("shop", path).session(write=True) as session:
            write_and_drop(session)
        for file in tmp_path.iterdir():
            assert MARK.encode() not in file.read_bytes(), file.name
    assert os.listdir(tmp_path) == ["shop.db"]


def test_nothing_of_a_query_is_written_beside_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorting and temporary tables stay in memory: there is nowhere else to write."""
    monkeypatch.setenv("SQLITE_TMPDIR", "/nonexistent")
    with SqliteSource("shop", path).session(write=False) as session:
        pairs = "SELECT a.id AS a, b.name AS b FROM people a, people b WHERE b.id < 40"
        session.execute(
            SQL.create_as("mf_pairs", f"{pairs} ORDER BY b.name, a.id DESC", temporary=True)
        )
        assert session.table("SELECT count(*) AS n FROM mf_pairs").to_pylist() == [{"n": 200_000}]
        assert os.listdir(path.parent) == ["shop.db"]


def test_a_file_that_may_not_be_written_says_so(path: Path) -> None:
    """It is still read."""
    if os.geteuid() == 0:
        with small_disk(path.parent / "small") as disk:
            small = make(path.parent / "small" / "shop.db")
            disk.read_only()
            source = SqliteSource("shop", small)
            assert count(source) == 5000
            with pytest.raises(ConfigError, match="file_not_accessible"):
                source.check(write=True)
            disk.writable()
        return
    path.chmod(0o400)
    with pytest.raises(ConfigError, match="file_not_accessible"):
        SqliteSource("shop", path).check(write=True)


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """`disk_full`, and the rest once there is room."""
    with small_disk(tmp_path / "small") as disk:
        source = SqliteSource("shop", make(tmp_path / "small" / "shop.db"))
        disk.fill()
        with source.session(write=True) as session, pytest.raises(ConfigError, match="disk_full"):
            write_and_drop(session)
        assert count(source) == 5000
        disk.empty()
        with source.session(write=True) as session:
            write_and_drop(session)


def test_values_that_are_no_texts_are_told_without_themselves(path: Path) -> None:
    """Bytes that are no UTF-8, stored as a text."""
    with as_owner(path) as owner:
        owner.execute("UPDATE people SET name = CAST(x'ff41424344' AS TEXT) WHERE id = 7")
    with (
        SqliteSource("shop", path).session(write=False) as session,
        pytest.raises(ConfigError, match="value_conversion") as caught,
    ):
        list(session.stream("SELECT name FROM people"))
    assert "ABCD" not in str(caught.value) + caught.value.hint


def test_two_thousand_columns_are_fingerprinted(path: Path) -> None:
    """The parser's stack and the arguments of a function have bounds; the text is the same."""
    with SqliteSource("shop", path).session(write=False) as session:
        for columns in (1, 99, 100, 101, 1900):
            texts = [f"CAST({i} AS TEXT)" if i % 3 else "NULL" for i in range(columns)]
            made = session.table(f"SELECT {SQL.fingerprint(texts)} AS f").column("f")[0].as_py()
            plain = super(SqliteDialect, SQL)._listed(texts[:100])
            if columns <= 100:
                other = session.table(f"SELECT {SQL.md5(plain)} AS f").column("f")[0].as_py()
                assert made == other
            assert len(made) == 16
    assert sqlite3.sqlite_version_info >= (3, 40)
