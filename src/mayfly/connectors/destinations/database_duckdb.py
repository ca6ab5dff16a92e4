"""Tables of a DuckDB file, opened for one batch and closed again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from mayfly.connectors.destinations.database_files import FileEngine
from mayfly.connectors.destinations.databases import (
    STAGE,
    Cursor,
    TableDestination,
    TableSession,
    refuse_fields,
    table_spec,
)
from mayfly.connectors.private_files import as_private_as
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.connector import FIRST_ADDRESS, Connector, DestinationRequest
from mayfly.ports.destination import DestinationContext

SPEC_DUCKDB = table_spec("duckdb")
LOCK_WAIT_SECONDS = 30.0
_SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}


class DuckdbEngine(FileEngine):
    """One DuckDB file and one table of it."""

    kind = "DuckDB"

    def __init__(
        self, path: Path, table: str, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS
    ) -> None:
        super().__init__(path, table)
        self._wait = lock_wait_seconds

    @contextmanager
    def session(self) -> Iterator[TableSession]:
        """See `Engine.session`."""
        with self._translated(), as_private_as(self._path):
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield DuckdbTableSession(connection, self)
            finally:
                connection.close()

    def sql_type(self, kind: pa.DataType) -> str:
        """DuckDB's own name of an Arrow type."""
        if pa.types.is_decimal(kind):
            return f"DECIMAL({kind.precision}, {kind.scale})"
        for check, name in _TYPES:
            if check(kind):
                return name
        if pa.types.is_timestamp(kind):
            return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
        return "VARCHAR"

    def _connect(self) -> duckdb.DuckDBPyConnection:
        self.require_folder()
        is_new = not self._path.exists()
        until = time.monotonic() + self._wait
        pause = 0.05
        while True:
            try:
                return duckdb.connect(str(self._path), config=dict(_SETTINGS))
            except (duckdb.IOException, duckdb.SerializationException) as error:
                text = str(error)
                if "not a valid DuckDB database" in text:
                    raise _no_database() from None
                if any(mark in text for mark in _UNWRITABLE):
                    raise self.unwritable() from None
                if _FULL in text:
                    if is_new:
                        # What the engine began is no database; it would refuse it the next time.
                        self._path.unlink(missing_ok=True)
                    raise self.disk_full() from None
                if time.monotonic() > until:
                    raise TransientError(
                        "database_locked",
                        "The destination's DuckDB file is open in another program.",
                        hint="Close that program, or write to another file.",
                    ) from None
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """DuckDB's texts carry values; none is passed on."""
        try:
            yield
        except duckdb.Error as error:
            text = str(error)
            if _FULL in text:
                raise self.disk_full() from None
            if any(mark in text for mark in _UNWRITABLE):
                # Of a commit, for which the engine makes a log beside the file.
                raise self.unwritable() from None
            raise _ours(error) from None


_FULL = "No space left"
_UNWRITABLE = ("Permission denied", "Read-only file system")
_TYPES = (
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_int8, "TINYINT"),
    (pa.types.is_int16, "SMALLINT"),
    (pa.types.is_int32, "INTEGER"),
    (pa.types.is_int64, "BIGINT"),
    (pa.types.is_uint8, "UTINYINT"),
    (pa.types.is_uint16, "USMALLINT"),
    (pa.types.is_uint32, "UINTEGER"),
    (pa.types.is_uint64, "UBIGINT"),
    (pa.types.is_float32, "FLOAT"),
    (pa.types.is_floating, "DOUBLE"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_binary, "BLOB"),
    (pa.types.is_large_binary, "BLOB"),
    (pa.types.is_nested, "JSON"),
)


class DuckdbTableSession(TableSession):
    """One transaction on one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, engine: DuckdbEngine) -> None:
        super().__init__(engine.table, engine.name)
        self._connection = connection

    def run(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """See `TableSession.run`."""
        return self._connection.execute(sql, list(values))

    def exists(self, table: str) -> bool:
        """See `TableSession.exists`."""
        sql = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = ?"
        return bool(self.run(sql, [table]).fetchall())

    def columns(self) -> Iterable[str]:
        """See `TableSession.columns`."""
        sql = (
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ?"
        )
        return [name for (name,) in self.run(sql, [self._table]).fetchall()]

    def unique(self) -> Iterable[Iterable[str]]:
        """See `TableSession.unique`."""
        sql = (
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE schema_name = 'main' "
            "AND table_name = ? AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
        )
        return [names for (names,) in self.run(sql, [self._table]).fetchall()]

    def stage(self, rows: pa.Table) -> None:
        """See `TableSession.stage`."""
        self._connection.register(STAGE, rows)

    def commit(self) -> None:
        """See `TableSession.commit`."""
        self._connection.execute("COMMIT")


def _ours(error: duckdb.Error) -> EngineError:
    match error:
        case (
            duckdb.ConversionException()
            | duckdb.ConstraintException()
            | duckdb.OutOfRangeException()
            | duckdb.InvalidInputException()
            | duckdb.BinderException()
        ):
            return _refused()
        case duckdb.IOException():
            return TransientError(
                "database_unavailable",
                "The destination's DuckDB file cannot be read or written.",
                hint="Check its disk, and that the file is whole.",
            )
        case _:
            return ContractError(
                "database_error", f"DuckDB refused a statement ({type(error).__name__})."
            )


def _refused() -> ContractError:
    return ContractError(
        "batch_refused",
        "The destination's table refused a value of a batch.",
        hint="Compare the types of its columns with the model's.",
    )


def _no_database() -> ConfigError:
    return ConfigError(
        "database_unreadable",
        f"The destination's file is no database that this DuckDB ({duckdb.__version__}) reads.",
        hint="Check its path, and the DuckDB version that wrote it; it was not changed.",
    )


def make(*, path: Path, context: DestinationContext) -> TableDestination:
    """The connector for one table of a DuckDB file."""
    refuse_fields(context, DuckdbEngine.kind)
    return TableDestination(DuckdbEngine(path, context.object_name), context)


def _open(request: DestinationRequest) -> TableDestination:
    return make(path=request.path(), context=request.context)


CONNECTOR = Connector(spec=SPEC_DUCKDB, open=_open, address=FIRST_ADDRESS)
