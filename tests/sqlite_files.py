"""SQLite files of tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from mayfly.planning.sql.sqlite import backtick


@contextmanager
def as_owner(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of the file's owner; what it does is committed one by one."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def write_people(path: Path, rows: Sequence[tuple[int, str | None, str, bool | None]]) -> None:
    """The model as a table: id, email, city, ok."""
    with as_owner(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DROP TABLE IF EXISTS people")
        connection.execute("CREATE TABLE people (id INTEGER, email TEXT, city TEXT, ok BOOLEAN)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
        connection.execute("COMMIT")


def make_table(path: Path, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    columns = ", ".join(f"{backtick(n)} INTEGER" for n in rows.column_names)
    values = ", ".join(str(v) for v in rows.to_pylist()[0].values())
    with as_owner(path) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {backtick(name)}")
        connection.execute(f"CREATE TABLE {backtick(name)} ({columns})")
        connection.execute(f"INSERT INTO {backtick(name)} VALUES ({values})")
