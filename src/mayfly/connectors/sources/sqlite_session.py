"""One SQLite connection as a `SqlSession`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.sqlite_errors import translated
from mayfly.connectors.sources.sqlite_functions import lend
from mayfly.connectors.sources.sqlite_types import array, arrow_type, sql_type
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.planning.sql.sqlite import UNTYPED, backtick
from mayfly.ports.source import ColumnInfo

_VIEW, _EMPTY = "temp.mf_described", "temp.mf_described_as"
_REPLACED = "DROP VIEW IF EXISTS "
_PINNED = (
    # Nothing of a query is written beside the file.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA legacy_alter_table = ON",
    "PRAGMA case_sensitive_like = OFF",
    "PRAGMA cache_size = -65536",
    "PRAGMA mmap_size = 0",
)
_LOADED = {"int64": "INTEGER", "binary": "BLOB", "string": "TEXT", "bool": "BOOLEAN"}
_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_CREATE_TEMP_INDEX,
    sqlite3.SQLITE_CREATE_TEMP_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_VIEW,
    sqlite3.SQLITE_DROP_TEMP_INDEX,
    sqlite3.SQLITE_DROP_TEMP_TABLE,
    sqlite3.SQLITE_DROP_TEMP_VIEW,
}
_WRITES = {
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_ALTER_TABLE,
}
_CHANGES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_CLOSED_FUNCTIONS = {"load_extension", "fts3_tokenizer", "sqlite_log"}


class SqliteSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    Args:
        connection: this session's own.
        name: of the source, for messages.
        write: whether tables of the file may be changed.
    """

    def __init__(self, connection: sqlite3.Connection, name: str, *, write: bool) -> None:
        self._connection = connection
        self._name = name
        self._write = write
        self._dropped = False
        with translated(name):
            for pragma in _PINNED:
                connection.execute(pragma).fetchall()
            lend(connection)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.set_authorizer(self._allows)

    def _allows(
        self, action: int, first: str | None, second: str | None, base: str | None, _: str | None
    ) -> int:
        """The lock behind the rules for model SQL: asked for each part of each statement."""
        if action in _READS:
            allowed = True
        elif action == sqlite3.SQLITE_FUNCTION:
            allowed = (second or "").casefold() not in _CLOSED_FUNCTIONS
        elif action == sqlite3.SQLITE_PRAGMA:
            allowed = first == "table_info"
        elif action in _CHANGES or action == sqlite3.SQLITE_REINDEX:
            # A table function says its columns by what looks like a change of the catalog.
            says = (action, first) == (sqlite3.SQLITE_UPDATE, "sqlite_master")
            allowed = self._write or base == "temp" or says
        else:
            allowed = self._write and action in _WRITES
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`. A view is replaced, or goes, in a statement before."""
        self._dropped = self._dropped or sql.startswith("DROP TABLE")
        if sql.startswith(_REPLACED):
            dropped, _, sql = sql.partition("; ")
            self._run(dropped)
        return max(0, self._run(sql))

    def _run(self, sql: str) -> int:
        with translated(self._name):
            cursor = self._connection.execute(sql)
            cursor.fetchall()
            return cursor.rowcount

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        kinds = self._kinds(sql)
        with translated(self._name):
            cursor = self._connection.execute(sql)
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            return pa.Table.from_arrays(_columns(rows, kinds), names=names)

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`."""
        kinds = self._kinds(sql)
        with translated(self._name):
            cursor = self._connection.execute(sql)
            try:
                names = [column[0] for column in cursor.description]
                schema: pa.Schema | None = None
                while piece := cursor.fetchmany(rows):
                    batch = pa.RecordBatch.from_arrays(_columns(piece, kinds), names=names)
                    batch = batch if schema is None else _as(batch, schema)
                    schema = batch.schema
                    del piece
                    yield batch
            finally:
                cursor.close()

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`."""
        kinds = zip(rows.column_names, rows.schema.types, strict=True)
        defined = ", ".join(f"{backtick(c)} {_LOADED[_plain(k)]}" for c, k in kinds)
        marks = ", ".join("?" * rows.num_columns)
        into = f"temp.{backtick(name)}"
        alone = not self._connection.in_transaction
        with translated(self._name):
            if alone:
                self._connection.execute("BEGIN")
            self._connection.execute(f"CREATE TEMPORARY TABLE {backtick(name)} ({defined})")
            for batch in rows.to_batches(max_chunksize=50_000):
                columns = [column.to_pylist() for column in batch.columns]
                self._connection.executemany(
                    f"INSERT INTO {into} VALUES ({marks})", zip(*columns, strict=True)
                )
            if alone:
                self._connection.execute("COMMIT")

    def begin(self) -> None:
        """See `SqlSession.begin`. A writer takes the one lock of writers at once."""
        self._run("BEGIN IMMEDIATE" if self._write else "BEGIN")

    def commit(self) -> None:
        """See `SqlSession.commit`."""
        self._run("COMMIT")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        if self._connection.in_transaction:
            self._run("ROLLBACK")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query as `readable` streams them; reads no row."""
        found = self._described(query)
        names = {name.casefold() for name, _ in found}
        # A name that is there twice is told with a number behind it.
        twice = [n for n, _ in found if n.rpartition(":")[0].casefold() in names - {""}]
        if twice:
            raise ConfigError(
                "column_ambiguous",
                f"{len(twice)} columns differ from another one only in case, or not at all; this "
                "engine does not tell them apart.",
                hint="Give each column of the query its own name with AS.",
            )
        return tuple(
            ColumnInfo(name=name, sql_type=kind, arrow_type=arrow_type(kind))
            for name, kind in ((name, kind or UNTYPED) for name, kind in found)
        )

    def _kinds(self, sql: str) -> list[str | None]:
        return [kind for _, kind in self._described(sql)]

    def _described(self, query: str) -> list[tuple[str, str | None]]:
        """Name and kind of each column; None where neither a column nor a cast tells it.

        A view tells what columns declare, a table of no row what affinity expressions have. LIMIT
        keeps the inner query a coroutine, which the outer LIMIT never begins.
        """
        with translated(self._name):
            run = self._connection.execute
            try:
                run(f"CREATE TEMPORARY VIEW {_VIEW[5:]} AS {query}")
                declared = self._info(_VIEW)
                run(
                    f"CREATE TEMPORARY TABLE {_EMPTY[5:]} AS SELECT * FROM "
                    f"(SELECT * FROM {_VIEW} LIMIT -1) LIMIT 0"
                )
                affinities = self._info(_EMPTY)
            finally:
                run(f"DROP TABLE IF EXISTS {_EMPTY}")
                run(f"DROP VIEW IF EXISTS {_VIEW}")
        return [
            (name, sql_type(kind, affinity) if kind or affinity else None)
            for (name, kind), (_, affinity) in zip(declared, affinities, strict=True)
        ]

    def _info(self, name: str) -> list[tuple[str, str]]:
        sql = "SELECT name, type FROM pragma_table_info(?, 'temp')"
        return self._connection.execute(sql, [name[5:]]).fetchall()

    def close(self) -> None:
        """Undo what is open and close. Never raises."""
        try:
            self.rollback()
        except EngineError:
            pass
        finally:
            self._connection.set_authorizer(None)
            if self._dropped:
                self._empty_log()
            self._connection.close()

    def _empty_log(self) -> None:
        """What was dropped goes from the write-ahead log, too, where a file has one that nobody
        else reads.
        """
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _columns(rows: Sequence[tuple[Any, ...]], kinds: Sequence[str | None]) -> list[pa.Array]:
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return [array(column, kind) for column, kind in zip(columns, kinds, strict=True)]


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """What no column declares is what its first values are."""
    return batch if batch.schema == schema else batch.cast(schema)


def _plain(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "int64"
    if pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return "string"
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "binary"
    return str(kind)
