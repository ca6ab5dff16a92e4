"""PostgreSQL, version 14 and later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mayfly.connectors.postgres_connect import TLS_HINT, failure, hosts_of
from mayfly.connectors.sources.postgres_grants import postgres_grants
from mayfly.connectors.sources.postgres_session import PostgresSession, settings
from mayfly.connectors.sources.postgres_types import readable, unfit
from mayfly.domain.errors import ConfigError, EngineError, PolicyError, TransientError
from mayfly.planning.sql.dialect import literal, quote
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

OLDEST_VERSION = 14
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
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
        session = PostgresSession(self._connect(), write=write)
        try:
            session.table(settings(schema=quote(self._schema), write=write))
            yield session
        finally:
            session.close()

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
            PolicyError: `model_sql_forbidden`, a function of the query may write. A run reads the
                model in a session that writes plans.
        """
        with self.session(write=False) as session:
            columns = session.describe(query)
            writers = session.writers(query)
        if writers:
            raise PolicyError(
                "model_sql_forbidden",
                f"Model SQL may not use the function {writers[0]}, which may write.",
                hint="Where it only reads, declare it STABLE or IMMUTABLE: the server then refuses "
                "it every write.",
            )
        return columns

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

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the schema and every right a run needs."""
        with self.session(write=False) as session:
            row = session.table(self._rights()).to_pylist()[0]
        require_version(self.name, int(row["version"]))
        if not row["schema_found"]:
            raise ConfigError(
                "schema_missing",
                f"Source {self.name} has no schema {self._schema}.",
                hint=f"Check `schema` of source {self.name}.",
            )
        if write and row["standby"]:
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} is a standby server, which takes no writes.",
                hint="Connect to the primary server, or set `state: local` on the source.",
            )
        grants = self._missing(row, write=write)
        if grants:
            raise ConfigError(
                "missing_grant",
                f"The role of source {self.name} lacks {len(grants)} rights.",
                hint=" ".join(grants),
            )

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            row = session.table(
                "SELECT current_setting('server_version') AS version, clock_timestamp() AS now"
            ).to_pylist()[0]
        return ServerFacts(engine=f"PostgreSQL {row['version']}", clock=row["now"])

    def _rights(self) -> str:
        schema, state = literal(self._schema), literal(self._state_schema)
        tables = (
            "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = {schema} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
        )
        return (
            "SELECT current_user::text AS role, current_database()::text AS base, "
            f"EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = {schema}) AS schema_found, "
            "(SELECT bool_and(has_schema_privilege(oid, 'USAGE')) FROM pg_namespace "
            f"WHERE nspname = {schema}) AS usage, "
            f"EXISTS (SELECT 1 FROM {tables}) AS has_tables, "
            f"EXISTS (SELECT 1 FROM {tables} "
            "AND has_any_column_privilege(c.oid, 'SELECT')) AS reads, "
            "has_database_privilege(current_database(), 'TEMP') AS temp, "
            "has_database_privilege(current_database(), 'CREATE') AS creates, "
            "(SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') "
            f"FROM pg_namespace WHERE nspname = {state}) AS state_rights, "
            "pg_is_in_recovery() AS standby, "
            "current_setting('server_version_num')::int AS version"
        )

    def _missing(self, row: dict[str, object], *, write: bool) -> list[str]:
        role, base = quote(str(row["role"])), quote(str(row["base"]))
        schema, state = quote(self._schema), quote(self._state_schema)
        grants = []
        if not row["usage"]:
            grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {role};")
        if row["has_tables"] and not row["reads"]:
            grants.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};")
        if not row["temp"]:
            grants.append(f"GRANT TEMPORARY ON DATABASE {base} TO {role};")
        if write and row["state_rights"] is None and not row["creates"]:
            grants.append(f"GRANT CREATE ON DATABASE {base} TO {role};")
        if write and row["state_rights"] is False:
            grants.append(f"GRANT USAGE, CREATE ON SCHEMA {state} TO {role};")
        return grants

    def _connect(self) -> adbc_driver_postgresql.dbapi.Connection:
        conninfo = self._conninfo()
        try:
            return adbc_driver_postgresql.dbapi.connect(conninfo, autocommit=True)
        except adbc_driver_manager.Error as error:
            raise self._not_connected(str(error)) from None

    def _conninfo(self) -> str:
        try:
            given = conninfo_to_dict(self._dsn.reveal())
        except psycopg.ProgrammingError:
            raise ConfigError(
                "dsn_invalid",
                f"The dsn of source {self.name} is not a PostgreSQL connection string.",
                hint="Write it as postgresql://user:password@host:5432/database.",
            ) from None
        hosts = str(given.get("hostaddr") or given.get("host") or "")
        if not hosts:
            raise ConfigError(
                "dsn_invalid",
                f"The dsn of source {self.name} names no host.",
                hint="Name the host, or the folder of its socket, in the dsn.",
            )
        extra: dict[str, str | int | None] = {
            "application_name": "mayfly",
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "connect_timeout": self._connect_timeout_seconds,
        }
        if not all(h.startswith("/") or h in _LOOPBACK for h in hosts.split(",")):
            extra.update(self._verified(given.get("sslmode"), given.get("sslrootcert")))
        return make_conninfo("", **{**given, **extra})

    def _verified(self, mode: object, root: str | int | None) -> dict[str, str | int | None]:
        """TLS for a host off loopback: verified, without exception."""
        if mode not in {None, "verify-full"}:
            raise ConfigError(
                "tls_required",
                f"The dsn of source {self.name} weakens TLS to a host off this machine.",
                hint="Use sslmode=verify-full, with sslrootcert for an authority of your own.",
            )
        return {
            "sslmode": "verify-full",
            "sslrootcert": root or "system",
            "ssl_min_protocol_version": "TLSv1.2",
        }

    def _not_connected(self, text: str) -> EngineError:
        found = failure(text)
        if found == "refused":
            return ConfigError(
                "source_refused",
                f"The server of source {self.name} refuses this role or database.",
                hint="Check user, password and database in the dsn, and pg_hba.conf.",
            )
        if found == "tls":
            return ConfigError(
                "tls_not_verified",
                f"The server of source {self.name} could not be verified.",
                hint=TLS_HINT,
            )
        return TransientError(
            "source_away",
            f"The server of source {self.name} does not answer.",
            hint="Check that it runs and that host and port in the dsn are right.",
        )


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
