"""One session of ClickHouse's HTTP interface as a `SqlSession`."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import pyarrow as pa

from mayfly.connectors.sources.clickhouse_connect import (
    PINNED,
    SESSION_SECONDS,
    Body,
    answered,
    read_whole,
    translated,
)
from mayfly.connectors.sources.clickhouse_errors import (
    StillWorkingError,
    code_in,
    from_code,
    lost,
)
from mayfly.connectors.sources.clickhouse_types import column, plain, plain_schema
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.clickhouse import quote
from mayfly.ports.source import ColumnInfo

WAIT_SECONDS = 60.0
"""For an earlier statement that nobody waits for any more."""
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What closes a stream of Arrow: without it some of the result is missing."""
_LEAD = r"\s*(?:/\*.*?\*/\s*)*"
_NAME = r"(?P<name>`(?:\\.|[^`\\])+`|\w+)"
_READS = re.compile(_LEAD + r"(?:SELECT|WITH)\b|" + _LEAD + r"\(", re.DOTALL | re.IGNORECASE)
_MAKES = re.compile(
    rf"(?P<lead>{_LEAD})CREATE\s+TEMPORARY\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}"
    r"(?:\s+AS\s+(?P<query>.*))?",
    re.DOTALL | re.IGNORECASE,
)
_FILTERED = re.compile(
    rb"^\W*(?:Row level filter\b|Filter \([^'\n]*Row-level security filter)", re.MULTILINE
)
_TYPES = {
    pa.int64(): "Nullable(Int64)",
    pa.binary(): "Nullable(String)",
    pa.string(): "Nullable(String)",
    pa.bool_(): "Nullable(Bool)",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a session asks.

    Args:
        source: its name, for messages.
        url: of every request.
        database: that statements begin in.
        grantee: who lacks a right, as GRANT names it.
        compressed: whether results are compressed on their way.
    """

    source: str
    url: str
    database: str
    grantee: str
    compressed: bool


class ClickhouseSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    The server itself refuses it every change but those of temporary tables.

    Args:
        client: for this session alone.
        place: where it asks.
    """

    def __init__(self, client: httpx.Client, place: Place) -> None:
        self._client = client
        self._place = place
        self._id = uuid.uuid4().hex
        self._begun = False
        self._streaming = False
        self._temporary: list[str] = []

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`. ClickHouse does not tell how many rows a statement changed.

        A table of a query's result is made empty, and then filled: in one statement the server asks
        for the right to read all columns of a table that the query joins.
        """
        made = _MAKES.match(sql)
        if made is None:
            self._run(sql)
            return 0
        lead, name, query = made.group("lead", "name", "query")
        self._temporary.append(name)
        if query is None:
            self._run(sql)
            return 0
        found = self.table(f"DESCRIBE TABLE ({query})").select(["name", "type"]).to_pylist()
        columns = ", ".join(f"{quote(row['name'])} {row['type']}" for row in found)
        self._run(f"{lead}CREATE TEMPORARY TABLE {name} ({columns})")
        self._run(f"{lead}INSERT INTO {name} {query}")
        return 0

    def _run(self, sql: str) -> None:
        with self._asked(sql, {}) as reply:
            read_whole(self._place.source, reply)

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        return self._table(sql, {})

    def _table(self, sql: str, more: Mapping[str, str]) -> pa.Table:
        with self._result(sql, more) as (schema, batches):
            return pa.Table.from_batches(list(batches), schema=schema)

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. Nothing is kept: the server waits while nobody reads."""
        with self._result(sql, {}) as (_, batches):
            self._streaming = True
            try:
                for batch in batches:
                    for first in range(0, batch.num_rows, rows):
                        yield batch.slice(first, rows)
            finally:
                self._streaming = False

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: as the body of an INSERT, whose text names the table alone."""
        kinds = ", ".join(f"{quote(f.name)} {_TYPES[f.type]}" for f in rows.schema)
        self.execute(f"CREATE TEMPORARY TABLE {quote(name)} ({kinds})")
        columns = ", ".join(quote(f.name) for f in rows.schema)
        statement = f"INSERT INTO {quote(name)} ({columns}) FORMAT ArrowStream"
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        data = sink.getvalue().to_pybytes()
        with self._asked(statement, {"query": statement}, content=data) as reply:
            read_whole(self._place.source, reply)

    def begin(self) -> None:
        """There are no transactions, and nothing lasting is changed."""

    def commit(self) -> None:
        """See `begin`."""

    def rollback(self) -> None:
        """See `begin`."""

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query; no row of it is read.

        Raises:
            ConfigError: `row_security`, rows are hidden from the role.
        """
        self._require_query(query)
        found = self.table(f"DESCRIBE TABLE ({query})").select(["name", "type"]).to_pylist()
        # Moved to where a table is read, a policy would not be called one.
        unmoved = {"optimize_move_to_prewhere": "0"}
        plan = self._table(f"EXPLAIN PLAN actions = 1 {query}", unmoved).column("explain")
        # Constants of the query stand in it, whatever their bytes.
        if _FILTERED.search(b"\n".join(plan.cast(pa.binary()).to_pylist())):
            raise ConfigError(
                "row_security",
                "A row policy hides rows of a table from the role: one that it hides later would "
                "look as if it had left.",
                hint="Let the model read a view of the tables' owner (SQL SECURITY DEFINER) whose "
                "WHERE says which rows are meant, or except the role from the policy.",
            )
        return tuple(column(row["name"], row["type"]) for row in found)

    def close(self) -> None:
        """Drop what is temporary, and close. Never raises."""
        with suppress(EngineError):
            for name in dict.fromkeys(self._temporary):
                self.execute(f"DROP TEMPORARY TABLE IF EXISTS {name}")
        self._client.close()

    # -- requests -------------------------------------------------------------------------------

    def _require_query(self, sql: str) -> None:
        if not _READS.match(sql):
            raise ConfigError("query_syntax", "Not a query.")

    @contextmanager
    def _asked(
        self, sql: str, more: Mapping[str, str], *, content: bytes | None = None
    ) -> Iterator[httpx.Response]:
        """The answer to a statement; one that waits for an earlier statement is asked again."""
        if self._streaming:
            raise ContractError("session_busy", "A result of this session is still being read.")
        ends, pause = time.monotonic() + WAIT_SECONDS, 0.01
        while True:
            try:
                with self._once(more, sql.encode() if content is None else content) as reply:
                    yield reply
                    return
            except StillWorkingError:
                if time.monotonic() > ends:
                    raise
            time.sleep(pause)
            pause = min(1.0, pause * 2)

    @contextmanager
    def _once(self, more: Mapping[str, str], content: bytes) -> Iterator[httpx.Response]:
        given = {
            **PINNED,
            "output_format_arrow_compression_method": (
                "lz4_frame" if self._place.compressed else "none"
            ),
            "default_format": "ArrowStream",
            "database": self._place.database,
            "session_id": self._id,
            "session_timeout": str(SESSION_SECONDS),
            # Temporary tables that are gone are not missing ones.
            "session_check": "1" if self._begun else "0",
            **more,
        }
        place = self._place
        try:
            with answered(self._client, place.source, place.url, given, content) as reply:
                self._begun = True
                yield reply
        except ConfigError as error:
            raise self._with_grant(error) from None

    def _with_grant(self, error: ConfigError) -> ConfigError:
        """The same error with whom a right is given to."""
        if error.code != "missing_grant" or not error.hint or error.hint.endswith(";"):
            return error
        hint = f"{error.hint} TO {self._place.grantee};"
        return ConfigError(error.code, error.message, hint=hint)

    @contextmanager
    def _result(
        self, sql: str, more: Mapping[str, str]
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """A result as it comes: whole, or an error."""
        with self._asked(sql, more) as reply:
            body = Body(reply)
            with self._read(body):
                reader = pa.ipc.open_stream(body)
                schema = plain_schema(reader.schema)
            yield schema, self._batches(body, reader)

    def _batches(self, body: Body, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while True:
            with self._read(body):
                batch = next(reader, None)
                if batch is None:
                    rest = body.read()
                    if rest or not body.last.endswith(END):
                        raise self._broken(body)
                    return
                made = plain(batch)
            yield made

    @contextmanager
    def _read(self, body: Body) -> Iterator[None]:
        """What ends a result in its midst: the server's error, if it said one, or the way to it."""
        try:
            with translated(self._place.source):
                yield
        except TransientError:
            raise self._broken(body) from None
        except (pa.ArrowException, UnicodeDecodeError):
            with suppress(EngineError), translated(self._place.source):
                body.read()
            raise self._broken(body) from None

    def _broken(self, body: Body) -> EngineError:
        text = body.last.decode("utf-8", "replace")
        number = code_in(text)
        return lost() if number is None else from_code(number, text)
