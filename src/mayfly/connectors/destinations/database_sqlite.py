"""Tables of an SQLite file."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations.database_files import FileEngine
from mayfly.connectors.destinations.databases import (
    STAGE,
    Cursor,
    TableDestination,
    TableSession,
    quote,
    refuse_fields,
    table_spec,
)
from mayfly.connectors.destinations.values import (
    json_texts,
    rows_out_of_calendar,
    rows_without_number,
)
from mayfly.connectors.private_files import as_private_as
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.connector import FIRST_ADDRESS, Connector, DestinationRequest
from mayfly.ports.destination import DestinationContext

SPEC_SQLITE = table_spec("sqlite")
_BUSY_SECONDS = 30.0
_COLUMNS_MAX = 2_000


class SqliteEngine(FileEngine):
    """One SQLite file and one table of it."""

    kind = "SQLite"

    def __init__(self, path: Path, table: str, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        super().__init__(path, table)
        self._busy = busy_seconds

    @contextmanager
    def session(self) -> Iterator[TableSession]:
        """See `Engine.session`."""
        with self._translated():
            self.require_folder()
            with as_private_as(self._path):
                connection = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None)
            try:
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute("BEGIN IMMEDIATE")
                yield SqliteTableSession(connection, self)
            finally:
                connection.close()

    def sql_type(self, kind: pa.DataType) -> str:
        """SQLite's affinity for an Arrow type; decimals and times are exact as text."""
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            return "INTEGER"
        if pa.types.is_floating(kind):
            return "REAL"
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return "BLOB"
        return "TEXT"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's texts may carry values; none is passed on."""
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise self.disk_full() from None
            if code in _UNWRITABLE:
                raise self.unwritable() from None
            raise _ours(error, code) from None

    def unstorable(self, rows: pa.Table) -> Mapping[int, str]:
        """SQLite takes NaN for null; days and times are written as Python spells them."""
        return {**rows_out_of_calendar(rows), **rows_without_number(rows)}


_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class SqliteTableSession(TableSession):
    """One transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection, engine: SqliteEngine) -> None:
        super().__init__(engine.table, engine.name)
        self._connection = connection

    def run(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """See `TableSession.run`."""
        return self._connection.execute(sql, tuple(values))

    def exists(self, table: str) -> bool:
        """See `TableSession.exists`."""
        sql = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?"
        return bool(self.run(sql, [table]).fetchall())

    def columns(self) -> Iterable[str]:
        """See `TableSession.columns`."""
        return [name for name, _ in self._info()]

    def unique(self) -> Iterable[Iterable[str]]:
        """See `TableSession.unique`."""
        yield [name for name, pk in self._info() if pk]
        sql = 'SELECT name FROM pragma_index_list(?) WHERE "unique" = 1'
        for (index,) in self.run(sql, [self._table]).fetchall():
            parts = self.run("SELECT name FROM pragma_index_info(?)", [index]).fetchall()
            yield [name for (name,) in parts]

    def _info(self) -> list[Any]:
        return self.run("SELECT name, pk FROM pragma_table_info(?)", [self._table]).fetchall()

    def stage(self, rows: pa.Table) -> None:
        """See `TableSession.stage`."""
        names = ", ".join(quote(n) for n in rows.column_names)
        self._connection.execute(f"CREATE TEMP TABLE {STAGE} ({names})")
        marks = ", ".join("?" * rows.num_columns)
        columns = [_plain(c) for c in rows.columns]
        self._connection.executemany(
            f"INSERT INTO {STAGE} VALUES ({marks})", zip(*columns, strict=True)
        )

    def statements(
        self, operation: Operation, key: Sequence[str], columns: Sequence[str]
    ) -> Iterator[str]:
        """See `TableSession.statements`. SQLite makes an index for what follows IN, and none for an
        EXISTS, which would look at every staged row for each row of the table.
        """
        if operation is Operation.REMOVE:
            names = ", ".join(map(quote, columns))
            yield f"DELETE FROM {self._target} WHERE ({names}) IN (SELECT {names} FROM {STAGE})"
        else:
            yield from super().statements(operation, key, columns)

    def commit(self) -> None:
        """See `TableSession.commit`."""
        self._connection.execute("COMMIT")


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Values as SQLite holds them."""
    if pa.types.is_nested(column.type):
        return json_texts(column)
    return [_value(v) for v in column.to_pylist()]


def _value(value: Any) -> Any:
    match value:
        case decimal.Decimal():
            return format(value, "f")
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case _:
            return value


def _ours(error: Exception, code: int) -> EngineError:
    match error:
        case (
            sqlite3.IntegrityError()
            | sqlite3.DataError()
            | OverflowError()
            | sqlite3.InterfaceError()
        ):
            return ContractError(
                "batch_refused",
                "The destination's table refused a value of a batch.",
                hint="Compare its constraints and types with the model's.",
            )
        case sqlite3.OperationalError() if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return TransientError(
                "database_locked",
                "The destination's SQLite file is being written by another program.",
                hint="Close that program, or write to another file.",
            )
        case sqlite3.OperationalError():
            return TransientError(
                "database_unavailable",
                "The destination's SQLite file cannot be read or written.",
                hint="Check its disk, and that the file is whole.",
            )
        case _ if code == sqlite3.SQLITE_NOTADB:
            return ConfigError(
                "database_unreadable",
                "The destination's file is no SQLite database.",
                hint="Check its path; it was not changed.",
            )
        case _:
            return ContractError(
                "database_error", f"SQLite refused a statement ({type(error).__name__})."
            )


def make(*, path: Path, context: DestinationContext) -> TableDestination:
    """The connector for one table of an SQLite file."""
    refuse_fields(context, SqliteEngine.kind, columns_max=_COLUMNS_MAX)
    return TableDestination(SqliteEngine(path, context.object_name), context)


def _open(request: DestinationRequest) -> TableDestination:
    return make(path=request.path(), context=request.context)


CONNECTOR = Connector(spec=SPEC_SQLITE, open=_open, address=FIRST_ADDRESS)
