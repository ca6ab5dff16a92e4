"""One session of Spark Connect as a `SqlSession`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa

from mayfly.connectors.sources.reading_guard import without_comment
from mayfly.connectors.sources.spark_client import SparkClient
from mayfly.connectors.sources.spark_protocol import message, sql_relation
from mayfly.connectors.sources.spark_results import batches, result
from mayfly.connectors.sources.spark_tables import WorkingTables
from mayfly.connectors.sources.spark_types import columns_of
from mayfly.domain.errors import ConfigError
from mayfly.ports.source import ColumnInfo

_QUERY = re.compile(r"(?:SELECT\b|\()", re.IGNORECASE)
_WITH = re.compile(r"WITH\b", re.IGNORECASE)


class SparkSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    Spark has no sessions that only read. A statement passes by how it begins: one that begins with
    SELECT can be nothing but a query in Spark's grammar, and one that begins with WITH is asked
    within a SELECT, since it might go on to insert. Temporary tables are kept by the session
    itself; nothing else is ever run.

    Args:
        client: of this session alone.
    """

    def __init__(self, client: SparkClient) -> None:
        self._client = client
        self._tables = WorkingTables(client)

    @property
    def session_id(self) -> str:
        """By which the server knows it."""
        return self._client.session_id

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`. Spark does not tell how many rows were changed."""
        comment, body = _parted(sql)
        if _QUERY.match(body) or _WITH.match(body):
            for _ in batches(self._client, _query(sql)):
                pass
        else:
            self._tables.execute(body, comment)
        return 0

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        return self.asked(_query(sql))

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`: pieces of at most `rows` rows and of what a message takes."""
        for batch in batches(self._client, _query(sql)):
            for first in range(0, batch.num_rows, rows):
                yield batch.slice(first, rows)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: as columns of Arrow, none in a statement."""
        self._tables.load(name, rows)

    def begin(self) -> None:
        """See `SqlSession.begin`. There is nothing that could be undone."""

    def commit(self) -> None:
        """See `SqlSession.commit`."""

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query; nothing of it is run.

        Raises:
            ConfigError: `column_ambiguous`.
        """
        columns = columns_of(self._client.schema(sql_relation(_query(query))))
        folded = {c.name.casefold() for c in columns}
        if len(folded) != len(columns):
            raise ConfigError(
                "column_ambiguous",
                f"{len(columns) - len(folded)} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS; Spark does not tell "
                "capitals from small letters.",
            )
        return columns

    def asked(self, statement: str) -> pa.Table:
        """The whole answer to a query, or to a statement of ours about the catalog."""
        return result(self._client, statement)

    def use(self, statement: str) -> None:
        """Do what a statement of ours says of the session itself."""
        command = message("Command", sql_command=message("SqlCommand", sql=statement))
        for _ in self._client.run(message("Plan", command=command)):
            pass

    def close(self) -> None:
        """End the session with what is temporary in it. Never raises."""
        with suppress(Exception):
            self._tables.close()
        self._client.close()


def _parted(sql: str) -> tuple[str, str]:
    """The comment before a statement, and the statement."""
    body = without_comment(sql)
    return sql[: len(sql) - len(body)], body


def _query(sql: str) -> str:
    """A statement that can be nothing but a query.

    Raises:
        ConfigError: `query_syntax`.
    """
    comment, body = _parted(sql)
    if _WITH.match(body):
        return f"{comment}SELECT * FROM ({body}) AS mf_query"
    if not _QUERY.match(body):
        raise ConfigError("query_syntax", "Not a query.")
    return sql
