"""One PostgreSQL connection as a `SqlSession`, through ADBC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adbc_driver_manager
import pyarrow as pa

from mayfly.connectors.sources.postgres_rights import OPENS, QueryFacts, facts_of, private
from mayfly.connectors.sources.postgres_types import column_of, plain
from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    DISK_FULL,
    READ_ONLY,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.dialect import literal
from mayfly.ports.source import ColumnInfo

_OF_SERVER, _CANCELLED = "[libpq]", "canceling statement"
BATCH_BYTES = 4_000_000
CLIENT_CHECK = "5s"
"""How often the server looks whether the client of a running statement is still there."""
_BATCH_OPTION = "adbc.postgresql.batch_size_hint_bytes"

_LEAD = r"\s*(?:/\*.*?\*/\s*)*"
_NAME = r'(?P<name>"(?:[^"]|"")+"|\w+)'
_LASTING = re.compile(
    _LEAD + r"CREATE\s+(?:UNLOGGED\s+TABLE|TABLE|OR\s+REPLACE\s+VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r'(?P<name>"(?:[^"]|"")+"\."(?:[^"]|"")+")',
    re.IGNORECASE | re.DOTALL,
)
_TEMPORARY = re.compile(_LEAD + r"CREATE\s+TEMP(?:ORARY)?\s+TABLE\b", re.IGNORECASE | re.DOTALL)
_TEMPORARY_AS = re.compile(
    _LEAD + r"CREATE\s+TEMP(?:ORARY)?\s+TABLE\s+" + _NAME + r"\s+AS\s+(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)


class PostgresSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    A stream that is left before its end is cancelled on the server; inside a transaction that
    ends the transaction, too.
    """

    def __init__(self, connection: Any, *, write: bool) -> None:
        self._connection = connection
        self._write = write
        self._open = False
        self._streaming = False
        self._opens: bool | None = None

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`.

        PostgreSQL refuses CREATE of any kind in a read-only session. There a temporary table is
        made empty in a transaction that may write, and filled in one that may not, so that no
        function in its query can write either. A table or view it makes in a schema is its owner's
        alone, whatever the role's default privileges would give to others.
        """
        made = _LASTING.match(sql) if self._write else None
        if made is not None and self._opens_tables():
            return self._kept_private(made.group("name"), sql)
        if self._write or self._open or not _TEMPORARY.match(sql):
            return self._run(sql)
        copy = _TEMPORARY_AS.match(sql)
        if copy is None:
            return self._in_writing(sql)
        name, query = copy.group("name"), copy.group("query")
        self._in_writing(f"CREATE TEMPORARY TABLE {name} AS {query} WITH NO DATA")
        return self._run(f"INSERT INTO pg_temp.{name} {query}")

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            batches = [plain(b) for b in reader]
            empty = plain(pa.RecordBatch.from_pylist([], schema=reader.schema))
            return pa.Table.from_batches(batches, schema=empty.schema)

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`: pieces of at most `rows` rows and about 4 MB."""
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(**{_BATCH_OPTION: str(BATCH_BYTES)})
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            self._streaming = True
            done = False
            try:
                for batch in reader:
                    ready = plain(batch)
                    for first in range(0, ready.num_rows, rows):
                        yield ready.slice(first, rows)
                done = True
            finally:
                self._streaming = False
                if not done:
                    cursor.adbc_cancel()
                reader.close()

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`."""
        if self._write or self._open:
            self._ingest(name, rows)
            return
        self._run("BEGIN READ WRITE")
        try:
            self._ingest(name, rows)
        except EngineError:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

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
        with self._cursor() as cursor:
            schema = cursor.adbc_execute_schema(query)
        columns = [self._named(column_of(field)) for field in schema]
        names = [c.name for c in columns]
        if len(set(names)) != len(names):
            raise ConfigError(
                "column_ambiguous",
                f"{len(names) - len(set(names))} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS.",
            )
        return tuple(columns)

    def facts(self, query: str) -> QueryFacts:
        """What the query depends on: the server names it for a view, which is undone."""
        self._run("BEGIN READ WRITE")
        try:
            # Inside, its columns may be of types that no view can have.
            self._run(f"CREATE TEMPORARY VIEW mf_query AS SELECT 1 AS n FROM ({query}) AS q")
            return facts_of(self)
        finally:
            self._run("ROLLBACK")

    def close(self) -> None:
        """Close; the server undoes what is open. Never raises."""
        try:
            self._connection.close()
        except (adbc_driver_manager.Error, RuntimeError):
            return

    def _named(self, column: ColumnInfo) -> ColumnInfo:
        """The driver knows few types by name; the server knows the others."""
        found = re.fullmatch(r"unnamed<oid:(\d+)>", column.sql_type)
        if found is None:
            return column
        name = self.table(f"SELECT format_type({int(found.group(1))}, -1) AS t")
        return ColumnInfo(
            name=column.name,
            sql_type=str(name.column("t")[0].as_py()),
            arrow_type=column.arrow_type,
        )

    def _opens_tables(self) -> bool:
        """Whether tables of this role are given to others when they are made."""
        if self._opens is None:
            self._opens = bool(self.table(OPENS).column("opens")[0].as_py())
        return self._opens

    def _kept_private(self, name: str, sql: str) -> int:
        """Make a table and take it from others before anybody else sees it. What was granted on one
        that is there already stays.
        """
        there = self.table(f"SELECT to_regclass({literal(name)}) IS NOT NULL AS there")
        if there.column("there")[0].as_py():
            return self._run(sql)
        if not self._open:
            self._run("BEGIN")
        try:
            count = self._run(sql)
            for statement in private(self, name):
                self._run(statement)
        except EngineError:
            if not self._open:
                self._run("ROLLBACK")
            raise
        if not self._open:
            self._run("COMMIT")
        return count

    def _ingest(self, name: str, rows: pa.Table) -> None:
        with self._cursor() as cursor:
            cursor.adbc_ingest(name, rows, mode="create", temporary=True)

    def _in_writing(self, sql: str) -> int:
        self._run("BEGIN READ WRITE")
        try:
            count = self._run(sql)
        except EngineError:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")
        return count

    def _run(self, sql: str) -> int:
        with self._cursor() as cursor:
            cursor.execute(sql)
            if cursor.description:
                cursor.fetch_arrow_table()
                return 0
            return max(int(cursor.rowcount), 0)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor whose errors are ours. The driver's texts carry values and statements."""
        if self._streaming:
            # The driver would silently end the stream.
            raise ContractError("session_busy", "A result of this session is still being read.")
        cursor = None
        try:
            cursor = self._connection.cursor()
            yield cursor
        except adbc_driver_manager.Error as error:
            raise from_state(error.sqlstate) from None
        except (OSError, pa.ArrowException) as error:
            raise self._broken_stream(error) from None
        finally:
            if cursor is not None:
                cursor.close()

    def _broken_stream(self, broken: Exception) -> EngineError:
        """A failure while reading has no code; the connection tells whether it lives."""
        text = str(broken)
        if isinstance(broken, pa.ArrowInvalid) and _OF_SERVER not in text:
            return _unfit()
        try:
            with self._connection.cursor() as probe:
                probe.execute("SELECT 1")
                probe.fetch_arrow_table()
        except adbc_driver_manager.Error as error:
            if not error.sqlstate:
                return from_state(None)
        if _CANCELLED in text:
            return from_state("57014")
        return ConfigError(
            "query_failed",
            "The server stopped the query in the middle of its result.",
            hint="Run the model's query in psql: it fails on one of its rows.",
        )


