"""One connection to Redshift as a `SqlSession`, through psycopg. Compiled, not run.

Of what is here a PostgreSQL was asked what the protocol shows: connecting, describing, reading in
pieces, ending early, losing the connection.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, cast

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from mayfly.connectors.sources.reading_guard import ReadingGuard
from mayfly.connectors.sources.redshift_errors import from_state, unfit_value
from mayfly.connectors.sources.redshift_types import column_array, column_of
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.planning.sql.dialect import quote
from mayfly.planning.sql.redshift import TEXT
from mayfly.ports.source import ColumnInfo

VALUES_MAX = 30_000
"""Values that go with one statement; the protocol counts them in 15 bits."""
_CHUNK_ROWS = 1_000
# The first whose results come in chunks, not row by row.
_CHUNKS_SINCE = 170_000
_READS = r"SELECT\b|\("
_NAME = r'(?P<name>"(?:[^"]|"")+"|[A-Za-z_]\w*)(?![\w".])'
_FROM_TEXT = {
    pa.int64(): "CAST({} AS BIGINT)",
    pa.binary(): "FROM_HEX({})",
    pa.string(): "{}",
    pa.bool_(): "({} = 't')",
}


def settings(schema: str) -> Sequence[str]:
    """Statements that pin what the session's results depend on."""
    return (
        "SET datestyle TO 'ISO, YMD'",
        "SET timezone TO 'UTC'",
        "SET extra_float_digits TO 2",
        f"SET search_path TO {quote(schema)}",
    )


def as_texts(connection: psycopg.Connection[Any]) -> None:
    """Let each value of a connection stay its text, those of types nobody knows, too."""
    connection.adapters.register_loader(0, TextLoader)
    for info in psycopg.adapters.types:
        for oid in filter(None, (info.oid, info.array_oid)):
            connection.adapters.register_loader(oid, TextLoader)


class RedshiftSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    A statement passes by how it begins: it reads, makes a temporary table, or changes one that this
    session made. Behind that stand the rights of the user.

    Args:
        connection: of this session alone, in autocommit.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._guard = ReadingGuard(reads=_READS, name=_NAME, folded=_folded)
        self._open = self._streaming = False

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        self._guard.check(sql)
        with self._cursor() as cursor:
            cursor.execute(sql.encode())
            return max(int(cursor.rowcount), 0) if cursor.description is None else 0

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        self._guard.check(sql)
        with self._cursor() as cursor:
            cursor.execute(sql.encode())
            columns = _columns(cursor.pgresult)
            return pa.Table.from_batches([_batch(columns, cursor.fetchall())])

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. What is left unread is cancelled at the server."""
        self._guard.check(sql)
        size = _CHUNK_ROWS if psycopg.pq.version() >= _CHUNKS_SINCE else 1
        with self._cursor() as cursor:
            self._streaming = True
            found = cast("Generator[Any, None, None]", cursor.stream(sql.encode(), size=size))
            try:
                while piece := list(islice(found, rows)):
                    yield _batch(_columns(cursor.pgresult), piece)
            finally:
                self._streaming = False
                found.close()

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: values go beside the statement, none in its text. There is no bulk
        load from a client; see docs/decisions/0022-compiled-not-run.md.
        """
        given, columns = quote(f"{name}_in"), [f"c{i}" for i in range(rows.num_columns)]
        defined = ", ".join(f"{column} {TEXT}" for column in columns)
        self.execute(f"CREATE TEMPORARY TABLE {given} ({defined})")
        step = max(1, VALUES_MAX // max(1, rows.num_columns))
        for first in range(0, rows.num_rows, step):
            self._insert(given, rows.slice(first, step))
        made = ", ".join(
            f"{_FROM_TEXT[field.type].format(column)} AS {quote(field.name)}"
            for column, field in zip(columns, rows.schema, strict=True)
        )
        self.execute(f"CREATE TEMPORARY TABLE {quote(name)} AS SELECT {made} FROM {given}")
        self.execute(f"DROP TABLE {given}")

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self._run("BEGIN")
        self._open = True

    def commit(self) -> None:
        """See `SqlSession.commit`."""
        self._open = False
        self._run("COMMIT")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        if self._open:
            self._open = False
            self._run("ROLLBACK")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query from preparing it; nothing is run."""
        asked = f"SELECT * FROM ({query}) AS mf_q".encode()
        with self._cursor():
            protocol = self._connection.pgconn
            for found in (protocol.prepare(b"", asked), protocol.describe_prepared(b"")):
                if found.status != psycopg.pq.ExecStatus.COMMAND_OK:
                    raise from_state(_state(found))
            columns = _columns(found)
        names = [c.name for c in columns]
        if len(set(names)) != len(names):
            raise ConfigError(
                "column_ambiguous",
                f"{len(names) - len(set(names))} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS.",
            )
        return columns

    def close(self) -> None:
        """Close; the server undoes what is open. Never raises."""
        try:
            self._connection.close()
        except psycopg.Error:
            return

    def pin(self, schema: str) -> None:
        """Make results depend on no setting but ours."""
        for statement in settings(schema):
            self._run(statement)

    def _insert(self, table: str, piece: pa.Table) -> None:
        places = f"({', '.join(['%s'] * piece.num_columns)})"
        statement = f"INSERT INTO {table} VALUES {', '.join([places] * piece.num_rows)}"
        columns = [[_as_text(v) for v in column.to_pylist()] for column in piece.columns]
        values = [value for row in zip(*columns, strict=True) for value in row]
        self._guard.check(statement)
        with self._cursor() as cursor:
            cursor.execute(statement.encode(), values)

    def _run(self, sql: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql.encode())

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor whose errors are ours. The driver's texts carry values and statements."""
        if self._streaming:
            raise ContractError("session_busy", "A result of this session is still being read.")
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            raise from_state(error.sqlstate) from None
        except (pa.ArrowException, ValueError):
            raise unfit_value() from None


def _state(result: Any) -> str | None:
    found = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    return None if found is None else str(found.decode())


def _columns(result: Any) -> tuple[ColumnInfo, ...]:
    """What the protocol says of a result."""
    return tuple(
        column_of((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i))
        for i in range(result.nfields)
    )


def _batch(columns: Sequence[ColumnInfo], rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    schema = pa.schema([pa.field(c.name, c.arrow_type) for c in columns])
    texts = zip(*rows, strict=True) if rows else ((),) * len(columns)
    arrays = [column_array(t, c.arrow_type) for t, c in zip(texts, columns, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    return value.hex() if isinstance(value, bytes) else str(value)


def _folded(name: str) -> str:
    """One spelling of a name, quoted or not."""
    bare = re.fullmatch(r'"([a-z_]\w*)"', name)
    return bare.group(1) if bare else (name if name.startswith('"') else name.lower())
