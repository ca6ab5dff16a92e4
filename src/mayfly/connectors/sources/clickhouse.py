"""ClickHouse, version 25.8 and later, over its HTTP interface."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx

from mayfly.connectors.sources.clickhouse_connect import ClickhouseAccess, answered, read_whole
from mayfly.connectors.sources.clickhouse_grants import TEMPORARY, clickhouse_grants
from mayfly.connectors.sources.clickhouse_session import ClickhouseSession, Place
from mayfly.connectors.sources.clickhouse_types import column, readable, unfit
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.clickhouse import ClickhouseDialect, literal, quote
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

OLDEST_VERSION = (25, 8)
_CATALOGS = ("system", "information_schema", "INFORMATION_SCHEMA")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClickhouseSource:
    """A database of a ClickHouse, read through one session of its interface each time. Nothing
    lasting is written: it has no transactions that a state could be kept by.

    Args:
        name: of the source in the project.
        access: who reads what.
    """

    dialect: Dialect = "clickhouse"

    def __init__(self, name: str, access: ClickhouseAccess) -> None:
        self.name = name
        self._access = access

    @contextmanager
    def session(self, *, write: bool) -> Iterator[ClickhouseSession]:
        """See `Source.session`.

        Raises:
            ConfigError: `read_only_source`, for a session that writes; `source_refused`;
                `tls_not_verified`; `settings_refused`; `server_too_old`.
            TransientError: `source_away`, no answer; `connection_lost`.
        """
        if write:
            raise self._read_only()
        client = self._access.client(self.name)
        session = ClickhouseSession(client, self._place())
        try:
            self._greet(client, session)
            yield session
        finally:
            session.close()

    def _place(self) -> Place:
        return Place(
            source=self.name,
            url=self._access.url,
            database=self._access.database,
            grantee=quote(self._access.user),
            compressed=self._access.host() not in _LOOPBACK,
        )

    def _greet(self, client: httpx.Client, session: ClickhouseSession) -> None:
        try:
            version = session.table("SELECT version() AS v").column("v")[0].as_py()
        except ConfigError as error:
            if error.code == "settings_refused":
                # An older server does not know some of them.
                require_version(self.name, self._version(client))
            if error.code != "read_only_session":
                raise
            raise ConfigError(
                "settings_refused",
                f"The role of source {self.name} may choose no settings (readonly = 1), and makes "
                "no temporary tables.",
                hint=f"ALTER USER {quote(self._access.user)} SETTINGS readonly = 2; is as safe: it "
                "may still write nothing.",
            ) from None
        require_version(self.name, str(version))

    def _version(self, client: httpx.Client) -> str:
        """Asked without a setting of ours."""
        given = {"default_format": "TabSeparated"}
        with answered(client, self.name, self._access.url, given, b"SELECT version()") as reply:
            return read_whole(self.name, reply).decode("utf-8", "replace")

    def _read_only(self) -> ConfigError:
        return ConfigError(
            "read_only_source",
            f"Source {self.name} takes no writes: ClickHouse has no transactions that a state "
            "could be kept by.",
            hint=f"Set `state: local` on source {self.name}.",
        )

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        base = self._access.database if schema is None else schema
        return f"{quote(base)}.{quote(table)}"

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
        """See `Source.tables`: what the role may see."""
        hidden = ", ".join(map(literal, _CATALOGS))
        with self.session(write=False) as session:
            found = session.table(
                "SELECT database AS s, table AS t, name AS c, type AS k FROM system.columns "
                f"WHERE database NOT IN ({hidden}) AND NOT startsWith(database, '_temporary') "
                "ORDER BY database, table, position"
            ).to_pylist()
        return [
            TableInfo(schema=schema, name=name, columns=tuple(column(r["c"], r["k"]) for r in rows))
            for (schema, name), rows in groupby(found, lambda row: (row["s"], row["t"]))
        ]

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`: of what the role may see. Every name within has its database."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: ClickhouseSession, schema: str | None, view: str) -> ViewText | None:
        base = self._access.database if schema is None else schema
        rows = session.table(
            "SELECT database AS s, as_select AS d FROM system.tables "
            f"WHERE database = {literal(base)} AND name = {literal(view)} "
            "AND endsWith(engine, 'View')"
        ).to_pylist()
        return ViewText(schema=rows[0]["s"], sql=rows[0]["d"] or None) if rows else None

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the database, and the right to make temporary tables."""
        if write:
            raise self._read_only()
        with self.session(write=False) as session:
            found = session.table(
                "SELECT count() AS n FROM system.databases "
                f"WHERE name = {literal(self._access.database)}"
            )
            if not found.column("n")[0].as_py():
                raise ConfigError(
                    "database_missing",
                    f"Source {self.name} has no database {self._access.database}, or its role may "
                    "see nothing in it.",
                    hint=f"Check `database` of source {self.name}; `mayfly doctor --grants "
                    f"{self.name}` prints the rights that it needs.",
                )
            try:
                session.execute("CREATE TEMPORARY TABLE mf_check (n Int8)")
            except ConfigError as error:
                if error.code != "missing_grant":
                    raise
                raise ConfigError(
                    error.code, error.message, hint=f"{TEMPORARY} TO {quote(self._access.user)};"
                ) from None

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table("SELECT version() AS version, now64(6, 'UTC') AS now").to_pylist()
        return ServerFacts(engine=f"ClickHouse {row['version']}", clock=row["now"])


def require_version(source: str, text: str) -> None:
    """Refuse a server that lacks what the statements use.

    Args:
        source: its name.
        text: as the server tells it: `25.8.4.13`.

    Raises:
        ConfigError: `server_too_old`.
    """
    found = re.match(r"(\d+)\.(\d+)", text)
    version = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    if version < OLDEST_VERSION:
        raise ConfigError(
            "server_too_old",
            f"Source {source} is ClickHouse {version[0]}.{version[1]}; "
            f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or later is needed.",
            hint="Upgrade the server, or read from a copy of the tables on a newer one.",
        )


def _access(request: SourceRequest) -> ClickhouseAccess:
    settings, options = request.settings, request.settings.options
    reference: Any = options.get("password")

    def password() -> Revealed:
        if not isinstance(reference, SecretRef):
            raise ConfigError("secret_missing", f"Source {settings.name} needs `password`.")
        return request.resolve(reference)

    ca = options.get("ca")
    return ClickhouseAccess(
        endpoint=str(options["endpoint"]),
        user=str(options["user"]),
        password=password,
        database=str(options.get("database", "default")),
        ca=None if ca is None else Path(str(ca)),
    )


def _open(request: SourceRequest) -> ClickhouseSource:
    return ClickhouseSource(request.settings.name, _access(request))


SPEC = SourceSpec(
    type="clickhouse",
    open=_open,
    dialect=ClickhouseDialect,
    hosts=lambda request: frozenset({_access(request).host()}),
    grants=clickhouse_grants,
)
