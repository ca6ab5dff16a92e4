"""One DuckDB connection as a `SqlSession`: shared by DuckDB files and folders of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    FUNCTION_MISSING,
    NO_FIT,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.dialect import quote
from mayfly.ports.source import ColumnInfo

LOCKED_SETTINGS: Mapping[str, str] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "preserve_insertion_order": "false",
    "temp_directory": "",
}
"""What every connection is opened with: no file but its own, no download, no spill to disk, no
look at variables of the calling program."""
DEFAULT_MEMORY = "2GB"
"""Of a session, where the project says nothing."""

_ON_TABLES = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.CREATE,
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
    duckdb.StatementType.DROP,
    duckdb.StatementType.TRANSACTION,
}
_FULL = "No space left"
_UNWRITABLE = ("Permission denied", "Read-only file system")
_LOCK_SESSION = (
    "SET GLOBAL TimeZone = 'UTC'",
    # Digests cannot be made smaller, and trying takes half of the time of writing them.
    "SET GLOBAL disabled_compression_methods = 'dictionary,fsst,dict_fsst,zstd'",
    "SET GLOBAL lock_configuration = true",
)


def pin(connection: duckdb.DuckDBPyConnection) -> None:
    """Pin the time zone and lock the configuration; repeated on a shared instance it does
    nothing.
    """
    locked = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
    if not locked[0][0]:
        for statement in _LOCK_SESSION:
            connection.execute(statement)


class DuckdbSession:
    """See `SqlSession`. Closing belongs to the source that made it.

    Args:
        connection: this session's own.
        files: name and reader of each file of a folder. The engine would also write those files:
            only statements on tables pass.
        meant: what is executed in place of a reader.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        files: Mapping[str, str] | None = None,
        meant: Callable[[duckdb.DuckDBPyConnection, str], str] | None = None,
    ) -> None:
        self._connection = connection
        self._files = None if files is None else dict(files)
        self._readers = () if files is None else tuple(files.values())
        self._meant = meant
        self._open = False

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        sql = self._prepared(sql)
        with translated():
            rows = self._connection.execute(sql).fetchall()
        first = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else 0
        return first if isinstance(first, int) else 0

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        sql = self._prepared(sql)
        with translated():
            return self._connection.sql(sql).to_arrow_table()

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. The engine's own errors come while reading, too."""
        sql = self._prepared(sql)
        with translated():
            relation = self._connection.sql(sql)
            reader = relation.to_arrow_reader(rows)
            try:
                while True:
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                    if batch.num_rows:
                        yield batch
            finally:
                reader.close()

    def _prepared(self, sql: str) -> str:
        """For folders: refuse what is not on tables, and make the views a statement may name.

        Not all of them at once: a CSV file is read whole to find its types.

        Returns:
            What is to be executed.
        """
        if self._files is None:
            return sql
        with translated():
            kinds = {s.type for s in self._connection.extract_statements(sql)}
        if not kinds <= _ON_TABLES:
            raise ConfigError("read_only_session", "The session may not change the source.")
        rest = sql
        for reader in self._files.values():
            rest = rest.replace(reader, "")
        for name in [n for n in self._files if quote(n)[1:-1].casefold() in rest.casefold()]:
            reader = self._files.pop(name)
            with translated():
                self._connection.execute(
                    f"CREATE TEMP VIEW {quote(name)} AS SELECT * FROM {self._read_by(reader)}"
                ).fetchall()
        for reader in self._readers:
            if reader in sql:
                sql = sql.replace(reader, self._read_by(reader))
        return sql

    def _read_by(self, reader: str) -> str:
        return reader if self._meant is None else self._meant(self._connection, reader)

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`."""
        view = f"__arrow_{name}"
        with translated():
            self._connection.register(view, rows)
            try:
                self._connection.execute(
                    f"CREATE TEMP TABLE {quote(name)} AS SELECT * FROM {quote(view)}"
                ).fetchall()
            finally:
                self._connection.unregister(view)

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self.execute("BEGIN TRANSACTION")
        self._open = True

    def commit(self) -> None:
        """See `SqlSession.commit`."""
        self._open = False
        self.execute("COMMIT")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        if self._open:
            self._open = False
            self.execute("ROLLBACK")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query as `readable` streams them; reads no row."""
        query = self._prepared(query)
        with translated():
            # Of the query itself: inside another SELECT twins would be renamed silently.
            relation = self._connection.sql(query)
            names, types = list(relation.columns), [str(t) for t in relation.types]
            del relation
        _refuse_same_names(names)
        found = [
            ColumnInfo(name=n, sql_type=t, arrow_type=pa.null())
            for n, t in zip(names, types, strict=True)
        ]
        shown = ", ".join(f"{readable(c)} AS {quote(c.name)}" for c in found)
        schema = self.table(f"SELECT {shown} FROM ({query}) AS q LIMIT 0").schema
        return tuple(
            ColumnInfo(name=c.name, sql_type=c.sql_type, arrow_type=field.type)
            for c, field in zip(found, schema, strict=True)
        )

    def close(self) -> None:
        """Undo what is open and close. Never raises."""
        try:
            self.rollback()
        except EngineError:
            pass
        finally:
            self._connection.close()


_AS_TEXT = (
    "ENUM",
    "BIT",
    "BIGNUM",
    "GEOMETRY",
    "UHUGEINT",
    "INTERVAL",
    "TIME WITH TIME ZONE",
    '"NULL"',
    "TIMESTAMPTZ_NS",
    "UUID",
)
_AS_JSON = ("MAP(", "UNION(", "VARIANT")
_IN_NESTED = re.compile(
    r"\b(ENUM|BIT|BIGNUM|GEOMETRY|U?HUGEINT|INTERVAL|TIME WITH TIME ZONE|TIME_NS|TIMESTAMP_NS"
    r"|TIMESTAMPTZ_NS|MAP|UNION|VARIANT)\b"
)
"""Types without a plain Arrow form: a list or struct that holds one streams as JSON text."""


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column whose Arrow form is plain and exact.

    What has no such form streams as null, and `unfit` tells it: infinite dates and times, times
    finer than a microsecond. Maps and unions stream as JSON text. A HUGEINT of more than 38
    digits fails instead of arriving changed.
    """
    name, kind = quote(column.name), column.sql_type
    nested = kind.endswith("]") or kind.startswith("STRUCT(")
    if kind.startswith(_AS_JSON) or (nested and _IN_NESTED.search(kind)):
        return f"to_json({name})::VARCHAR"
    if nested:
        return name
    if kind in _TO_MICROSECONDS:
        return f"CASE WHEN NOT ({unfit(column)}) THEN {name}::{_TO_MICROSECONDS[kind]} END"
    if kind == "HUGEINT":
        return f"CAST({name} AS DECIMAL(38, 0))"
    if kind.startswith(_AS_TEXT):
        return f"CAST({name} AS VARCHAR)"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"CASE WHEN isfinite({name}) THEN {name} END"
    return name


_TO_MICROSECONDS = {
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIME_NS": "TIME",
}


def unfit(column: ColumnInfo) -> str | None:
    """Condition for the values that `readable` does not stream exactly."""
    name, kind = quote(column.name), column.sql_type
    if kind.endswith("]") or kind.startswith(("STRUCT(", *_AS_JSON, "TIMESTAMPTZ_NS")):
        return None
    match kind:
        case "TIME_NS":
            return f"{name}::TIME::TIME_NS <> {name}"
        case "TIMESTAMP_NS":
            return f"NOT isfinite({name}) OR {name}::TIMESTAMP::TIMESTAMP_NS <> {name}"
        case "TIMESTAMP_S" | "TIMESTAMP_MS":
            return f"NOT isfinite({name}::TIMESTAMP)"
        case "HUGEINT":
            return f"{name} IS NOT NULL AND TRY_CAST({name} AS DECIMAL(38, 0)) IS NULL"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"NOT isfinite({name})"
    return None


def _refuse_same_names(names: list[str]) -> None:
    folded = [n.casefold() for n in names]
    twice = sorted({n for n in names if folded.count(n.casefold()) > 1})
    if twice:
        raise ConfigError(
            "column_ambiguous",
            f"{len(twice)} columns differ from another one only in case, or not at all; this "
            "engine does not tell them apart.",
            hint="Give each column of the query its own name with AS.",
        )


@contextmanager
def translated() -> Iterator[None]:
    """Turn DuckDB's errors into ours. Its texts carry values, so that none is passed on."""
    try:
        yield
    except duckdb.Error as error:
        raise _ours(error) from None
    except pa.ArrowException as error:
        raise _from_arrow(str(error)) from None


def _from_arrow(text: str) -> EngineError:
    """Errors inside a running Arrow reader keep only the engine's text."""
    for mark, code in (
        ("Out of Memory", duckdb.OutOfMemoryException),
        ("Conversion Error", duckdb.ConversionException),
        ("Out of Range", duckdb.OutOfRangeException),
        (_FULL, duckdb.IOException),
        ("IO Error", duckdb.IOException),
    ):
        if mark in text:
            return _ours(code(text))
    return ContractError("query_failed", "The source stopped in the middle of a result.")


def _ours(error: duckdb.Error) -> EngineError:
    text = str(error)
    if _FULL in text:
        return _disk_full()
    if any(mark in text for mark in _UNWRITABLE):
        # Of a commit, for which the engine makes a log beside the file.
        return ConfigError(
            "file_not_accessible",
            "The database file of the source may not be written, or its folder may not.",
            hint="Give this user the right to write both.",
        )
    if "read-only" in text:
        return ConfigError("read_only_session", "The session may not change the source.")
    for kind, translate in _TRANSLATIONS:
        if isinstance(error, kind):
            return translate(text)
    return ContractError(
        "query_failed", f"The source refused a statement ({type(error).__name__})."
    )


def _disk_full() -> ConfigError:
    return ConfigError(
        "disk_full",
        "The disk of the source is full; nothing was changed.",
        hint="Make room there and run again: what was delivered by then is remembered.",
    )


def _catalog(text: str) -> EngineError:
    if "already exists" in text:
        return refusal(TABLE_EXISTS)
    if "Function" in text:
        return refusal(FUNCTION_MISSING)
    return refusal(TABLE_MISSING)


def _binder(text: str) -> EngineError:
    if "not found in FROM" in text or "does not have a column" in text or "Referenced" in text:
        return refusal(COLUMN_MISSING)
    return refusal(COLUMN_TWICE if "mbiguous" in text else NO_FIT)


def _io(text: str) -> EngineError:
    del text
    return TransientError("source_io", "Reading or writing the file of the source failed.")


def _memory(_: str) -> EngineError:
    return ConfigError(
        "memory_limit",
        "The query needs more memory than this source may use.",
        hint="Raise memory_limit of the source, or let the model read fewer columns.",
    )


def _conversion(_: str) -> EngineError:
    return value_conversion("Use try_cast, or filter such rows in the model.")


_TRANSLATIONS: tuple[tuple[type[duckdb.Error], Callable[[str], EngineError]], ...] = (
    (duckdb.OutOfMemoryException, _memory),
    (
        duckdb.PermissionException,
        lambda _: ConfigError(
            "access_refused", "The query reaches files or settings, which is switched off."
        ),
    ),
    (duckdb.CatalogException, _catalog),
    (duckdb.BinderException, _binder),
    (duckdb.ParserException, lambda _: refusal(SYNTAX)),
    (
        duckdb.TransactionException,
        lambda _: TransientError(
            "transaction_conflict", "Another session changed the same rows at the same time."
        ),
    ),
    (
        duckdb.ConstraintException,
        lambda _: ContractError("constraint", "A constraint of a table refused the change."),
    ),
    (duckdb.IOException, _io),
    (
        duckdb.InterruptException,
        lambda _: TransientError("interrupted", "The query was interrupted."),
    ),
    (duckdb.DataError, _conversion),
)
