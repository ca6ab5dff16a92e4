"""One Snowflake connection as a `SqlSession`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.reading_guard import ReadingGuard, without_comment
from mayfly.connectors.sources.snowflake_connect import driver
from mayfly.connectors.sources.snowflake_errors import from_number, lost, unfit_value
from mayfly.connectors.sources.snowflake_types import columns_of, plain, schema_of
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.planning.sql.snowflake import KEEPS_NOTHING, literal, quote
from mayfly.ports.source import ColumnInfo

CELLS_MAX = 60_000
"""Values that go with one statement."""
_NAME = r'(?P<name>"(?:[^"]|"")+"|[A-Za-z_][\w$]*)(?![\w$".])'
_READS = r"(?:SELECT|WITH)\b|\("
_COUNTED = re.compile(r"(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_MAKES_SCHEMA = re.compile(r"CREATE\s+(?:TRANSIENT\s+)?SCHEMA\b", re.IGNORECASE)
_MAKES_OURS = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TRANSIENT\s+)?(?P<kind>SCHEMA|TABLE|VIEW)\b", re.IGNORECASE
)
_DROPS_SCHEMA = re.compile(r'DROP\s+SCHEMA\s+"(?P<name>(?:[^"]|"")+)"\s*$', re.IGNORECASE)
_IN_SCHEMA = {
    "tables": "table_schema",
    "functions": "function_schema",
    "procedures": "procedure_schema",
    "sequences": "sequence_schema",
    "stages": "stage_schema",
    "file_formats": "file_format_schema",
    "pipes": "pipe_schema",
}
_TYPES = {
    pa.int64(): "NUMBER(19, 0)",
    pa.binary(): "BINARY",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
}


class SnowflakeSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    Snowflake has no sessions that only read. Where `write` is not set, a statement passes by how
    it begins: it reads, makes a temporary table, or changes one that this session made. Behind
    that stand the rights of the role.

    Args:
        connection: of the driver, of this session alone.
        write: whether the source may be changed.
        schema: the quoted one that it begins in.
        grants: statement that gives the right to make a SCHEMA, TABLE or VIEW of ours.
    """

    def __init__(
        self,
        connection: Any,
        *,
        write: bool,
        schema: str,
        grants: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._connection = connection
        self._write = write
        self._schema = schema
        self._grants = grants
        self._guard = ReadingGuard(reads=_READS, name=_NAME, folded=_folded)
        self._open = False
        self._errors = driver().errors

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`.

        A schema that is made becomes the session's, and one that is dropped takes along whatever
        is in it: the first is undone, the second refused.
        """
        body = self._passed(sql)
        dropped = _DROPS_SCHEMA.match(body)
        if dropped is not None:
            self._require_empty(dropped.group("name").replace('""', '"'))
        try:
            with self._cursor() as cursor:
                cursor.execute(sql)
                count = int(cursor.rowcount or 0) if _COUNTED.match(body) else 0
        except ConfigError as error:
            raise self._with_grant(error, body) from None
        if _MAKES_SCHEMA.match(body):
            with self._cursor() as cursor:
                cursor.execute(f"USE SCHEMA {self._schema}")
        return max(count, 0)

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        self._passed(sql)
        with self._cursor() as cursor:
            cursor.execute(sql)
            schema = schema_of(columns_of(cursor.description))
            pieces = [plain(piece, schema) for piece in _pieces(cursor)]
            return pa.concat_tables([schema.empty_table(), *pieces])

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. Snowflake keeps the result and gives it piece by piece."""
        self._passed(sql)
        with self._cursor() as cursor:
            cursor.execute(sql)
            schema = schema_of(columns_of(cursor.description))
            for piece in _pieces(cursor):
                yield from plain(piece, schema).combine_chunks().to_batches(max_chunksize=rows)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: as arrays beside the statement, none in its text."""
        kinds = ", ".join(f"{quote(f.name)} {_TYPES[f.type]}" for f in rows.schema)
        self.execute(f"CREATE TEMPORARY TABLE {quote(name)} ({kinds}) {KEEPS_NOTHING}")
        places = ", ".join("?" * rows.num_columns)
        statement = f"INSERT INTO {quote(name)} VALUES ({places})"
        for first in range(0, rows.num_rows, step := CELLS_MAX // max(1, rows.num_columns)):
            piece = rows.slice(first, step)
            with self._cursor() as cursor:
                cursor.execute(statement, [column.to_pylist() for column in piece.columns])

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self._run("BEGIN")
        self._open = True

    def commit(self) -> None:
        """See `SqlSession.commit`. Where a table was made since, nothing is open any more."""
        self._open = False
        self._run("COMMIT")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        if self._open:
            self._open = False
            self._run("ROLLBACK")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query, of which the server only looks at the text."""
        self._passed(query)
        with self._cursor() as cursor:
            columns = columns_of(cursor.describe(query) or ())
        names = [c.name for c in columns]
        if len(set(names)) != len(names):
            raise ConfigError(
                "column_ambiguous",
                f"{len(names) - len(set(names))} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS.",
            )
        return columns

    def close(self) -> None:
        """Undo what is open, and close. Never raises."""
        try:
            self.rollback()
        except EngineError:
            pass
        finally:
            self._closed()

    def _closed(self) -> None:
        try:
            self._connection.close()
        except (self._errors.Error, OSError):
            return

    def _run(self, sql: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql)

    def _passed(self, sql: str) -> str:
        """The statement without its comment, if this session may run it."""
        if not self._write:
            self._guard.check(sql)
        return without_comment(sql)

    def _with_grant(self, error: ConfigError, body: str) -> ConfigError:
        """The same error with the statement that gives a right to make what is made."""
        made = _MAKES_OURS.match(body)
        grant = self._grants.get(made.group("kind").upper()) if made is not None else None
        if error.code != "missing_grant" or grant is None:
            return error
        return ConfigError(error.code, error.message, hint=grant)

    def _require_empty(self, schema: str) -> None:
        counts = " + ".join(
            f"(SELECT count(*) FROM information_schema.{view} WHERE {column} = {literal(schema)})"
            for view, column in _IN_SCHEMA.items()
        )
        if int(self.table(f"SELECT {counts} AS n").column("n")[0].as_py()):
            raise ContractError("schema_in_use", "The schema holds more than tables of ours.")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor whose errors are ours."""
        cursor = None
        try:
            cursor = self._connection.cursor()
            yield cursor
        except self._errors.OperationalError as error:
            # Of the way to the server: what the server itself refuses is another kind.
            raise (from_number(error.errno, None) if error.sqlstate else lost()) from None
        except self._errors.Error as error:
            raise from_number(error.errno, error.sqlstate) from None
        except pa.ArrowException:
            raise unfit_value() from None
        finally:
            if cursor is not None:
                cursor.close()


def _pieces(cursor: Any) -> Iterator[pa.Table]:
    return iter(cursor.fetch_arrow_batches(force_microsecond_precision=True))


def _folded(name: str) -> str:
    """One spelling of a name, quoted or not."""
    return name if name.startswith('"') else f'"{name.upper()}"'
