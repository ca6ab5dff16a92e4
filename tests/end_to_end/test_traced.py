"""What engines within this process are asked, and what they say, when rows go to a third party:
there is no log of a server, so that each session's statements and answers are kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from end_to_end.logged import (
    CHANGES,
    Told,
    people_as_values,
    play,
    require_answers,
    require_loads,
    require_statements,
)
from http_wire import values_of
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.connectors.sources.sqlite_session import SqliteSession
from mayfly.sandbox.server import SandboxServer
from sqlite_files import as_owner

pytestmark = pytest.mark.slow
_TABLE = (
    "CREATE TABLE people (id int, email text, phone text, first_name text, number text, "
    "ads boolean)"
)


@dataclass
class Kept:
    """What sessions were asked, were given beside statements, and said."""

    asked: list[bytes] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)

    def of_sessions(self, kind: type[Any], patch: pytest.MonkeyPatch) -> None:
        """Keep what sessions of a class load and answer."""
        table, stream, load = kind.table, kind.stream, kind.load

        def kept_table(session: Any, sql: str) -> pa.Table:
            found = table(session, sql)
            self.said += values_of(found)
            return found

        def kept_stream(session: Any, sql: str, *, rows: int = 50_000) -> Iterable[pa.RecordBatch]:
            for batch in stream(session, sql, rows=rows):
                self.said += values_of(pa.Table.from_batches([batch]))
                yield batch

        def kept_load(session: Any, name: str, rows: pa.Table) -> None:
            self.loaded += values_of(rows)
            load(session, name, rows)

        for name, kept in (("table", kept_table), ("stream", kept_stream), ("load", kept_load)):
            patch.setattr(kind, name, kept)

    def require(self, told: Told) -> None:
        """Nothing of a person is in it."""
        asked, loaded, said = (b"\0".join(p) for p in (self.asked, self.loaded, self.said))
        require_answers(said, told)
        require_statements(asked, told)
        require_loads(loaded, told)


class _Traced:
    """A DuckDB connection that keeps its statements with their parameters."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, kept: list[bytes]) -> None:
        self._connection, self._kept = connection, kept

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("execute", "executemany", "sql", "query", "extract_statements"):
            return found

        def call(*args: Any) -> Any:
            self._kept.append(repr(args).encode())
            return found(*args)

        return call


def _make_duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as owner:
        owner.execute(_TABLE)
        owner.execute(f"INSERT INTO people VALUES {people_as_values()}")


def _change_duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as owner:
        for statement in CHANGES:
            owner.execute(statement)


@pytest.mark.parametrize("state", ["source", "local"])
def test_no_clear_value_leaves_duckdb(
    state: str, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer of it, or of a state beside it, holds one but of rows outside the repertoire."""
    path, kept, init = tmp_path / "shop.duckdb", Kept(), DuckdbSession.__init__

    def traced(session: DuckdbSession, connection: Any, **more: Any) -> None:
        init(session, _Traced(connection, kept.asked), **more)  # type: ignore[arg-type]

    _make_duckdb(path)
    monkeypatch.setattr(DuckdbSession, "__init__", traced)
    kept.of_sessions(DuckdbSession, monkeypatch)
    source = f"{{type: duckdb, path: shop.duckdb, state: {state}}}"
    kept.require(play(tmp_path, source, sandbox, lambda: _change_duckdb(path)))


@pytest.mark.parametrize("state", ["source", "local"])
def test_no_clear_value_leaves_sqlite(
    state: str, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine itself tells each statement, with what stands for its parameters."""
    path, kept, init = tmp_path / "shop.db", Kept(), SqliteSession.__init__

    def keep(statement: str) -> None:
        loads = statement.startswith("INSERT INTO temp.`") and "` VALUES (" in statement
        (kept.loaded if loads else kept.asked).append(statement.encode())

    def traced(session: SqliteSession, connection: sqlite3.Connection, *args: Any, **more: Any):
        connection.set_trace_callback(keep)
        init(session, connection, *args, **more)

    def change() -> None:
        with as_owner(path) as owner:
            for statement in CHANGES:
                owner.execute(statement.replace("concat('n', email)", "'n' || email"))

    with as_owner(path) as owner:
        owner.execute(_TABLE)
        owner.execute(f"INSERT INTO people VALUES {people_as_values()}")
    monkeypatch.setattr(SqliteSession, "__init__", traced)
    kept.of_sessions(SqliteSession, monkeypatch)
    source = f"{{type: sqlite, path: shop.db, state: {state}}}"
    kept.require(play(tmp_path, source, sandbox, change))
