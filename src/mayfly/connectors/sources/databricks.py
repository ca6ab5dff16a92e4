"""Databricks, through its own connector. Compiled, not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby

import pyarrow as pa

from mayfly.connectors.sources.databricks_connect import DatabricksAccess
from mayfly.connectors.sources.databricks_grants import databricks_grants
from mayfly.connectors.sources.databricks_session import DatabricksSession
from mayfly.connectors.sources.databricks_types import column, readable
from mayfly.connectors.sources.described_views import described_view
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

_SQL = DatabricksDialect()


class DatabricksSource:
    """A catalog behind a SQL warehouse, read through one session each time. Nothing is written to
    it but files in one volume, which are taken away again.

    Args:
        name: of the source in the project.
        access: who reads what.
    """

    dialect: Dialect = "databricks"

    def __init__(self, name: str, access: DatabricksAccess) -> None:
        self.name = name
        self._access = access
        self._volume = access.stage()

    @contextmanager
    def session(self, *, write: bool) -> Iterator[DatabricksSession]:
        """See `Source.session`.

        Raises:
            TransientError: `source_away`, no answer; `connection_lost`.
            ConfigError: Databricks refuses the token; `driver_missing`; `read_only_source`.
        """
        if write:
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} takes no writes: of an engine that was never asked the state "
                "is kept beside it.",
            )
        session = DatabricksSession(self._access.connect(self.name), self._volume)
        try:
            yield session
        finally:
            session.close()

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`; a schema may have its catalog before a dot."""
        parts = (self._access.schema if schema is None else schema).split(".")
        return ".".join(_SQL.quote(part) for part in (*parts, table))

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
        """See `Source.tables`: what of the catalog the principal may see."""
        catalog = _SQL.quote(self._access.catalog)
        with self.session(write=False) as session:
            found = session.table(
                "SELECT table_schema AS s, table_name AS t, column_name AS c, full_data_type AS k "
                f"FROM {catalog}.information_schema.columns "
                "WHERE table_schema <> 'information_schema' "
                "ORDER BY table_schema, table_name, ordinal_position"
            ).to_pylist()
        return [
            TableInfo(
                schema=str(schema),
                name=str(table),
                columns=tuple(column(str(row["c"]), str(row["k"])) for row in rows),
            )
            for (schema, table), rows in groupby(found, lambda row: (row["s"], row["t"]))
        ]

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. Every name within is one of where the view was made."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: DatabricksSession, schema: str | None, view: str) -> ViewText | None:
        within = self._access.schema if schema is None else schema
        return described_view(session.asked, self.relation(schema, view), within)

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the schema, and whether rows can be loaded into a temporary table."""
        with self.session(write=write) as session:
            [row] = session.table(_SQL.has_schema(self._access.schema)).to_pylist()
            if not row["n"]:
                raise ConfigError(
                    "schema_missing",
                    f"Source {self.name} has no schema {self._access.schema}, or its principal may "
                    "not use it.",
                    hint=f"Check `catalog` and `schema` of source {self.name}.",
                )
            session.load("mf_check", pa.table({"n": pa.array([1], pa.int64())}))

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table("SELECT current_timestamp() AS now").to_pylist()
        return ServerFacts(engine="Databricks", clock=row["now"])


def _access(request: SourceRequest) -> DatabricksAccess:
    settings, options = request.settings, request.settings.options

    def token() -> Revealed:
        reference = options["token"]
        if not isinstance(reference, SecretRef):
            raise ConfigError("secret_missing", f"Source {settings.name} needs `token`.")
        return request.resolve(reference)

    endpoint = options.get("endpoint")
    return DatabricksAccess(
        host=str(options["host"]),
        http_path=str(options["http_path"]),
        token=token,
        catalog=str(options["catalog"]),
        schema=settings.schema,
        volume=str(options["volume"]),
        endpoint=None if endpoint is None else str(endpoint),
    )


def _open(request: SourceRequest) -> DatabricksSource:
    return DatabricksSource(request.settings.name, _access(request))


SPEC = SourceSpec(
    type="databricks",
    open=_open,
    dialect=DatabricksDialect,
    hosts=lambda request: _access(request).hosts(),
    grants=databricks_grants,
    never_asked="Databricks",
)
