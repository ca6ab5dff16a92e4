"""PostgreSQL, version 14 and later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import pyarrow as pa

from mayfly.connectors.postgres_connect import hosts_of, not_connected, verified_conninfo
from mayfly.connectors.sources.postgres_grants import postgres_grants
from mayfly.connectors.sources.postgres_rights import (
    is_missing_right,
    lacking,
    missing_grants,
    refuse,
    rights_query,
    unused_schemas,
)
from mayfly.connectors.sources.postgres_session import PostgresSession, settings
from mayfly.connectors.sources.postgres_types import readable, unfit
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.planning.sql.dialect import literal, quote
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

OLDEST_VERSION = 14
_READABLE = (
    "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a "
    "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "AND has_column_privilege(c.oid, a.attnum, 'SELECT'))"
)


class PostgresSource:
    """A PostgreSQL database, read through one connection per session.

    Args:
        name: of the source in the project.
        dsn: a libpq connection string or URI with a host. Off loopback TLS is verified.
        schema: where tables are that a model names without a schema.
        state_schema: our own schema there.
        connect_timeout_seconds: for one attempt to connect.
    """

    dialect: Dialect = "postgres"

    def __init__(
        self,
        name: str,
        dsn: Revealed,
        *,
        schema: str = "public",
        state_schema: str = "_mayfly",
        connect_timeout_seconds: int = 10,
    ) -> None:
        self.name = name
        self._dsn = dsn
        self._schema = schema
        self._state_schema = state_schema
        self._connect_timeout_seconds = connect_timeout_seconds

    @contextmanager
    def session(self, *, write: bool) -> Iterator[PostgresSession]:
        """See `Source.session`.

        Raises:
            TransientError: `source_away`, no answer; `connection_lost`.
            ConfigError: the server refuses the role or the database; a DSN without TLS.
        """
        session = self._opened(write=write)
        try:
            yield session
        except ConfigError as error:
            if not is_missing_right(error) or error.hint.startswith("GRANT"):
                raise
            session.close()
            raise self._which_right(error, write=write) from None
        finally:
            session.close()

    def _opened(self, *, write: bool, options: str = "") -> PostgresSession:
        session = PostgresSession(self._connect(options), write=write)
        try:
            pinned = session.table(settings(schema=quote(self._schema), write=write))
        except EngineError:
            session.close()
            raise
        if pa.types.is_string(pinned.schema.field(0).type):
            return session
        session.close()
        if options:
            raise ContractError("query_failed", f"The types of source {self.name} are not known.")
        # The driver asks for names of types before anything can be set, and misreads quoted ones.
        return self._opened(write=write, options="-c quote_all_identifiers=off")

    def _which_right(self, error: ConfigError, *, write: bool) -> ConfigError:
        """The same error with the statement that gives the right, where it can be told."""
        session = None
        try:
            session = self._opened(write=False)
            row = session.table(rights_query(self._schema, self._state_schema)).to_pylist()[0]
        except EngineError:
            return error
        finally:
            if session is not None:
                session.close()
        grants = self._missing(row, write=write)
        return lacking(self.name, grants) if grants else error

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        return f"{quote(self._schema if schema is None else schema)}.{quote(table)}"

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`.

        Raises:
            PolicyError: `model_sql_forbidden`, a function of the query may write (a run reads the
                model in a session that writes plans); `row_security`.
            ConfigError: `missing_grant`, with the statement; `read_only_source`.
        """
        with self.session(write=False) as session:
            self._require_primary(session)
            try:
                columns = session.describe(query)
            except ConfigError as error:
                if not is_missing_right(error):
                    raise
                grants = unused_schemas(session, query)
                if grants:
                    raise lacking(self.name, grants) from None
                refuse(self.name, session.facts(query))
                raise
            refuse(self.name, session.facts(query))
        return columns

    def _require_primary(self, session: PostgresSession) -> None:
        """A standby makes no temporary tables, which a plan is made of."""
        if session.table("SELECT pg_is_in_recovery() AS standby").column("standby")[0].as_py():
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} is a standby server, which makes no temporary tables.",
                hint="Connect to the primary server, or to a copy that takes temporary tables (a "
                "logical replica); with `state: local` nothing else is written to it.",
            )

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`: what the role may select. Our own schema is left out."""
        with self.session(write=False) as session:
            found = session.table(
                f"SELECT n.nspname::text AS s, c.relname::text AS t, {_READABLE} AS columns "
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') "
                "AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN "
                f"('information_schema', {literal(self._state_schema)}) "
                "AND has_schema_privilege(n.oid, 'USAGE') "
                "AND has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1, 2"
            ).to_pylist()
            return [self._table(session, **row) for row in found]

    def _table(self, session: PostgresSession, s: str, t: str, columns: str | None) -> TableInfo:
        found = session.describe(f"SELECT {columns or '*'} FROM {self.relation(s, t)}")
        return TableInfo(schema=s, name=t, columns=found)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. Every name within is written with its schema."""
        with self.session(write=False) as session:
            session.execute("SET search_path TO ''")
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: PostgresSession, schema: str | None, view: str) -> ViewText | None:
        rows = session.table(
            "SELECT n.nspname::text AS s, pg_get_viewdef(c.oid) AS d FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE c.oid = to_regclass({literal(self.relation(schema, view))}) "
            "AND c.relkind IN ('v', 'm')"
        ).to_pylist()
        return ViewText(schema=rows[0]["s"], sql=rows[0]["d"]) if rows else None

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the schema and every right a run needs."""
        with self.session(write=False) as session:
            row = session.table(rights_query(self._schema, self._state_schema)).to_pylist()[0]
            require_version(self.name, int(row["version"]))
            self._require_primary(session)
        if not row["schema_found"]:
            raise ConfigError(
                "schema_missing",
                f"Source {self.name} has no schema {self._schema}.",
                hint=f"Check `schema` of source {self.name}.",
            )
        grants = self._missing(row, write=write)
        if grants:
            raise lacking(self.name, grants)
        if write and row["state_open"]:
            raise ConfigError(
                "tables_open",
                f"Tables in schema {self._state_schema} of source {self.name} are open to other "
                "roles: they hold what was delivered.",
                hint=str(row["state_open"]),
            )

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            row = session.table(
                "SELECT current_setting('server_version') AS version, clock_timestamp() AS now"
            ).to_pylist()[0]
        return ServerFacts(engine=f"PostgreSQL {row['version']}", clock=row["now"])

    def _missing(self, row: dict[str, object], *, write: bool) -> list[str]:
        return missing_grants(
            row, schema_name=self._schema, state_name=self._state_schema, write=write
        )

    def _connect(self, options: str) -> adbc_driver_postgresql.dbapi.Connection:
        conninfo = verified_conninfo(
            self.name, self._dsn, timeout_seconds=self._connect_timeout_seconds, options=options
        )
        try:
            return adbc_driver_postgresql.dbapi.connect(conninfo, autocommit=True)
        except adbc_driver_manager.Error as error:
            raise not_connected(self.name, str(error)) from None


def require_version(source: str, number: int) -> None:
    """Refuse a server that lacks what the statements use.

    Args:
        source: its name.
        number: as the server counts: 140011 is 14.11.

    Raises:
        ConfigError: `server_too_old`.
    """
    if number < OLDEST_VERSION * 10_000:
        raise ConfigError(
            "server_too_old",
            f"Source {source} is PostgreSQL {number // 10_000}; {OLDEST_VERSION} or later is "
            "needed.",
            hint="Upgrade the server, or read from a copy of the tables on a newer one.",
        )


def _open(request: SourceRequest) -> PostgresSource:
    settings_ = request.settings
    return PostgresSource(
        settings_.name,
        request.dsn(),
        schema=settings_.schema,
        state_schema=settings_.state_schema,
    )


SPEC = SourceSpec(
    type="postgres",
    open=_open,
    dialect=PostgresDialect,
    hosts=lambda request: hosts_of(request.dsn()),
    grants=postgres_grants,
)
