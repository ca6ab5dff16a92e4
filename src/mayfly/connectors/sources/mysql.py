"""MariaDB, version 10.6 and later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any

from mayfly.connectors.mysql_connect import OLDEST_VERSION, hosts_of, mariadb_version
from mayfly.connectors.sources.mysql_connect import connect, parse_dsn, settings
from mayfly.connectors.sources.mysql_grants import (
    TEMPORARY,
    account,
    grant_of,
    lacking,
    missing_grants,
    mysql_grants,
    rights_query,
)
from mayfly.connectors.sources.mysql_session import MysqlSession
from mayfly.connectors.sources.mysql_types import readable, unfit
from mayfly.domain.errors import ConfigError, EngineError, PolicyError
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

_SQL = MysqlDialect()
_CALLED = re.compile(r"(?:`((?:[^`]|``)+)`|([\w$]+))\s*\(")
_CATALOGS = ("information_schema", "performance_schema", "mysql", "sys")


class MysqlSource:
    """A MariaDB database, read through one connection per session.

    Args:
        name: of the source in the project.
        dsn: `mysql://user:password@host:3306/database`, or with `?socket=/path`; off loopback TLS
            is verified, against `?ssl_ca=/path` where that is given.
        state_schema: our own database on the server.
        connect_timeout_seconds: for one attempt to connect.
    """

    dialect: Dialect = "mysql"

    def __init__(
        self,
        name: str,
        dsn: Revealed,
        *,
        state_schema: str = "_mayfly",
        connect_timeout_seconds: int = 10,
    ) -> None:
        self.name = name
        self._revealed = dsn
        self._state_schema = state_schema
        self._connect_timeout_seconds = connect_timeout_seconds

    @contextmanager
    def session(self, *, write: bool) -> Iterator[MysqlSession]:
        """See `Source.session`.

        Raises:
            TransientError: `source_away`, no answer; `connection_lost`.
            ConfigError: the server refuses the role or the database; a DSN without TLS;
                `server_too_old`.
        """
        session = self._opened(write=write)
        try:
            yield session
        except ConfigError as error:
            if error.code != "missing_grant" or error.hint.startswith("GRANT"):
                raise
            session.close()
            raise self._which_right(error, session.denied) from None
        finally:
            session.close()

    def _opened(self, *, write: bool) -> MysqlSession:
        connection = self._connection()
        session = MysqlSession(connection, write=write, cancel=self._cancel)
        try:
            require_version(self.name, str(connection.get_server_info()))
            for statement in settings(write=write):
                session.execute(statement)
        except EngineError:
            session.close()
            raise
        return session

    def _connection(self) -> Any:
        dsn = parse_dsn(self.name, self._revealed)
        return connect(self.name, dsn, timeout_seconds=self._connect_timeout_seconds)

    def _cancel(self, number: int) -> None:
        """End the statement that a connection of this role runs."""
        connection = self._connection()
        try:
            connection.query(f"KILL QUERY {int(number)}")
        finally:
            with suppress(Exception):
                connection.close()

    def _which_right(self, error: ConfigError, denied: str) -> ConfigError:
        """The same error with the statement that gives the right, where it can be told."""
        session = None
        try:
            session = self._opened(write=False)
            role = _role(session)
            schema = parse_dsn(self.name, self._revealed).database
            grant = grant_of(denied, role=role, schema=schema)
            grants = [grant] if grant else self._missing(session, write=True)
        except EngineError:
            return error
        finally:
            if session is not None:
                session.close()
        return lacking(self.name, grants) if grants else error

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        base = parse_dsn(self.name, self._revealed).database if schema is None else schema
        return f"{_SQL.quote(base)}.{_SQL.quote(table)}"

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`.

        Raises:
            PolicyError: `model_sql_forbidden`, the query calls a stored function, which may write.
            ConfigError: `missing_grant`, with the statement.
        """
        with self.session(write=False) as session:
            self._refuse_stored(session, query)
            return session.describe(query)

    def _refuse_stored(self, session: MysqlSession, query: str) -> None:
        """A run reads the model in a session that writes plans, and what a function does the
        server does not hold it to.
        """
        called = {(a or b).replace("``", "`") for a, b in _CALLED.findall(query)}
        if not called:
            return
        names = ", ".join(_SQL.literal(name) for name in sorted(called))
        found = session.table(
            "SELECT routine_name AS name FROM information_schema.routines "
            f"WHERE routine_type = 'FUNCTION' AND routine_name IN ({names}) ORDER BY 1"
        ).column("name")
        if len(found):
            raise PolicyError(
                "model_sql_forbidden",
                f"Model SQL may not use the stored function {found[0].as_py()}, which may write.",
                hint="Call it in a view of the tables' owner, and read that.",
            )

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`: what the role may see. Our own database is left out."""
        hidden = ", ".join(_SQL.literal(s) for s in (*_CATALOGS, self._state_schema))
        with self.session(write=False) as session:
            # Not joined there, where names that differ in case are the same.
            kinds = session.table(
                "SELECT table_schema AS s, table_name AS t FROM information_schema.tables WHERE "
                f"table_schema NOT IN ({hidden}) AND table_type NOT IN ('SEQUENCE', 'SYSTEM VIEW')"
            ).to_pylist()
            found = session.table(
                "SELECT table_schema AS s, table_name AS t, column_name AS c FROM "
                f"information_schema.columns WHERE table_schema NOT IN ({hidden}) AND "
                "privileges LIKE '%select%' ORDER BY table_schema, table_name, ordinal_position"
            ).to_pylist()
            columns: dict[tuple[str, str], list[str]] = {(k["s"], k["t"]): [] for k in kinds}
            for row in found:
                if (row["s"], row["t"]) in columns:
                    columns[row["s"], row["t"]].append(_SQL.quote(row["c"]))
            wanted = sorted((key, names) for key, names in columns.items() if names)
            return [self._table(session, s, t, names) for (s, t), names in wanted]

    def _table(self, session: MysqlSession, s: str, t: str, names: Sequence[str]) -> TableInfo:
        found = session.describe(f"SELECT {', '.join(names)} FROM {self.relation(s, t)}")
        return TableInfo(schema=s, name=t, columns=found)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. Its text is seen by who has the right SHOW VIEW."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: MysqlSession, schema: str | None, view: str) -> ViewText | None:
        base = parse_dsn(self.name, self._revealed).database if schema is None else schema
        rows = session.table(
            "SELECT table_schema AS s, view_definition AS d FROM information_schema.views "
            f"WHERE table_schema = {_SQL.literal(base)} AND table_name = {_SQL.literal(view)} "
            "ORDER BY table_name"
        ).to_pylist()
        return ViewText(schema=rows[0]["s"], sql=rows[0]["d"] or None) if rows else None

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the server, and every right a run needs."""
        with self.session(write=False) as session:
            row = session.table(
                "SELECT @@global.local_infile AS files, @@global.read_only AS fixed"
            ).to_pylist()[0]
            grants = self._missing(session, write=write)
        if not row["files"]:
            raise ConfigError(
                "local_infile_off",
                f"The server of source {self.name} takes no data from its clients.",
                hint="Set local_infile = ON there: digests come by it, not in statements, which "
                "logs would keep.",
            )
        if write and row["fixed"]:
            raise ConfigError(
                "read_only_source",
                f"The server of source {self.name} is read-only.",
                hint="Connect to the primary server; with `state: local` nothing lasting is "
                "written to it.",
            )
        if grants:
            raise lacking(self.name, grants)

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            row = session.table("SELECT version() AS version, utc_timestamp(6) AS now").to_pylist()
        clock = row[0]["now"].replace(tzinfo=UTC)
        return ServerFacts(engine=f"MariaDB {row[0]['version'].partition('-')[0]}", clock=clock)

    def _missing(self, session: MysqlSession, *, write: bool) -> list[str]:
        schema = parse_dsn(self.name, self._revealed).database
        here = session.table(rights_query(schema)).column("p").to_pylist()
        there = session.table(rights_query(self._state_schema)).column("p").to_pylist()
        return missing_grants(
            role=_role(session),
            schema=schema,
            state=self._state_schema,
            temporary=TEMPORARY in here,
            has=there if write else None,
        )


def _role(session: MysqlSession) -> str:
    return account(str(session.table("SELECT current_user() AS r").column("r")[0].as_py()))


def require_version(source: str, text: str) -> None:
    """Refuse a server that lacks what the statements use.

    Args:
        source: its name.
        text: as the server greets with: `5.5.5-10.11.6-MariaDB`, or `8.0.36`.

    Raises:
        ConfigError: `server_not_supported`, it is MySQL; `server_too_old`.
    """
    version = mariadb_version(text)
    if version is None:
        raise ConfigError(
            "server_not_supported",
            f"The server of source {source} is not MariaDB.",
            hint="MySQL cannot name a temporary table twice in one statement, and has no collation "
            "that both compares bytes and is MariaDB's. Read from a MariaDB, or from an export of "
            "the tables as Parquet files.",
        )
    if version < OLDEST_VERSION:
        raise ConfigError(
            "server_too_old",
            f"Source {source} is MariaDB {version[0]}.{version[1]}; "
            f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or later is needed.",
            hint="Upgrade the server, or read from a copy of the tables on a newer one.",
        )


def _open(request: SourceRequest) -> MysqlSource:
    given = request.settings
    return MysqlSource(given.name, request.dsn(), state_schema=given.state_schema)


SPEC = SourceSpec(
    type="mysql",
    open=_open,
    dialect=MysqlDialect,
    hosts=lambda request: hosts_of(f"source {request.settings.name}", request.dsn()),
    grants=mysql_grants,
)
