"""The plan stores that are held to the delivery protocol, each over an empty warehouse.

To hold another one to it, add one line to STORES and one to `maker_of`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pymysql
import pytest

from bigquery_emulator import PROJECT, Emulator
from contract.committing import CommittingDialect, CommittingSource
from fakesnow_server import Fakesnow
from mariadb import MariaDB
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.shared import SharedSourcePlanStore
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.snowflake import SnowflakeSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.source import Source
from mayfly.testing.fake_keys import FakeKeyProvider
from mayfly.testing.plan_world import ModelRow, Warehouse
from spool_worlds import spool_in
from sqlite_files import write_people

MakeWarehouse = Callable[[], AbstractContextManager[Warehouse]]
STORES = ("duckdb", "postgres", "committing", "mysql", "sqlite")
ENGINES = (*STORES[1:], "snowflake", "bigquery")
"""Those whose every step is played in a soak; the last two on emulators."""


def in_source(
    source: Source,
    sql: SqlDialect,
    write_model: Callable[[Sequence[ModelRow]], None],
    spool: Path,
) -> Warehouse:
    """A warehouse whose plans wait in itself, and a folder for what must wait sealed."""
    provider = FakeKeyProvider()
    kind = SourcePlanStore if sql.brief is None else SharedSourcePlanStore
    return Warehouse(
        source=source,
        sql=sql,
        write_model=write_model,
        make_store=lambda identity, clock: kind(source, sql, identity, owner="me", clock_ms=clock),
        make_spool=lambda clock: spool_in(spool, provider, now_ms=clock),
    )


def write_loaded(source: Source, rows: Sequence[ModelRow]) -> None:
    """The model as a table of the source: in one statement, since each run has its own."""
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    kinds = (pa.int64(), pa.string(), pa.string(), pa.bool_())
    given = [pa.array(c, k) for c, k in zip(columns, kinds, strict=True)]
    with source.session(write=True) as session:
        session.load("mf_given", pa.table(given, names=["id", "email", "city", "ok"]))
        session.execute(
            "CREATE OR REPLACE TABLE people AS SELECT id, email, city, ok FROM mf_given"
        )


def _empty_file(folder: Path) -> Path:
    duckdb.connect(str(folder / "shop.duckdb")).close()
    return folder / "shop.duckdb"


@contextmanager
def duckdb_file() -> Iterator[Warehouse]:
    """An empty DuckDB file."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = DuckdbSource("shop", _empty_file(Path(folder)))
        yield in_source(source, DuckdbDialect(), partial(write_loaded, source), Path(folder))


@contextmanager
def committing_file() -> Iterator[Warehouse]:
    """An empty DuckDB file, of an engine whose transactions undo no table."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = CommittingSource("shop", _empty_file(Path(folder)))
        yield in_source(source, CommittingDialect(), partial(write_loaded, source), Path(folder))


@contextmanager
def bigquery(emulator: Emulator) -> Iterator[Warehouse]:
    """A new dataset of the BigQuery emulator, without a state."""
    emulator.drop("_mayfly")
    dataset = emulator.dataset()
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = BigquerySource(
            "shop", project=PROJECT, dataset=dataset, endpoint=emulator.endpoint
        )
        yield in_source(source, BigqueryDialect(), partial(write_loaded, source), Path(folder))
    emulator.drop(dataset)


@contextmanager
def sqlite_file() -> Iterator[Warehouse]:
    """An empty SQLite file."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        path = Path(folder) / "shop.sqlite"
        path.touch()
        source = SqliteSource("shop", path)
        yield in_source(source, SqliteDialect(), partial(write_people, path), Path(folder))


class SharingDialect(SqliteDialect):
    """SQLite as an engine with a server, for processes that go on one step after the other."""

    brief = "SELECT 1"


