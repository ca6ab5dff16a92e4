"""One session of a SQL warehouse as a `SqlSession`. Compiled, not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.databricks_connect import driver, failures
from mayfly.connectors.sources.databricks_errors import from_error, unfit_value
from mayfly.connectors.sources.databricks_types import column, plain
from mayfly.connectors.sources.databricks_volume import Volume
from mayfly.connectors.sources.reading_guard import ReadingGuard
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.ports.source import ColumnInfo

BUFFER_BYTES = 8_000_000
"""Of a result that is on its way."""
_AFFECTED = "num_affected_rows"
_SQL = DatabricksDialect()
_READS = r"SELECT\b|\("
_NAME = r"(?P<name>`(?:[^`]|``)+`|[A-Za-z_]\w*)(?![\w`.])"
_TYPES = {
    pa.int64(): "BIGINT",
    pa.binary(): "BINARY",
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
}


class DatabricksSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    A statement passes by how it begins: it reads, makes a temporary table, or changes one that this
    session made. Behind that stand the rights of the token's principal.

    Args:
        connection: of the driver, of this session alone.
        volume: through which rows are loaded.
    """

    def __init__(self, connection: Any, volume: Volume) -> None:
        self._connection = connection
        self._volume = volume
        self._guard = ReadingGuard(reads=_READS, name=_NAME, folded=_folded)
        self._driver = driver()
        self._failures = failures()

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`: a change answers with how many rows it was of."""
        self._guard.check(sql)
        with self._cursor() as cursor:
            cursor.execute(sql)
            told = cursor.fetchall_arrow()
        if _AFFECTED not in told.column_names or not told.num_rows:
            return 0
        return int(told.column(_AFFECTED)[0].as_py())

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        self._guard.check(sql)
        with self._cursor() as cursor:
            cursor.execute(sql)
            return plain(cursor.fetchall_arrow())

    def asked(self, statement: str) -> pa.Table:
        """The whole answer to a statement of ours about the catalog."""
        with self._cursor() as cursor:
            cursor.execute(statement)
            return plain(cursor.fetchall_arrow())

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. What is left unread is closed at the warehouse."""
        self._guard.check(sql)
        with self._cursor(rows) as cursor:
            cursor.execute(sql)
            while (piece := cursor.fetchmany_arrow(rows)).num_rows:
                yield from plain(piece).combine_chunks().to_batches(max_chunksize=rows)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: as a file that is there only meanwhile."""
        made = ", ".join(
            f"CAST({_SQL.quote(f.name)} AS {_TYPES[f.type]}) AS {_SQL.quote(f.name)}"
            for f in rows.schema
        )
        with self._volume.holding(rows) as path:
            query = f"SELECT {made} FROM parquet.{_SQL.quote(path)}"
            self.execute(_SQL.create_as(_SQL.quote(name), query, temporary=True))

    def begin(self) -> None:
        """See `SqlSession.begin`: there is none here that is relied on.

        Raises:
            ContractError: `no_transactions`.
        """
        raise ContractError("no_transactions", "A session of Databricks begins no transaction.")

    def commit(self) -> None:
        """See `SqlSession.commit`: each statement has."""

    def rollback(self) -> None:
        """See `SqlSession.rollback`: nothing is open."""

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query, which is only looked at."""
        with self._cursor() as cursor:
            cursor.execute(f"DESCRIBE QUERY {query}")
            found = cursor.fetchall_arrow().to_pylist()
        columns = tuple(column(str(row["col_name"]), str(row["data_type"])) for row in found)
        names = {c.name.casefold() for c in columns}
        if len(names) != len(columns):
            raise ConfigError(
                "column_ambiguous",
                f"{len(columns) - len(names)} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS.",
            )
        return columns

    def close(self) -> None:
        """End the session, and with it its temporary tables. Never raises."""
        try:
            self._connection.close()
        except self._failures:
            return

    @contextmanager
    def _cursor(self, rows: int = 50_000) -> Iterator[Any]:
        """A cursor whose errors are ours. The driver's texts carry values and statements."""
        cursor = None
        try:
            cursor = self._connection.cursor(arraysize=rows, buffer_size_bytes=BUFFER_BYTES)
            yield cursor
        except pa.ArrowException:
            raise unfit_value() from None
        except self._failures as error:
            answered = isinstance(error, self._driver.exc.ServerOperationError)
            context = getattr(error, "context", None) or {}
            raise from_error(str(error), context, answered=answered) from None
        finally:
            if cursor is not None:
                self._closed(cursor)

    def _closed(self, cursor: Any) -> None:
        try:
            cursor.close()
        except self._failures:
            return


def _folded(name: str) -> str:
    """One spelling of a name, quoted or not."""
    return name.strip("`").lower()
