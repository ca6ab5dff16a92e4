"""Local plan stores, beside sources that nothing may be written to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickhouse_server import ClickHouse
from contract.clickhouse_world import clickhouse_source
from contract.plan_stores import (
    STORES,
    MakeWarehouse,
    maker_of,
    write_postgres,
    write_snowflake,
)
from fakesnow_server import Fakesnow
from mayfly.adapters.planstores.local import LocalDatabases, LocalPlanStore
from mayfly.connectors.sources.files import FilesSource
from mayfly.connectors.sources.local_state import LocalStateDatabase, make_database
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.planning.sql.clickhouse import ClickhouseDialect
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.planning.sql.spark import SparkDialect
from mayfly.ports.source import Source
from mayfly.testing.fake_keys import FakeKeyProvider
from mayfly.testing.plan_world import ModelRow, Warehouse
from spark_connect import SparkServer
from spool_worlds import spool_in

KEY = bytes(range(32))
READING_ROLE = "reading role"
CLICKHOUSE = "clickhouse"
READ_SNOWFLAKE = "snowflake that is only read"
SPARK = "spark"
ANY_STORE = [STORES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in (*STORES[1:], "folder"))]


def any_maker_of(request: pytest.FixtureRequest) -> MakeWarehouse:
    """See `maker_of`; local stores, too."""
    if request.param == READING_ROLE:
        return partial(reading_role, request.getfixturevalue("postgres_database"))
    if request.param == CLICKHOUSE:
        return partial(clickhouse_database, request.getfixturevalue("clickhouse"))
    if request.param == READ_SNOWFLAKE:
        return partial(read_snowflake, request.getfixturevalue("fakesnow"))
    if request.param == SPARK:
        return partial(spark_schema, request.getfixturevalue("spark_session"))
    return parquet_folder if request.param == "folder" else maker_of(request)


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def databases_in(folder: Path) -> LocalDatabases:
    """States in a folder of ours."""
    return LocalDatabases(
        folder=folder / "state",
        make=make_database,
        open=lambda path: LocalStateDatabase(path, lock_wait_seconds=0),
    )


def beside(
    source: Source,
    sql: SqlDialect,
    write_model: Callable[[Sequence[ModelRow]], None],
    folder: Path,
) -> Warehouse:
    """A source whose states are in a folder of ours, and a folder for what must wait sealed."""
    provider = FakeKeyProvider()
    databases = databases_in(folder)
    return Warehouse(
        source=source,
        sql=sql,
        write_model=write_model,
        make_store=lambda identity, clock: LocalPlanStore(
            source,
            sql,
            identity,
            owner="me",
            clock_ms=clock,
            databases=databases,
            key=lambda: KEY,
            holds=True,
        ),
        make_spool=lambda clock: spool_in(folder, provider, now_ms=clock),
    )


def write_parquet(folder: Path, rows: Sequence[ModelRow]) -> None:
    """The model as a Parquet file."""
    types = {"id": pa.int64(), "email": pa.string(), "city": pa.string(), "ok": pa.bool_()}
    columns = zip(*rows, strict=True) if rows else [[] for _ in types]
    made = {
        name: pa.array(list(values), kind)
        for (name, kind), values in zip(types.items(), columns, strict=True)
    }
    pq.write_table(pa.table(made), folder / "people.parquet")


@contextmanager
def parquet_folder() -> Iterator[Warehouse]:
    """A folder of files."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        write_parquet(folder / "data", [])
        source = FilesSource("shop", folder / "data")
        yield beside(source, DuckdbDialect(), partial(write_parquet, folder / "data"), folder)


def write_spark(server: SparkServer, schema: str, rows: Sequence[ModelRow]) -> None:
    """The model as a view of a real Spark."""
    columns = "CAST(id AS BIGINT) AS id, CAST(email AS STRING) AS email, "
    columns += "CAST(city AS STRING) AS city, CAST(ok AS BOOLEAN) AS ok"
    literal = SparkDialect().literal
    values = [
        f"({', '.join('NULL' if v is None else literal(v) for v in row)})" for row in rows
    ] or ["(NULL, NULL, NULL, NULL)"]
    server.sql(
        f"CREATE OR REPLACE VIEW {schema}.people AS SELECT {columns} FROM VALUES "
        f"{', '.join(values)} AS t (id, email, city, ok){'' if rows else ' WHERE FALSE'}"
    )


@contextmanager
def spark_schema(server: SparkServer) -> Iterator[Warehouse]:
    """A schema of a real Spark."""
    schema = server.schema()
    write_spark(server, schema, [])
    with server.hurried(), tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        write = partial(write_spark, server, schema)
        yield beside(server.source(schema), SparkDialect(), write, Path(name))
    server.sql(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def reading_role(dsn: str) -> Iterator[Warehouse]:
    """A real PostgreSQL, read by a role that may write nothing."""
    write_postgres(dsn, [])
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("DROP SCHEMA IF EXISTS _mayfly CASCADE")
        if con.execute("SELECT to_regrole('reader')").fetchone() == (None,):
            con.execute("CREATE ROLE reader LOGIN")
        con.execute("GRANT SELECT ON people TO reader")
    reader = psycopg.conninfo.make_conninfo(dsn, user="reader")
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        source = PostgresSource("shop", _Dsn(reader))
        yield beside(source, PostgresDialect(), partial(write_postgres, dsn), Path(name))
    with psycopg.connect(dsn, autocommit=True) as con:
        assert con.execute("SELECT to_regnamespace('_mayfly')").fetchone() == (None,)


def write_clickhouse(server: ClickHouse, database: str, rows: Sequence[ModelRow]) -> None:
    """The model as a table of a ClickHouse."""
    types = {"id": pa.int64(), "email": pa.string(), "city": pa.string(), "ok": pa.bool_()}
    columns = zip(*rows, strict=True) if rows else [[] for _ in types]
    made = [pa.array(list(c), k) for c, k in zip(columns, types.values(), strict=True)]
    sink = pa.BufferOutputStream()
    table = pa.table(made, names=list(types))
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    server.query(f"TRUNCATE TABLE {database}.people")
    server.insert(f"{database}.people", sink.getvalue().to_pybytes())


@contextmanager
def clickhouse_database(server: ClickHouse) -> Iterator[Warehouse]:
    """A ClickHouse, whose states can only be local."""
    database = server.database()
    server.query(
        f"CREATE TABLE {database}.people (id Int64, email LowCardinality(Nullable(String)), "
        "city Nullable(String), ok Nullable(Bool)) ENGINE = MergeTree ORDER BY id"
    )
    write = partial(write_clickhouse, server, database)
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        source = clickhouse_source(server, database)
        yield beside(source, ClickhouseDialect(), write, Path(name))
    server.query(f"DROP DATABASE {database}")


@contextmanager
def read_snowflake(server: Fakesnow) -> Iterator[Warehouse]:
    """An emulator of Snowflake, in which no schema of ours is made."""
    source, sql = server.source(), SnowflakeDialect()
    write = partial(write_snowflake, source)
    write([])
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as name:
        yield beside(source, sql, write, Path(name))
    with source.session(write=False) as session:
        assert session.table(sql.has_schema("_mayfly")).column("n").to_pylist() == [0]
