"""Apache Spark, through Spark Connect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mayfly.connectors.sources.described_views import described_view
from mayfly.connectors.sources.spark_connect import SparkAccess
from mayfly.connectors.sources.spark_grants import spark_grants
from mayfly.connectors.sources.spark_session import SparkSession
from mayfly.connectors.sources.spark_types import readable, unfit
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.spark import SparkDialect, quote
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import SourceRequest, SourceSpec


class SparkSource:
    """A catalog of a Spark Connect server, read through one session of its own at a time.

    Args:
        name: of the source in the project.
        access: who reads what.
    """

    dialect: Dialect = "spark"

    def __init__(self, name: str, access: SparkAccess) -> None:
        self.name = name
        self._access = access

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SparkSession]:
        """See `Source.session`.

        Raises:
            ConfigError: `read_only_source` with write; see `SparkAccess.connect`.
            TransientError: `source_away`, no answer; `connection_lost`.
        """
        if write:
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} is a Spark, which has no transactions: Mayfly writes nothing "
                "to it.",
                hint="Set `state: local` on the source.",
            )
        session = SparkSession(self._access.connect(self.name))
        try:
            session.use(self._access.here())
            yield session
        finally:
            session.close()

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        catalog, within = quote(self._access.catalog), quote(schema or self._access.schema)
        return f"{catalog}.{within}.{quote(table)}"

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
        """See `Source.tables`: those of the catalog. One that may not be read, or whose view is
        broken, is left out.
        """
        catalog = quote(self._access.catalog)
        found = []
        with self.session(write=False) as session:
            schemas = session.asked(f"SHOW NAMESPACES IN {catalog}").column(0).to_pylist()
            for schema in map(_bare, schemas):
                listed = session.asked(f"SHOW TABLES IN {catalog}.{quote(schema)}")
                for row in listed.to_pylist():
                    table = str(row["tableName"])
                    columns = None if row["isTemporary"] else self._columns(session, schema, table)
                    if columns is not None:
                        found.append(TableInfo(schema=schema, name=table, columns=columns))
        return found

    def _columns(
        self, session: SparkSession, schema: str, table: str
    ) -> tuple[ColumnInfo, ...] | None:
        try:
            return session.describe(f"SELECT * FROM {self.relation(schema, table)}")
        except ConfigError:
            return None

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`. Every name within is one of where the view was made."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: SparkSession, schema: str | None, view: str) -> ViewText | None:
        within = self._access.schema if schema is None else schema
        catalog, _, inner = within.rpartition(".")
        name = f"{quote(catalog or self._access.catalog)}.{quote(inner)}.{quote(view)}"
        return described_view(session.asked, name, within)

    def check(self, *, write: bool) -> None:
        """See `Source.check`."""
        with self.session(write=write) as session:
            session.table("SELECT 1 AS one")

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table(
                "SELECT version() AS version, current_timestamp() AS now"
            ).to_pylist()
        return ServerFacts(engine=f"Spark {row['version'].partition(' ')[0]}", clock=row["now"])


def _bare(name: str) -> str:
    """Spark lists names that need quotes with them."""
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _access(request: SourceRequest) -> SparkAccess:
    settings, options = request.settings, request.settings.options
    token, ca_file = options.get("token"), options.get("ca_file")
    return SparkAccess(
        remote=str(options["remote"]),
        catalog=str(options["catalog"]),
        schema=settings.schema,
        token=(lambda: request.resolve(token)) if isinstance(token, SecretRef) else None,
        ca_file=None if ca_file is None else Path(str(ca_file)),
        user=str(options["user"]),
    )


def _open(request: SourceRequest) -> SparkSource:
    return SparkSource(request.settings.name, _access(request))


SPEC = SourceSpec(
    type="spark",
    open=_open,
    dialect=SparkDialect,
    hosts=lambda request: frozenset({_access(request).address()[0]}),
    grants=spark_grants,
)
