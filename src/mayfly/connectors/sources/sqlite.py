"""SQLite database files."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote as url_quote

from mayfly.connectors.sources.sqlite_errors import code_of, not_accessible, translated
from mayfly.connectors.sources.sqlite_session import SqliteSession
from mayfly.connectors.sources.sqlite_types import readable, unfit
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.dialect import literal
from mayfly.planning.sql.sqlite import SqliteDialect, backtick
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import GrantRequest, SourceRequest, SourceSpec, no_hosts

OLDEST = (3, 40)
_STATE_SCHEMA = "_mayfly"
_LEFT_OPEN = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY)


class SqliteSource:
    """An SQLite file, opened for one group of statements and closed again.

    Args:
        name: of the source in the project.
        path: of the file; it must exist and not be a symbolic link.
        state_schema: what names of our tables begin with.
        lock_wait_seconds: how long to wait while another program writes the file.
    """

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        name: str,
        path: Path | str,
        *,
        state_schema: str = _STATE_SCHEMA,
        lock_wait_seconds: float = 30,
    ) -> None:
        self.name = name
        self._path = Path(path)
        self._state_schema = state_schema
        self._lock_wait_seconds = lock_wait_seconds

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SqliteSession]:
        """See `Source.session`.

        Raises:
            TransientError: `database_locked`, another program writes the file.
            ConfigError: the file is missing, a symbolic link or not an SQLite database.
        """
        self._refuse_path()
        connection = self._connect(write=write)
        try:
            session = SqliteSession(connection, self.name, write=write)
        except BaseException:
            connection.close()
            raise
        try:
            yield session
        finally:
            session.close()

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`. Named with its database, so that no temporary table hides it."""
        return f"{backtick(schema or 'main')}.{backtick(table)}"

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
        """See `Source.tables`. Our own are left out; a broken view has no columns."""
        ours = self._state_schema + "."
        with self.session(write=False) as session:
            found = session.table(
                "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view') "
                "AND substr(name, 1, 7) <> 'sqlite_' "
                f"AND substr(name, 1, {len(ours)}) <> {literal(ours)} ORDER BY name"
            )
            return [self._table(session, str(name)) for name in found.column("name").to_pylist()]

    def _table(self, session: SqliteSession, table: str) -> TableInfo:
        columns: tuple[ColumnInfo, ...] = ()
        try:
            columns = session.describe(f"SELECT * FROM {self.relation(None, table)}")
        except ConfigError:
            # A view over a table that is gone must not hide the others.
            columns = ()
        return TableInfo(schema=None, name=table, columns=columns)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`."""
        with self.session(write=False) as session:
            kept = session.table(
                "SELECT name, sql FROM main.sqlite_master WHERE type = 'view'"
            ).to_pylist()
        known = {str(row["name"]).casefold(): str(row["sql"]) for row in kept}
        return {
            (schema, view): ViewText(schema=None, sql=known[view.casefold()])
            for schema, view in names
            if view.casefold() in known
        }

    def check(self, *, write: bool) -> None:
        """See `Source.check`. What it creates to try is rolled back."""
        if sqlite3.sqlite_version_info[:2] < OLDEST:
            raise ConfigError(
                "server_too_old",
                f"This Python has SQLite {sqlite3.sqlite_version}; sources need "
                f"{'.'.join(map(str, OLDEST))}.",
                hint="Use a Python that was built with a newer SQLite.",
            )
        with self.session(write=write) as session:
            session.table("SELECT 1")
            if write:
                session.begin()
                tried = SqliteDialect().ours(self._state_schema, "tried")
                session.execute(f"CREATE TABLE IF NOT EXISTS {tried} (n INTEGER)")
                session.rollback()

    def facts(self) -> ServerFacts:
        """See `Source.facts`. The engine runs in this process."""
        return ServerFacts(engine=f"SQLite {sqlite3.sqlite_version}")

    def _connect(self, *, write: bool) -> sqlite3.Connection:
        """A connection that has read the file's head."""
        with translated(self.name):
            connection = self._opened(write=write)
            try:
                connection.execute("PRAGMA schema_version").fetchall()
            except sqlite3.Error as error:
                connection.close()
                if write and code_of(error) & 0xFF == sqlite3.SQLITE_READONLY:
                    raise not_accessible(self.name) from None
                if write or code_of(error) not in _LEFT_OPEN:
                    raise
            else:
                if write and not os.access(self._path, os.W_OK):
                    connection.close()
                    raise not_accessible(self.name)
                return connection
            # A process that was killed left its transaction, which only a writer can undo.
            self._undo()
            return self._opened(write=False)

    def _undo(self) -> None:
        connection = self._opened(write=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.Error as error:
            if code_of(error) & 0xFF == sqlite3.SQLITE_READONLY:
                raise not_accessible(self.name) from None
            raise
        finally:
            connection.close()

    def _opened(self, *, write: bool) -> sqlite3.Connection:
        """Never made where it is not there."""
        path = url_quote(os.path.abspath(self._path))
        return sqlite3.connect(
            f"file:{path}?mode={'rw' if write else 'ro'}",
            uri=True,
            timeout=self._lock_wait_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    def _refuse_path(self) -> None:
        try:
            mode = self._path.lstat().st_mode
        except OSError:
            mode = 0
        if stat.S_ISLNK(mode):
            raise ConfigError(
                "symbolic_link",
                f"The path of source {self.name} is a symbolic link.",
                hint="Name the database file itself.",
            )
        if not stat.S_ISREG(mode):
            raise ConfigError(
                "file_missing",
                f"Source {self.name} has no database file at its path.",
                hint=f"Check `path` of source {self.name}; Mayfly never creates a source.",
            )


def _open_source(request: SourceRequest) -> SqliteSource:
    settings = request.settings
    return SqliteSource(settings.name, request.path(), state_schema=settings.state_schema)


def _grants(request: GrantRequest) -> Sequence[str]:
    """A file has no grants: who may open it is the system's affair."""
    file = request.source.shown_path()
    if request.source.settings.state == "local":
        return [f"-- The user of Mayfly needs read permission on {file}."]
    return [f"-- The user of Mayfly needs read and write permission on {file} and its folder."]


SPEC = SourceSpec(
    type="sqlite", open=_open_source, dialect=SqliteDialect, hosts=no_hosts, grants=_grants
)
