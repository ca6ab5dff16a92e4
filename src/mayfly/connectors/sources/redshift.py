"""Redshift, over PostgreSQL's protocol. Compiled, not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg

from mayfly.connectors.postgres_connect import hosts_of, not_connected, verified_conninfo
from mayfly.connectors.sources.redshift_grants import redshift_grants
from mayfly.connectors.sources.redshift_session import RedshiftSession, as_texts
from mayfly.connectors.sources.redshift_types import readable
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.planning.sql.dialect import literal, quote
from mayfly.planning.sql.redshift import RedshiftDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

# Of a view that is bound late it tells the whole statement.
_VIEW = (
    "SELECT n.nspname::text AS s, pg_get_viewdef(c.oid) AS d FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('v', 'm')"
)


class RedshiftSource:
    """A Redshift database, read through one connection per session. Nothing is written to it.

    Args:
        name: of the source in the project.
        dsn: a libpq connection string or URI with a host. Off loopback TLS is verified.
        schema: where tables are that a model names without a schema.
        product: what its server calls itself.
        connect_timeout_seconds: for one attempt to connect.
    """

    dialect: Dialect = "redshift"

    def __init__(
        self,
        name: str,
        dsn: Revealed,
        *,
        schema: str = "public",
        product: str = "Redshift",
        connect_timeout_seconds: int = 30,
    ) -> None:
        self.name = name
        self._dsn = dsn
        self._schema = schema
        self._product = product
        self._connect_timeout_seconds = connect_timeout_seconds

    @contextmanager
    def session(self, *, write: bool) -> Iterator[RedshiftSession]:
        """See `Source.session`.

        Raises:
            TransientError: `source_away`, no answer; `connection_lost`.
            ConfigError: the server refuses the user or the database; a dsn without TLS;
                `read_only_source`.
        """
        if write:
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} takes no writes: of an engine that was never asked the state "
                "is kept beside it.",
            )
        session = RedshiftSession(self._connect())
        try:
            session.pin(self._schema)
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
        """See `Source.unfit`: what has no form fails while it is read."""
        del column
        return None

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`."""
        with self.session(write=False) as session:
            return session.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`: external tables and views that are bound late are not among them."""
        with self.session(write=False) as session:
            found = session.table(
                "SELECT table_schema AS s, table_name AS t FROM information_schema.tables "
                "WHERE table_schema NOT IN ('information_schema', 'pg_catalog', 'pg_internal') "
                "ORDER BY table_schema, table_name"
            ).to_pylist()
            return [self._table(session, str(row["s"]), str(row["t"])) for row in found]

    def _table(self, session: RedshiftSession, schema: str, table: str) -> TableInfo:
        columns: tuple[ColumnInfo, ...] = ()
        try:
            columns = session.describe(f"SELECT * FROM {self.relation(schema, table)}")
        except ConfigError:
            # One that may not be read, or a view of what is gone, must not hide the others.
            columns = ()
        return TableInfo(schema=schema, name=table, columns=columns)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. Every name within is written with its schema."""
        with self.session(write=False) as session:
            session.pin("pg_catalog")
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: RedshiftSession, schema: str | None, view: str) -> ViewText | None:
        within = self._schema if schema is None else schema
        found = _told(session, within, view)
        base, _, inner = within.rpartition(".")
        if found or not base:
            return found
        # A dot may stand in a name, or after that of a database: of another one nothing is told.
        here = str(session.table("SELECT current_database() AS b").column("b")[0].as_py())
        return _told(session, inner, view) if base == here else ViewText(schema=within, sql=None)

    def check(self, *, write: bool) -> None:
        """See `Source.check`: that it is a Redshift, its schema, and the right to temporary
        tables.
        """
        with self.session(write=write) as session:
            [row] = session.table(
                "SELECT version() AS version, current_database() AS base, "
                "has_database_privilege(current_database(), 'TEMP') AS temporary, "
                f"(SELECT count(*) FROM pg_namespace WHERE nspname = {literal(self._schema)}) AS n"
            ).to_pylist()
        if self._product not in str(row["version"]):
            raise ConfigError(
                "server_not_supported",
                f"The server of source {self.name} is not a {self._product}.",
                hint="For a PostgreSQL write `type: postgres`.",
            )
        if not row["n"]:
            raise ConfigError(
                "schema_missing",
                f"Source {self.name} has no schema {self._schema}.",
                hint=f"Check `schema` of source {self.name}.",
            )
        if not row["temporary"]:
            raise ConfigError(
                "missing_grant",
                f"The user of source {self.name} may make no temporary tables, which a plan is "
                "made of.",
                hint=f"GRANT TEMPORARY ON DATABASE {quote(str(row['base']))} TO the source's user.",
            )

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table(
                "SELECT version() AS version, current_timestamp AS now"
            ).to_pylist()
        _, product, number = str(row["version"]).rpartition(f"{self._product} ")
        version = number.split()[0] if product else ""
        return ServerFacts(engine=f"{self._product} {version}".strip(), clock=row["now"])

    def _connect(self) -> psycopg.Connection[object]:
        conninfo = verified_conninfo(
            self.name, self._dsn, timeout_seconds=self._connect_timeout_seconds
        )
        try:
            connection = psycopg.connect(
                conninfo, autocommit=True, prepare_threshold=None, gssencmode="disable"
            )
        except psycopg.Error as error:
            raise self._refused(error) from None
        as_texts(connection)
        return connection

    def _refused(self, error: psycopg.Error) -> EngineError:
        return not_connected(self.name, str(error))


def _told(session: RedshiftSession, schema: str, view: str) -> ViewText | None:
    rows = session.table(
        f"{_VIEW} WHERE n.nspname = {literal(schema)} AND c.relname = {literal(view)}"
    ).to_pylist()
    return ViewText(schema=rows[0]["s"], sql=rows[0]["d"] or None) if rows else None


def _open(request: SourceRequest) -> RedshiftSource:
    settings = request.settings
    return RedshiftSource(settings.name, request.dsn(), schema=settings.schema)


SPEC = SourceSpec(
    type="redshift",
    open=_open,
    dialect=RedshiftDialect,
    hosts=lambda request: hosts_of(request.dsn()),
    grants=redshift_grants,
    never_asked="Redshift",
)
