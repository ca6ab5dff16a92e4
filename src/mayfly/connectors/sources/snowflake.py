"""Snowflake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from mayfly.connectors.sources.snowflake_connect import SnowflakeAccess, plainly
from mayfly.connectors.sources.snowflake_grants import snowflake_grants
from mayfly.connectors.sources.snowflake_session import SnowflakeSession
from mayfly.connectors.sources.snowflake_types import arrow_type, readable, type_name, unfit
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.snowflake import SnowflakeDialect, exchanged, literal, quote
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec


class SnowflakeSource:
    """A database of a Snowflake account, read through one connection per session.

    Args:
        name: of the source in the project.
        access: who reads what.
        state_schema: our own schema there.
    """

    dialect: Dialect = "snowflake"

    def __init__(
        self, name: str, access: SnowflakeAccess, *, state_schema: str = "_mayfly"
    ) -> None:
        self.name = name
        self._access = access
        self._schema = plainly(access.schema)
        self._state_schema = state_schema
        self._sql = SnowflakeDialect()

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SnowflakeSession]:
        """See `Source.session`.

        Raises:
            TransientError: `source_away`, no answer; `connection_lost`.
            ConfigError: Snowflake refuses the user, the key or the role.
        """
        connection = self._access.connect(self.name)
        session = SnowflakeSession(
            connection, write=write, schema=quote(self._schema), grants=self._grants()
        )
        try:
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
        """See `Source.describe`."""
        with self.session(write=False) as session:
            return session.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`: what the role may see. Our own schema is left out."""
        hidden = f"'INFORMATION_SCHEMA', {literal(exchanged(self._state_schema))}"
        with self.session(write=False) as session:
            found = session.table(
                "SELECT table_schema AS s, table_name AS t, column_name AS c, data_type AS k, "
                "numeric_precision AS p, numeric_scale AS q, datetime_precision AS d "
                f"FROM information_schema.columns WHERE table_schema NOT IN ({hidden}) "
                "ORDER BY table_schema, table_name, ordinal_position"
            ).to_pylist()
        return [
            TableInfo(
                schema=exchanged(schema),
                name=exchanged(table),
                columns=tuple(_column(row) for row in rows),
            )
            for (schema, table), rows in groupby(found, lambda row: (row["s"], row["t"]))
        ]

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. The text of a secure view is seen by the role that owns it."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: SnowflakeSession, schema: str | None, view: str) -> ViewText | None:
        within = self._schema if schema is None else schema
        base, _, inner = within.rpartition(".")
        # A dot may stand in a name, or after that of another database.
        for catalog, named in (("", within), (base, inner))[: 2 if base else 1]:
            rows = _asked_of(session, _view_query(catalog, named, view))
            if rows:
                return ViewText(schema=within, sql=rows[0]["d"] or None)
        return None

    def check(self, *, write: bool) -> None:
        """See `Source.check`. What it makes to try is dropped."""
        with self.session(write=False) as session:
            [row] = session.table(
                "SELECT current_warehouse() AS warehouse, current_database() AS base"
            ).to_pylist()
            self._require(row["warehouse"], "warehouse", self._access.warehouse)
            self._require(row["base"], "database", self._access.database)
            self._require(self._has(session, self._schema), "schema", self._schema)
            there = self._has(session, self._state_schema)
        if write:
            self._try_to_write(there=there)

    def _try_to_write(self, *, there: bool) -> None:
        sql, schema = self._sql, self._state_schema
        tried = f"{sql.quote(schema)}.{sql.quote('mf_check')}"
        with self.session(write=True) as session:
            if not there:
                session.execute(sql.create_schema(schema))
            session.execute(sql.create_table(tried, f"n {sql.bigint}"))
            session.execute(sql.drop_table(tried))
            if not there:
                session.execute(sql.drop_schema(schema))

    def _has(self, session: SnowflakeSession, schema: str) -> bool:
        return bool(session.table(self._sql.has_schema(schema)).column("n")[0].as_py())

    def _grants(self) -> Mapping[str, str]:
        base, role = quote(plainly(self._access.database)), quote(plainly(self._access.role))
        schema = f"{base}.{quote(self._state_schema)}"
        return {
            "SCHEMA": f"GRANT CREATE SCHEMA ON DATABASE {base} TO ROLE {role};",
            "TABLE": f"GRANT USAGE, CREATE TABLE ON SCHEMA {schema} TO ROLE {role};",
            "VIEW": f"GRANT USAGE, CREATE VIEW ON SCHEMA {schema} TO ROLE {role};",
        }

    def _require(self, found: object, kind: str, name: str) -> None:
        if found:
            return
        raise ConfigError(
            f"{kind}_missing",
            f"Source {self.name} has no {kind} {name}, or its role may not use it.",
            hint=f"GRANT USAGE ON {kind.upper()} {quote(plainly(name))} TO ROLE "
            f"{quote(plainly(self._access.role))}; and check `{kind}` of source {self.name}.",
        )

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table(
                "SELECT current_version() AS version, current_timestamp() AS now"
            ).to_pylist()
        return ServerFacts(engine=f"Snowflake {row['version']}", clock=row["now"])


