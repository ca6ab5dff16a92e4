"""DuckDB database files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb

from mayfly.connectors.private_files import as_private_as
from mayfly.connectors.sources.duckdb_file import DuckdbFile
from mayfly.connectors.sources.duckdb_session import (
    DEFAULT_MEMORY,
    LOCKED_SETTINGS,
    DuckdbSession,
    readable,
    unfit,
)
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.planning.sql.dialect import literal, quote
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import GrantRequest, SourceRequest, SourceSpec, no_hosts

STATE_SCHEMA = "_mayfly"
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 1.0


class DuckdbSource:
    """A DuckDB file, opened for one group of statements and closed again.

    Args:
        name: of the source in the project.
        path: of the file; it must exist and not be a symbolic link.
        memory_limit: of one session, in DuckDB's spelling.
        threads: of one session.
        lock_wait_seconds: how long to wait while another program holds the file.
    """

    dialect: Dialect = "duckdb"

    def __init__(
        self,
        name: str,
        path: Path | str,
        *,
        memory_limit: str = DEFAULT_MEMORY,
        threads: int = 2,
        lock_wait_seconds: float = 30,
    ) -> None:
        self.name = name
        self._path = Path(path)
        settings = {**LOCKED_SETTINGS, "memory_limit": memory_limit, "threads": str(threads)}
        self._file = DuckdbFile(self._path, settings)
        self._lock_wait_seconds = lock_wait_seconds

    @contextmanager
    def session(self, *, write: bool) -> Iterator[DuckdbSession]:
        """See `Source.session`.

        Raises:
            TransientError: `database_locked`, another program holds the file.
            ConfigError: the file is missing, a symbolic link or not a DuckDB database.
        """
        with as_private_as(self._path) if write else nullcontext():
            connection = self._connect(read_only=not write)
            session = DuckdbSession(connection)
            try:
                yield session
            finally:
                session.close()
                self._file.release(connection)

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        return quote(table) if schema is None else f"{quote(schema)}.{quote(table)}"

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`."""
        with self.session(write=False) as session:
            return session.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`. Our own schema is left out; a broken view has no columns."""
        with self.session(write=False) as session:
            found = session.table(
                "SELECT table_schema AS s, table_name AS t FROM information_schema.tables "
                f"WHERE table_catalog = current_database() AND table_schema <> "
                f"{literal(STATE_SCHEMA)} ORDER BY 1, 2"
            ).to_pylist()
            return [self._table(session, str(r["s"]), str(r["t"])) for r in found]

    def _table(self, session: DuckdbSession, schema: str, table: str) -> TableInfo:
        columns: tuple[ColumnInfo, ...] = ()
        try:
            columns = session.describe(f"SELECT * FROM {self.relation(schema, table)}")
        except ConfigError:
            # A view over a table that is gone must not hide the others.
            columns = ()
        return TableInfo(schema=schema, name=table, columns=columns)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: DuckdbSession, schema: str | None, view: str) -> ViewText | None:
        where = "current_schema()" if schema is None else literal(schema)
        rows = session.table(
            "SELECT schema_name AS s, sql AS d FROM duckdb_views() "
            "WHERE database_name = current_database() AND NOT internal "
            f"AND lower(schema_name) = lower({where}) AND lower(view_name) = lower({literal(view)})"
        ).to_pylist()
        return ViewText(schema=rows[0]["s"], sql=rows[0]["d"]) if rows else None

    def check(self, *, write: bool) -> None:
        """See `Source.check`. What it creates to try is rolled back."""
        with self.session(write=write) as session:
            session.table("SELECT 1")
            if write:
                session.begin()
                session.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(STATE_SCHEMA)}")
                session.rollback()

    def facts(self) -> ServerFacts:
        """See `Source.facts`. The engine runs in this process."""
        return ServerFacts(engine=f"DuckDB {duckdb.__version__}")

    def computes_with(self) -> str | None:
        """See `EmbeddedSource`. A macro or type of the file may hide one of the engine's."""
        own = " + ".join(
            f"(SELECT count(*) FROM duckdb_{kind}() WHERE NOT internal)"
            for kind in ("functions", "types")
        )
        with self.session(write=False) as session:
            found = session.table(f"SELECT {own} AS n").column("n")[0].as_py()
        return None if found else self.facts().engine

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        self._refuse_path()
        give_up = time.monotonic() + self._lock_wait_seconds
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                left = max(0.0, give_up - time.monotonic())
                return self._open(read_only=read_only, wait_seconds=left)
            except TransientError:
                left = give_up - time.monotonic()
                if left <= 0:
                    raise
                time.sleep(min(wait, left))
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _open(self, *, read_only: bool, wait_seconds: float) -> duckdb.DuckDBPyConnection:
        try:
            return self._file.connect(read_only=read_only, wait_seconds=wait_seconds)
        except duckdb.Error as error:
            raise self.not_opened(error) from None

    def _refuse_path(self) -> None:
        if self._path.is_symlink():
            raise ConfigError(
                "symbolic_link",
                f"The path of source {self.name} is a symbolic link.",
                hint="Name the database file itself.",
            )
        if not self._path.is_file():
            raise ConfigError(
                "file_missing",
                f"Source {self.name} has no database file at its path.",
                hint=f"Check `path` of source {self.name}; Mayfly never creates a source.",
            )

    def not_opened(self, error: duckdb.Error) -> EngineError:
        """What is said of a file that does not open."""
        text = str(error)
        held = ("lock on file", "Unique file handle conflict")
        if isinstance(error, duckdb.ConnectionException) or any(h in text for h in held):
            return self._locked(text)
        if "Permission denied" in text or "Read-only file system" in text:
            return ConfigError(
                "file_not_accessible",
                f"The database file of source {self.name} may not be opened this way.",
                hint="Give this user read and write permission on the file and its folder, or "
                "set `state: local` on the source.",
            )
        if isinstance(error, duckdb.IOException | duckdb.SerializationException):
            return ConfigError(
                "database_unreadable",
                f"The file of source {self.name} is not a database this DuckDB "
                f"({duckdb.__version__}) reads.",
                hint="Check the path, and the DuckDB version that wrote the file.",
            )
        return ConfigError(
            "source_settings",
            f"DuckDB refuses the settings of source {self.name}.",
            hint="Check `memory_limit` (such as 2GB) and `threads`.",
        )

    def _locked(self, text: str) -> TransientError:
        found = re.search(r"\(PID (\d+)\)", text)
        who = f"process {found.group(1)}" if found else "another session or program"
        stop = f"Stop process {found.group(1)}" if found else "Close the other session"
        return TransientError(
            "database_locked",
            f"The database file of source {self.name} is held by {who}.",
            hint=f"{stop}, or copy the file and read the copy, or export the tables to Parquet "
            "and use a source of type files.",
        )


def _open_source(request: SourceRequest) -> DuckdbSource:
    settings = request.settings
    return DuckdbSource(
        settings.name, request.path(), memory_limit=settings.memory_limit or DEFAULT_MEMORY
    )


def _grants(request: GrantRequest) -> Sequence[str]:
    """A file has no grants: who may open it is the system's affair."""
    file = request.source.shown_path()
    if request.source.settings.state == "local":
        return [f"-- The user of Mayfly needs read permission on {file}."]
    return [f"-- The user of Mayfly needs read and write permission on {file} and its folder."]


SPEC = SourceSpec(
    type="duckdb", open=_open_source, dialect=DuckdbDialect, hosts=no_hosts, grants=_grants
)
