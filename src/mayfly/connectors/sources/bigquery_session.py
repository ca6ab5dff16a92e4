"""One group of statements at BigQuery as a `SqlSession`, through its own client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mayfly.connectors.sources.bigquery_errors import translated
from mayfly.connectors.sources.bigquery_statements import labels, statement
from mayfly.connectors.sources.bigquery_types import column, type_of_field
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.bigquery import CATALOG
from mayfly.ports.source import ColumnInfo

REQUEST_SECONDS = 60.0
RETRY_SECONDS = 120.0


class BigquerySession:
    """See `SqlSession`. Closing belongs to the source that made it.

    A session of BigQuery's own, which has temporary tables and transactions, is begun by the first
    statement that needs one, and ended with everything that is temporary in it.

    Args:
        client: for this session alone.
        dataset: where tables are that a statement names without one.
        write: whether lasting tables may be changed; BigQuery itself knows no such thing.
        member: whom rights are given to.
    """

    def __init__(self, client: Any, *, dataset: str, write: bool, member: str) -> None:
        from google.cloud import bigquery

        self._bigquery = bigquery
        self._retry = bigquery.DEFAULT_RETRY.with_timeout(RETRY_SECONDS)
        self._client = client
        self._dataset = dataset
        self._write = write
        self._member = member
        self._session_id: str | None = None
        self._temporary: set[str] = set()
        self._open = False
        self._streaming = False

    def execute(self, sql: str) -> int:
        """See `SqlSession.execute`."""
        asked = statement(sql)
        of_session = asked.name is not None and asked.name in self._temporary
        if asked.kind == "temporary":
            self._begin_session()
        elif asked.kind != "query" and not of_session and not self._write:
            raise ConfigError("read_only_session", "The session may not change the source.")
        if asked.kind == "table" and not of_session:
            self.commit()
        try:
            with translated(self._member):
                job = self._run(sql)
                self._finished(job)
        except TransientError as error:
            if error.code == "transaction_conflict" and self._open:
                # BigQuery has ended it already, or does so now.
                with suppress(EngineError):
                    self.rollback()
            raise
        if asked.kind == "temporary" and asked.name is not None:
            self._temporary.add(asked.name)
        elif asked.kind == "table" and asked.name is not None:
            self._temporary.discard(asked.name)
        return int(job.num_dml_affected_rows or 0)

    def table(self, sql: str) -> pa.Table:
        """See `SqlSession.table`."""
        self._require_query(sql)
        try:
            with translated(self._member):
                rows = self._finished(self._run(sql))
                found = rows.to_arrow(create_bqstorage_client=False)
        except ConfigError as error:
            if error.code == "table_missing" and sql.startswith(CATALOG):
                return _nothing(sql)
            raise
        return _bare(found)

    def stream(self, sql: str, *, rows: int = 50_000) -> Iterator[pa.RecordBatch]:
        """See `SqlSession.stream`. BigQuery keeps the result; it is read page by page."""
        self._require_query(sql)
        with translated(self._member):
            found = self._finished(self._run(sql), page_size=rows)
            self._streaming = True
            try:
                for page in found.to_arrow_iterable():
                    batch = page.replace_schema_metadata(None)
                    for first in range(0, batch.num_rows, rows):
                        yield batch.slice(first, rows)
            finally:
                self._streaming = False

    def load(self, name: str, rows: pa.Table) -> None:
        """See `SqlSession.load`: a load job, whose rows stand in no statement and no parameter."""
        self._begin_session()
        file = io.BytesIO()
        pq.write_table(rows, file)
        config = self._bigquery.LoadJobConfig(
            source_format="PARQUET",
            write_disposition="WRITE_EMPTY",
            schema=[self._bigquery.SchemaField(f.name, _LOADED[f.type]) for f in rows.schema],
            connection_properties=self._of_session(),
            labels={"mayfly": "load"},
        )
        with translated(self._member):
            job = self._client.load_table_from_file(
                file,
                f"{self._client.project}._SESSION.{name}",
                rewind=True,
                job_config=config,
                timeout=REQUEST_SECONDS,
            )
            self._finished(job)
        self._temporary.add(name)

    def begin(self) -> None:
        """See `SqlSession.begin`."""
        self.commit()
        self._begin_session()
        self._plain("BEGIN TRANSACTION")
        self._open = True

    def commit(self) -> None:
        """See `SqlSession.commit`. Without a transaction a no-op."""
        if self._open:
            self._open = False
            self._plain("COMMIT TRANSACTION")

    def rollback(self) -> None:
        """See `SqlSession.rollback`."""
        if self._open:
            self._open = False
            self._plain("ROLLBACK TRANSACTION")

    def describe(self, query: str) -> tuple[ColumnInfo, ...]:
        """Columns of a query from a dry run, which reads nothing and costs nothing."""
        schema = self._dry(query).schema or []
        found = tuple(column(f.name, type_of_field(f)) for f in schema)
        folded = [c.name.casefold() for c in found]
        if len(set(folded)) != len(folded):
            raise ConfigError(
                "column_ambiguous",
                f"{len(folded) - len(set(folded))} columns of the query have the name of another.",
                hint="Give each column of the query its own name with AS.",
            )
        return found

    def kept_query(self, dataset: str, view: str) -> str | None:
        """The query of a view whose result is kept, which its catalog of views does not list."""
        project, _, name = dataset.rpartition(".")
        place = f"{project or self._client.project}.{name}.{view}"
        try:
            with translated(self._member):
                found = self._client.get_table(place, retry=self._retry, timeout=REQUEST_SECONDS)
        except ConfigError:
            return None
        query = found.mview_query or found.view_query
        return None if query is None else str(query)

    def estimate(self, query: str) -> int:
        """Bytes that a query would read, from a dry run."""
        return int(self._dry(query).total_bytes_processed or 0)

    def allowed(self, sql: str) -> None:
        """Refuse a statement that the account may not run, or that would fail. Runs nothing."""
        self._dry(sql)

    def close(self) -> None:
        """End the session with all that is temporary in it. Never raises."""
        with suppress(EngineError):
            self.rollback()
        with suppress(EngineError):
            if self._session_id is not None:
                self._plain(f"CALL BQ.ABORT_SESSION('{self._session_id}')")
        self._session_id = None
        self._client.close()

    # -- jobs -----------------------------------------------------------------------------------

    def _begin_session(self) -> None:
        if self._session_id is not None:
            return
        with translated(self._member):
            job = self._run("SELECT 1 AS one", create_session=True)
            self._finished(job)
        info = job.session_info
        if info is None or not str(info.session_id or "").replace("-", "").isalnum():
            raise ContractError("query_failed", "BigQuery began no session.")
        self._session_id = str(info.session_id)

    def _plain(self, sql: str) -> None:
        with translated(self._member):
            self._finished(self._run(sql))

    def _require_query(self, sql: str) -> None:
        if statement(sql).kind != "query":
            raise ConfigError("query_syntax", "Not a query of one statement.")

    def _dry(self, sql: str) -> Any:
        with translated(self._member):
            return self._run(sql, dry_run=True)

    def _run(self, sql: str, **settings: Any) -> Any:
        """Begin a job; asked twice for the same job BigQuery runs it once."""
        if self._streaming:
            raise ContractError("session_busy", "A result of this session is still being read.")
        config = self._bigquery.QueryJobConfig(
            default_dataset=f"{self._client.project}.{self._dataset}",
            use_query_cache=False,
            use_legacy_sql=False,
            connection_properties=[
                self._bigquery.ConnectionProperty("time_zone", "UTC"),
                *self._of_session(),
            ],
            labels=labels(sql),
            **settings,
        )
        return self._client.query(
            sql, job_config=config, retry=self._retry, timeout=REQUEST_SECONDS, job_retry=None
        )

    def _of_session(self) -> list[Any]:
        if self._session_id is None:
            return []
        return [self._bigquery.ConnectionProperty("session_id", self._session_id)]

    def _finished(self, job: Any, **settings: Any) -> Any:
        """Wait for a job; one that nobody waits for any more is cancelled."""
        if job.job_type == "query":
            settings["job_retry"] = None
        try:
            return job.result(retry=self._retry, **settings)
        except BaseException:
            self._cancel(job)
            raise

    def _cancel(self, job: Any) -> None:
        if job.state == "DONE":
            return
        try:
            job.cancel(retry=None, timeout=10.0)
        except Exception:
            return


_LOADED: dict[pa.DataType, str] = {
    pa.int64(): "INT64",
    pa.binary(): "BYTES",
    pa.string(): "STRING",
    pa.bool_(): "BOOL",
}


def _bare(table: pa.Table) -> pa.Table:
    fields = [pa.field(f.name, f.type) for f in table.schema]
    return pa.table(table.columns, schema=pa.schema(fields))


def _nothing(sql: str) -> pa.Table:
    """The answer of a catalog that is not there."""
    if " AS n " in sql:
        return pa.table({"n": pa.array([0], pa.int64())})
    names = ["name", "kind"] if " AS kind " in sql else ["name"]
    return pa.table({name: pa.array([], pa.string()) for name in names})
