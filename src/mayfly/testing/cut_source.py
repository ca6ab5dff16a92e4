"""A source whose connection is lost at any statement, for tests of what is built on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from mayfly.domain.errors import TransientError
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, Source, SqlSession, TableInfo


class CutSource:
    """Counts the statements of all sessions of a source, and loses the connection at one of them.

    Args:
        source: the real one.

    Attributes:
        statements: so far.
        cut_at: number of the statement, from 1, at which its connection is lost; 0 for none.
        answered: whether the statement is done at the server before the connection is lost.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = source.name
        self.dialect: Dialect = source.dialect
        self.statements = 0
        self.cut_at = 0
        self.answered = False

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SqlSession]:
        """See `Source.session`."""
        with self._source.session(write=write) as session:
            yield _CutSession(self, session)

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        return self._source.relation(schema, table)

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return self._source.readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return self._source.unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`."""
        return self._source.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`."""
        return self._source.tables()

    def check(self, *, write: bool) -> None:
        """See `Source.check`."""
        self._source.check(write=write)

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        return self._source.facts()


class _CutSession:
    """See `SqlSession`; of no use once it is cut."""

    def __init__(self, source: CutSource, session: SqlSession) -> None:
        self._source = source
        self._session = session
        self._gone = False

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        with self._counted():
            return self._session.execute(sql)

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        with self._counted():
            return self._session.table(sql)

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`."""
        with self._counted():
            yield from self._session.stream(sql, rows=rows)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`."""
        with self._counted():
            self._session.load(name, rows)

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        with self._counted():
            self._session.begin()

    def commit(self) -> None:
        """See `SqlSession.commit`."""
        with self._counted():
            self._session.commit()

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        self._session.rollback()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._source.statements += 1
        now = self._source.statements == self._source.cut_at
        if self._gone or (now and not self._source.answered):
            self._lose()
        yield
        if now:
            self._lose()

    def _lose(self) -> None:
        self._gone = True
        raise TransientError("connection_lost", "The connection to the source was lost.")