def _column(row: dict[str, Any]) -> ColumnInfo:
    kind = str(row["k"])
    scale = row["q"] if kind == "NUMBER" else row["d"]
    precision = None if row["p"] is None else int(row["p"])
    sql_type = type_name(kind, precision, None if scale is None else int(scale))
    return ColumnInfo(name=exchanged(row["c"]), sql_type=sql_type, arrow_type=arrow_type(sql_type))


def _view_query(catalog: str, schema: str, view: str) -> str:
    """What a database tells of a view; of a secure one its owner alone is told the text."""
    base = f"{quote(catalog)}." if catalog else ""
    named = (
        f"WHERE table_schema = {literal(exchanged(schema))} "
        f"AND table_name = {literal(exchanged(view))}"
    )
    return (
        "SELECT d FROM (SELECT view_definition AS d "
        f"FROM {base}information_schema.views {named} UNION ALL SELECT NULL AS d "
        f"FROM {base}information_schema.tables {named} AND table_type LIKE '%VIEW') AS mf_view "
        "ORDER BY d NULLS LAST"
    )


def _asked_of(session: SnowflakeSession, query: str) -> list[dict[str, Any]]:
    """The rows; none of a database that is not there."""
    try:
        rows: list[dict[str, Any]] = session.table(query).to_pylist()
    except ConfigError as error:
        if error.code not in ("table_missing", "schema_missing"):
            raise
        return []
    return rows


def _access(request: SourceRequest) -> SnowflakeAccess:
    settings, options = request.settings, request.settings.options

    def secret(key: str) -> Revealed:
        reference = options[key]
        if not isinstance(reference, SecretRef):
            raise ConfigError("secret_missing", f"Source {settings.name} needs `{key}`.")
        return request.resolve(reference)

    has_phrase = options.get("private_key_passphrase") is not None
    endpoint = options.get("endpoint")
    return SnowflakeAccess(
        account=str(options["account"]),
        user=str(options["user"]),
        private_key=lambda: secret("private_key"),
        passphrase=(lambda: secret("private_key_passphrase")) if has_phrase else None,
        role=str(options["role"]),
        warehouse=str(options["warehouse"]),
        database=str(options["database"]),
        schema=settings.schema,
        endpoint=None if endpoint is None else str(endpoint),
    )


def _open(request: SourceRequest) -> SnowflakeSource:
    settings = request.settings
    return SnowflakeSource(settings.name, _access(request), state_schema=settings.state_schema)


SPEC = SourceSpec(
    type="snowflake",
    open=_open,
    dialect=SnowflakeDialect,
    hosts=lambda request: frozenset({_access(request).host()}),
    grants=snowflake_grants,
)