def _unfit() -> ConfigError:
    return value_conversion("Filter such rows in the model, or cast the column to text.")


def from_state(state: str | None) -> EngineError:
    """Our error for a SQLSTATE; none at all means that the connection is gone."""
    if not state:
        return TransientError(
            "connection_lost",
            "The connection to the source was lost.",
            hint="Run again when the server answers; nothing is left half done. Where it comes "
            "again, a time limit of the role may end the session (transaction_timeout, "
            "idle_session_timeout).",
        )
    config = _CONFIG.get(state)
    if config is not None:
        return refusal(config)
    busy = _BUSY.get(state)
    if busy is not None:
        code, message, hint = busy
        return TransientError(code, message, hint=hint)
    group = state[:2]
    if group in {"08", "57", "53", "40", "55"} and state not in {"53100", "53200"}:
        return TransientError(
            "source_busy", f"The source could not serve the statement now (SQLSTATE {state})."
        )
    if group == "22":
        return _unfit()
    if group == "42":
        return ConfigError("query_invalid", f"The source refuses the query (SQLSTATE {state}).")
    return ContractError("query_failed", f"The source refused a statement (SQLSTATE {state}).")


_TIMEOUTS = "ALTER ROLE … SET gives the role of the source a longer one."
_ENDED = (
    "connection_lost",
    "The server ended the session of the source for a time limit.",
    "See transaction_timeout, idle_session_timeout and idle_in_transaction_session_timeout. "
    + _TIMEOUTS,
)
_BUSY: dict[str, tuple[str, str, str]] = {
    "57014": (
        "source_busy",
        "The source cancelled a statement: its statement_timeout ran out, or somebody did it.",
        "A plan reads the whole model in one statement. " + _TIMEOUTS,
    ),
    "55P03": (
        "source_busy",
        "Another session holds a table of the source locked.",
        "See pg_locks for who does.",
    ),
    "25P03": _ENDED,
    "25P04": _ENDED,
    "57P05": _ENDED,
}
_CONFIG: dict[str, Refused] = {
    "42P01": TABLE_MISSING,
    "3F000": ("schema_missing", "A schema the query names does not exist.", SEE),
    "42703": COLUMN_MISSING,
    "42702": COLUMN_TWICE,
    "42701": ("column_ambiguous", "A column is named twice.", ""),
    "42883": ("function_missing", "The query uses a function or operator that is missing.", ""),
    "42P07": TABLE_EXISTS,
    "42601": SYNTAX,
    "42501": (
        "missing_grant",
        "The role may not read or write a table the statement names.",
        "See the rights of the role on it. A table with row-level security needs BYPASSRLS, or a "
        "view of the table's owner.",
    ),
    "25006": READ_ONLY,
    "53100": DISK_FULL,
    "53200": ("memory_limit", "The source is out of memory.", ""),
}


def settings(*, schema: str, write: bool) -> str:
    """One query that pins what the session's results depend on."""
    pinned = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        # pg_catalog is searched first without being named; named, it would receive new tables.
        "search_path": schema,
        "default_transaction_read_only": "off" if write else "on",
        "lock_timeout": "60s",
        "idle_in_transaction_session_timeout": "15min",
        "default_transaction_isolation": "read committed",
        # A policy that hides a row is an error, not a row that left.
        "row_security": "off",
    }
    calls = [f"set_config({literal(k)}, {literal(v)}, false)" for k, v in pinned.items()]
    # Whoever is killed in the midst of a statement leaves none behind. Only Linux can tell.
    # Older servers, which know neither of the two, are refused by name later.
    for asked, name, value in (
        ("current_setting('server_version_num')::int >= 140000", "idle_session_timeout", "15min"),
        (
            "current_setting('server_version_num')::int >= 140000 AND version() LIKE '%linux%'",
            "client_connection_check_interval",
            CLIENT_CHECK,
        ),
    ):
        calls.append(
            f"CASE WHEN {asked} THEN set_config({literal(name)}, {literal(value)}, false) END"
        )
    return "SELECT " + ", ".join(calls)
