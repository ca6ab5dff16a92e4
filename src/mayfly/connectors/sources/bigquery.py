"""BigQuery, through Google's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mayfly.connectors.sources.bigquery_connect import Clients, endpoint_of, hosts, member_of
from mayfly.connectors.sources.bigquery_errors import translated
from mayfly.connectors.sources.bigquery_grants import bigquery_grants
from mayfly.connectors.sources.bigquery_session import REQUEST_SECONDS, BigquerySession
from mayfly.connectors.sources.bigquery_types import column, readable
from mayfly.connectors.sources.described_views import named_columns
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo, ViewText
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec

_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,61}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LOCATION = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,40}")
_SQL = BigqueryDialect()


class BigquerySource:
    """A dataset of BigQuery, asked over HTTPS.

    Args:
        name: of the source in the project.
        project: of Google Cloud: it is billed for queries, and its tables are read.
        dataset: where tables are that a model names without one.
        location: of the datasets; all queries run there.
        credentials: JSON key of a service account; without it the application's own credentials.
        endpoint: of an emulator on this machine, which is asked without credentials.
        state_schema: our own dataset there.
    """

    dialect: Dialect = "bigquery"

    def __init__(
        self,
        name: str,
        *,
        project: str,
        dataset: str,
        location: str = "EU",
        credentials: Revealed | None = None,
        endpoint: str | None = None,
        state_schema: str = "_mayfly",
    ) -> None:
        for text, form, what in (
            (project, _PROJECT, "project"),
            (dataset, _DATASET, "dataset"),
            (location, _LOCATION, "location"),
        ):
            if not form.fullmatch(text):
                raise ConfigError("setting_invalid", f"Source {name}: bad name of a {what}.")
        self.name = name
        self._project = project
        self._dataset = dataset
        self._location = location
        self._credentials = credentials
        self._state_schema = state_schema
        self._clients = Clients(
            name, project=project, location=location, credentials=credentials, endpoint=endpoint
        )

    @contextmanager
    def session(self, *, write: bool) -> Iterator[BigquerySession]:
        """See `Source.session`. BigQuery has no session that may not write: with `write=False`
        statements that change anything but temporary tables are refused here.

        Raises:
            TransientError: `source_away`, no answer.
            ConfigError: the credentials do not work; `driver_missing`.
        """
        client = self._clients.open()
        session = BigquerySession(client, dataset=self._dataset, write=write, member=self._member)
        try:
            yield session
        finally:
            session.close()

    @property
    def _member(self) -> str:
        return member_of(self.name, self._credentials)

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        parts = (self._dataset if schema is None else schema).split(".")
        return ".".join(_SQL.quote(part) for part in (*parts, table))

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`: every value has its form."""
        del column
        return None

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`."""
        with self.session(write=False) as session:
            return session.describe(query)

    def estimate(self, query: str) -> int | None:
        """See `ports.source.bytes_scanned`."""
        with self.session(write=False) as session:
            return session.estimate(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`: those of the dataset."""
        with self.session(write=False) as session:
            rows = session.table(
                f"SELECT table_name, column_name, data_type FROM {_SQL.quote(self._dataset)}."
                "INFORMATION_SCHEMA.COLUMNS ORDER BY table_name, ordinal_position"
            ).to_pylist()
        found: dict[str, list[ColumnInfo]] = {}
        for row in rows:
            made = column(str(row["column_name"]), str(row["data_type"]))
            found.setdefault(str(row["table_name"]), []).append(made)
        return [
            TableInfo(schema=self._dataset, name=name, columns=tuple(columns))
            for name, columns in found.items()
        ]

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `ViewSource`: from the catalog of each dataset."""
        with self.session(write=False) as session:
            found = {name: self._view(session, *name) for name in names}
        return {name: view for name, view in found.items() if view is not None}

    def _view(self, session: BigquerySession, schema: str | None, view: str) -> ViewText | None:
        within = self._dataset if schema is None else schema
        catalog = ".".join(_SQL.quote(part) for part in (*within.split("."), "INFORMATION_SCHEMA"))
        try:
            rows = session.table(
                "SELECT v.view_definition AS d, c.column_name AS c "
                f"FROM {catalog}.TABLES AS t LEFT JOIN {catalog}.VIEWS AS v "
                f"ON v.table_name = t.table_name LEFT JOIN {catalog}.COLUMNS AS c "
                "ON c.table_name = t.table_name "
                f"WHERE t.table_name = {_SQL.literal(view)} AND t.table_type LIKE '%VIEW' "
                "ORDER BY c.ordinal_position"
            ).to_pylist()
        except ConfigError as error:
            if error.code not in ("table_missing", "schema_missing"):
                raise
            return None
        if not rows:
            return None
        query = rows[0]["d"] or session.kept_query(within, view)
        if not query:
            return ViewText(schema=within, sql=None)
        names = [str(row["c"]) for row in rows if row["c"] is not None]
        return ViewText(schema=within, sql=named_columns(query, names, _made(session, query)))

    def check(self, *, write: bool) -> None:
        """See `Source.check`: the dataset, where it is, and whether a run's statements may run."""
        self._check_dataset()
        with self.session(write=False) as session:
            session.table("SELECT 1 AS one")
            if not write:
                return
            schema = _SQL.quote(self._state_schema)
            [row] = session.table(_SQL.has_schema(self._state_schema)).to_pylist()
            if row["n"]:
                session.allowed(f"CREATE TABLE {schema}.`mf_check` (n INT64)")
            else:
                session.allowed(f"CREATE SCHEMA {schema}")

    def _check_dataset(self) -> None:
        client = self._clients.open()
        try:
            with translated(self._member):
                found = client.get_dataset(self._dataset, timeout=REQUEST_SECONDS)
        except ConfigError as error:
            if error.code != "table_missing":
                raise
            raise ConfigError(
                "schema_missing",
                f"Source {self.name}: project {self._project} has no dataset {self._dataset}.",
                hint=f"Check `project` and `dataset` of source {self.name}.",
            ) from None
        finally:
            client.close()
        self._check_location(found)

    def _check_location(self, dataset: Any) -> None:
        known = str(dataset.location or self._location)
        if known.casefold() != self._location.casefold():
            raise ConfigError(
                "location_differs",
                f"Dataset {self._dataset} of source {self.name} is in another location than the "
                "source says.",
                hint=f"Set `location` of source {self.name} to the dataset's.",
            )

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with self.session(write=False) as session:
            [row] = session.table("SELECT CURRENT_TIMESTAMP() AS now").to_pylist()
        return ServerFacts(engine="BigQuery", clock=row["now"])


def _made(session: BigquerySession, query: str) -> list[str]:
    """What a query calls its columns; nothing where it is not one that this account may run."""
    try:
        return [column.name for column in session.describe(query)]
    except ConfigError:
        return []


def _open(request: SourceRequest) -> BigquerySource:
    given = request.settings.options
    reference = given.get("credentials")
    return BigquerySource(
        request.settings.name,
        project=str(given["project"]),
        dataset=str(given["dataset"]),
        location=str(given.get("location", "EU")),
        credentials=request.resolve(reference) if isinstance(reference, SecretRef) else None,
        endpoint=endpoint_of(request),
        state_schema=request.settings.state_schema,
    )


SPEC = SourceSpec(
    type="bigquery",
    open=_open,
    dialect=BigqueryDialect,
    hosts=hosts,
    grants=bigquery_grants,
)
