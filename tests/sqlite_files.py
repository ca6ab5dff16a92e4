"""SQLite files of tests."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


_CATALOG = (
    "CREATE TEMP VIEW information_schema_tables AS SELECT '_mayfly' AS table_schema, "
    "substr(name, 9) AS table_name FROM sqlite_master "
    "WHERE type IN ('table', 'view') AND name LIKE '\\_mayfly.%' ESCAPE '\\'",
    "CREATE TEMP VIEW information_schema_schemata AS "
    "SELECT DISTINCT table_schema AS schema_name FROM information_schema_tables",
)


def ask(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    """The last one's rows, of statements as tests of other engines write them: with a schema of
    ours, the standard's catalog, and people made of numbers.
    """
    found: list[tuple[Any, ...]] = []
    with as_owner(path) as connection:
        connection.create_function("lpad", 3, lambda text, length, fill: text.rjust(length, fill))
        for view in _CATALOG:
            connection.execute(view)
        for statement in statements:
            spelled = re.sub(r"\binformation_schema\.", "information_schema_", statement)
            spelled = re.sub(r"\b_mayfly\.(\w+)", r'"_mayfly.\1"', spelled)
            if spelled.startswith("CREATE TABLE people AS SELECT"):
                connection.execute(
                    "CREATE TABLE people (id INTEGER, email TEXT, phone TEXT, city TEXT, "
                    "ads BOOLEAN)"
                )
                spelled = spelled.replace("CREATE TABLE people AS", "INSERT INTO people", 1)
            found = connection.execute(spelled).fetchall()
    return found


def numbers(rows: int) -> str:
    """FROM item of numbers `i` from 0."""
    counted = f"SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < {rows - 1}"
    return f"FROM (WITH RECURSIVE r(i) AS ({counted}) SELECT i FROM r)"