@contextmanager
def shared_file() -> Iterator[Warehouse]:
    """An empty SQLite file whose plans may be shared."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        path = Path(folder) / "shop.sqlite"
        path.touch()
        source = SqliteSource("shop", path)
        yield in_source(source, SharingDialect(), partial(write_people, path), Path(folder))


class _Dsn:
    """A dsn as a source takes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def write_postgres(dsn: str, rows: Sequence[ModelRow]) -> None:
    """The model as a table of a real PostgreSQL."""
    with psycopg.connect(dsn, autocommit=True) as con, con.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS people (id bigint, email text, city text, ok boolean)"
        )
        cursor.execute("TRUNCATE people")
        cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", rows)


@contextmanager
def postgres(dsn: str) -> Iterator[Warehouse]:
    """A real PostgreSQL without a state."""
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("DROP SCHEMA IF EXISTS _mayfly CASCADE")
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = PostgresSource("shop", _Dsn(dsn))
        made = in_source(source, PostgresDialect(), partial(write_postgres, dsn), Path(folder))
        yield replace(made, stranger=partial(stranger, dsn))


def write_mysql(server: MariaDB, rows: Sequence[ModelRow]) -> None:
    """The model as a table of a real MariaDB."""
    with pymysql.connect(
        unix_socket=str(server.socket), user="root", database="shop", charset="utf8mb4"
    ) as con:
        con.cursor().execute("DELETE FROM people")
        con.cursor().executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", rows)
        con.commit()


@contextmanager
def mysql(server: MariaDB) -> Iterator[Warehouse]:
    """A real MariaDB without a state."""
    server.query(
        "DROP DATABASE IF EXISTS _mayfly; DROP DATABASE IF EXISTS shop; CREATE DATABASE shop "
        "CHARACTER SET utf8mb4; CREATE TABLE shop.people (id bigint, email varchar(100), "
        "city varchar(100), ok boolean)"
    )
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = MysqlSource("shop", _Dsn(server.dsn("shop")))
        yield in_source(source, MysqlDialect(), partial(write_mysql, server), Path(folder))
    server.query("DROP DATABASE IF EXISTS _mayfly; DROP DATABASE shop")


def stranger(dsn: str) -> PostgresSource:
    """A role to whom, and to everybody, the owner gives all tables he will make."""
    with psycopg.connect(dsn, autocommit=True) as con:
        if con.execute("SELECT to_regrole('stranger')").fetchone() == (None,):
            con.execute("CREATE ROLE stranger LOGIN")
        con.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, stranger")
        con.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC, stranger")
    made = psycopg.conninfo.make_conninfo(dsn, user="stranger")
    return PostgresSource("shop", _Dsn(made))


def write_snowflake(source: SnowflakeSource, rows: Sequence[ModelRow]) -> None:
    """The model as a table of an emulator of Snowflake."""
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    kinds = (pa.int64(), pa.string(), pa.string(), pa.bool_())
    given = [pa.array(c, k) for c, k in zip(columns, kinds, strict=True)]
    with source.session(write=True) as session:
        session.load("mf_given", pa.table(given, names=["id", "email", "city", "ok"]))
        session.execute(
            "CREATE OR REPLACE TABLE people AS SELECT id, email, city, ok FROM mf_given"
        )


@contextmanager
def snowflake(server: Fakesnow) -> Iterator[Warehouse]:
    """An empty database of an emulator of Snowflake."""
    with tempfile.TemporaryDirectory(prefix="mayfly-world-") as folder:
        source = server.source()
        write = partial(write_snowflake, source)
        yield in_source(source, SnowflakeDialect(), write, Path(folder))


def maker_of(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with the plan store that a fixture is parametrised by."""
    return maker(request, request.param)


def maker(request: pytest.FixtureRequest, engine: str) -> MakeWarehouse:
    """A maker of empty warehouses of an engine with a plan store in the source."""
    if engine == "duckdb":
        return duckdb_file
    if engine == "sqlite":
        return sqlite_file
    if engine == "shared":
        return shared_file
    if engine == "committing":
        return committing_file
    if engine == "mysql":
        return partial(mysql, request.getfixturevalue("mariadb_session"))
    if engine == "snowflake":
        return partial(snowflake, request.getfixturevalue("fakesnow"))
    if engine == "bigquery":
        return partial(bigquery, request.getfixturevalue("bigquery_emulator"))
    return partial(postgres, request.getfixturevalue("postgres_database"))
