"""The port of a source: a warehouse, database or folder that rows are read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from mayfly.planning.sql.dialect import DialectName

Dialect = DialectName


@dataclass(frozen=True, kw_only=True)
class ColumnInfo:
    """One column of a table or query: its name, the engine's type name and the Arrow type."""

    name: str
    sql_type: str
    arrow_type: pa.DataType


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """One table that discovery found: names and types only, no row was read."""

    schema: str | None
    name: str
    columns: tuple[ColumnInfo, ...]


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What a source's engine says of itself.

    Args:
        engine: its name and version.
        clock: its time in UTC; None where the engine runs in this process.
    """

    engine: str
    clock: datetime | None = None


class SqlSession(Protocol):
    """One group of statements on one connection. Not safe for several threads.

    Values never enter statement text; they come by `load`. Errors are translated: lost
    connection or lock TransientError, missing right ConfigError `missing_grant` with the GRANT as
    hint, out of memory ConfigError `memory_limit`, missing table or column ConfigError.
    """

    def execute(self, sql: str) -> int:
        """Run one statement; rows affected, or 0 where the engine does not tell."""

    def table(self, sql: str) -> pa.Table:
        """The whole result. For results known to be small or bounded by the caller.

        Where an engine has one type for texts and bytes both come as text, and bytes are read by a
        cast to binary, which changes none of them.
        """

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """The result in bounded pieces. No other statement may run until it is used up."""

    def load(self, name: str, rows: pa.Table) -> None:
        """Create temporary table `name` (unquoted, ours) of this session from Arrow columns, in
        bulk. Types used: int64, binary, string, bool.
        """

    def begin(self) -> None:
        """Start a transaction."""

    def commit(self) -> None:
        """Commit it."""

    def rollback(self) -> None:
        """Undo it. Leaving the session without commit does the same."""


class Source(Protocol):
    """A system rows are read from. Plain functions, run in threads."""

    name: str
    dialect: Dialect

    def session(self, *, write: bool) -> AbstractContextManager[SqlSession]:
        """A session; closed on leaving, so that an embedded file is never kept open.

        With `write=False` the engine itself refuses changes (temporary tables excepted).
        """

    def relation(self, schema: str | None, table: str) -> str:
        """The quoted FROM item of a table (for folders: a reader of its files)."""

    def readable(self, column: ColumnInfo) -> str:
        """SQL expression over the quoted column that streams as the described Arrow type."""

    def unfit(self, column: ColumnInfo) -> str | None:
        """SQL condition over the quoted column: its value cannot be streamed exactly. None where
        every value of the type can be.
        """

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """Columns of a query, found without reading a row."""

    def tables(self) -> Sequence[TableInfo]:
        """What can be read: tables and views, names and types only."""

    def check(self, *, write: bool) -> None:
        """Raise ConfigError or TransientError if a run could not succeed now."""

    def facts(self) -> ServerFacts:
        """Version and clock of the engine, asked now."""


@runtime_checkable
class EstimatingSource(Protocol):
    """What a source may promise beside `Source`: its engine tells what a query would read."""

    def estimate(self, query: str) -> int | None:
        """Bytes that a query would read, found without running it; None where nobody can tell."""


@runtime_checkable
class EmbeddedSource(Protocol):
    """What a source may promise beside `Source`: its engine runs in this process."""

    def computes_with(self) -> str | None:
        """All that decides what an expression gives there, which stays as it is for as long as the
        process lives; None where the data itself may put something in a function's place.
        """


@dataclass(frozen=True, kw_only=True)
class ViewText:
    """What a view is made of, as its engine keeps it.

    Args:
        schema: that it stands in.
        sql: its query, or the statement that makes it; None where this user may not read it.
    """

    schema: str | None
    sql: str | None


@runtime_checkable
class ViewSource(Protocol):
    """What a source may promise beside `Source`: its engine tells what views are made of."""

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """Those of some names (schema, name) that are views, read from the catalog alone."""


def views_among(
    source: Source, names: Sequence[tuple[str | None, str]]
) -> Mapping[tuple[str | None, str], ViewText]:
    """See `ViewSource`; nothing of a source that does not tell."""
    return source.views(names) if isinstance(source, ViewSource) and names else {}


def bytes_scanned(source: Source, query: str) -> int | None:
    """Bytes that a query would read; None of a source that does not tell."""
    return source.estimate(query) if isinstance(source, EstimatingSource) else None


def computes_with(source: Source) -> str | None:
    """See `EmbeddedSource`; None of a source that does not tell."""
    return source.computes_with() if isinstance(source, EmbeddedSource) else None
