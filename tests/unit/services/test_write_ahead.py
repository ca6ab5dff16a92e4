"""The write-ahead log, on a file that another connection has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mayfly.services.write_ahead import keep_a_log


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Has the file for itself."""
    with closing(sqlite3.connect(tmp_path / "f.sqlite", isolation_level=None)) as found:
        found.execute("CREATE TABLE t (n INTEGER)")
        found.execute("BEGIN EXCLUSIVE")
        yield found


@pytest.fixture
def connection(tmp_path: Path, other: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Does not wait by itself."""
    del other
    with closing(sqlite3.connect(tmp_path / "f.sqlite", timeout=0)) as found:
        yield found


def test_a_file_in_use_is_waited_for(
    connection: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    """SQLite itself says at once that it is busy."""
    keep_a_log(connection, wait_seconds=60, pause=lambda _: other.rollback())
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_never_free_is_given_up(connection: sqlite3.Connection) -> None:
    """What SQLite said is passed on."""
    with pytest.raises(sqlite3.OperationalError) as caught:
        keep_a_log(connection, wait_seconds=0)
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY


def test_another_error_is_not_waited_for(tmp_path: Path) -> None:
    """A file that is no database stays one."""
    (tmp_path / "f.sqlite").write_bytes(b"no database at all, and long enough" * 9)
    with (
        closing(sqlite3.connect(tmp_path / "f.sqlite")) as connection,
        pytest.raises(sqlite3.DatabaseError),
    ):
        keep_a_log(connection, wait_seconds=60, pause=lambda _: pytest.fail("it waited"))
