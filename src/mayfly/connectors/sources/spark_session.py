"""One session of Spark Connect as a `SqlSession`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.refusals import value_conversion
from mayfly.connectors.sources.spark_client import SparkClient
from mayfly.connectors.sources.spark_protocol import message, sql_relation
from mayfly.connectors.sources.spark_tables import WorkingTables
from mayfly.connectors.sources.spark_types import columns_of, plain
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.ports.source import ColumnInfo

_LEAD = re.compile(r"\s*(?:/\*.*?\*/\s*)*", re.DOTALL)
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
            for _ in self._batches(_query(sql)):
                pass
        else:
            self._tables.execute(body, comment)
        return 0

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        return self.asked(_query(sql))

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`: pieces of at most `rows` rows and of what a message takes."""
        for batch in self._batches(_query(sql)):
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
        found = list(self._batches(statement))
        if not found:
            raise ContractError("query_failed", "The source gave no result.")
        return pa.Table.from_batches(found).combine_chunks()

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

    def _batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The result in order; an empty one has a batch of no rows."""
        seen = 0
        for answer in self._client.run(message("Plan", root=sql_relation(sql))):
            if answer.WhichOneof("kind") != "arrow_batch":
                continue
            for batch in _opened(answer.arrow_batch, seen):
                seen += batch.num_rows
                yield batch


def _opened(sent: Any, seen: int) -> Iterator[pa.RecordBatch]:
    """What one answer holds.

    Args:
        sent: ArrowBatch.
        seen: rows before it.
    """
    try:
        with pa.ipc.open_stream(sent.data) as reader:
            found = [plain(batch) for batch in reader]
            found = found or [plain(pa.RecordBatch.from_pylist([], schema=reader.schema))]
    except (pa.ArrowException, KeyError):
        raise value_conversion(
            "A value has no form that can be read: cast such columns to text in the model."
        ) from None
    if sum(batch.num_rows for batch in found) != sent.row_count or sent.start_offset != seen:
        raise ContractError("query_failed", "The source lost a part of a result.")
    yield from found


def _parted(sql: str) -> tuple[str, str]:
    """The comment before a statement, and the statement."""
    lead = _LEAD.match(sql)
    end = lead.end() if lead else 0
    return sql[:end], sql[end:]


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
