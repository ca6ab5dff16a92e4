"""DuckDB as an engine whose transactions undo no table: making or dropping one ends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.duckdb_session import DuckdbSession
from mayfly.planning.sql.duckdb import DuckdbDialect

_MAKES = re.compile(r"\s*(/\*.*?\*/)?\s*(CREATE|DROP|ALTER)\b", re.DOTALL)


class CommittingDialect(DuckdbDialect):
    """DuckDB's, that says so."""

    transactional_ddl = False


class _Session:
    """Commits what is open before and after each table that is made, temporary ones too."""

    def __init__(self, session: DuckdbSession) -> None:
        self._session = session
        self._open = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        if _MAKES.match(sql):
            self.commit()
        return self._session.execute(sql)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`."""
        self.commit()
        self._session.load(name, rows)

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self.commit()
        self._session.begin()
        self._open = True

    def commit(self) -> None:
        """See `SqlSession.commit`. Without a transaction a no-op, as on such engines."""
        if self._open:
            self._open = False
            self._session.commit()


class CommittingSource(DuckdbSource):
    """A DuckDB file with such sessions."""

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Any]:
        """See `Source.session`."""
        with super().session(write=write) as session:
            yield _Session(session)
