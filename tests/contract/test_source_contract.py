"""The suite of sources, run on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from bigquery_emulator import Emulator
from clickhouse_server import ClickHouse
from contract.clickhouse_world import clickhouse_world
from contract.clickhouse_world import make_people as make_clickhouse_people
from contract.databricks_world import databricks_world
from contract.databricks_world import make_people as make_databricks_people
from contract.mysql_world import make_people, mysql_world
from contract.source_types import DUCKDB_TYPES
from contract.source_types_mysql import MAKE_TYPED
from contract.source_worlds import (
    Dsn,
    bigquery_world,
    postgres_world,
    redshift_world,
    snowflake_world,
    sqlite_world,
)
from contract.spark_world import make_people as make_spark_people
from contract.spark_world import spark_world
from databricks_server import Databricks, databricks_server
from fakesnow_server import Fakesnow
from mariadb import MariaDB
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.files import FilesSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.errors import ConfigError, ContractError, TransientError
from mayfly.planning.sql.dialect import quote
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.testing.source_contract import MARK, SourceContract, SourceWorld, ViewContract
from plugin_world import example
from spark_connect import SparkServer

_ROWS = f"SELECT i AS id, '{MARK}' AS name FROM range(1000) t(i)"


@pytest.fixture(scope="module")
def server_dsn(postgres_module_database: str) -> str:
    """A real PostgreSQL over its socket, with the people."""
    uri = postgres_module_database
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE people AS SELECT i AS id, '{MARK}'::text AS name "
            "FROM generate_series(0, 999) i"
        )
        for made in (
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            "CREATE TYPE pair AS (a int, b text)",
            "CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%')",
            "CREATE DOMAIN above AS int NOT NULL CHECK (VALUE > 0)",
            "CREATE DOMAIN price AS numeric(10,2)",
            "CREATE DOMAIN since AS timestamptz",
        ):
            connection.execute(made)
    return uri


def _file(folder: Path) -> Path:
    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE people AS {_ROWS}")
    return path


def _as_duckdb_owner(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


def _make_duckdb(path: Path, name: str, rows: pa.Table) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.register("given", rows)
        connection.execute(f"CREATE TABLE {quote(name)} AS SELECT * FROM given")


class TestDuckdb(ViewContract):
    """A DuckDB file."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        """A file of its own."""
        path = _file(tmp_path)
        return SourceWorld(
            source=DuckdbSource("shop", path, lock_wait_seconds=0),
            writable=True,
            sql=DuckdbDialect(),
            make=partial(_make_duckdb, path),
            owner=partial(_as_duckdb_owner, path),
            types=DUCKDB_TYPES,
        )


class TestParquet(SourceContract):
    """A folder with a Parquet file."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        """A folder of its own."""
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({_ROWS}) TO '{tmp_path}/people.parquet'")
        return SourceWorld(
            source=FilesSource("folder", tmp_path),
            writable=False,
            sql=DuckdbDialect(),
            make=lambda name, rows: pq.write_table(rows, tmp_path / f"{name}.parquet"),
        )


class TestCsv(SourceContract):
    """A folder with a CSV file."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        """A folder of its own."""
        rows = "".join(f"{i},{MARK}\n" for i in range(1000))
        (tmp_path / "people.csv").write_text("id,name\n" + rows)
        return SourceWorld(
            source=FilesSource("folder", tmp_path),
            writable=False,
            sql=DuckdbDialect(),
            make=lambda name, rows: csv.write_csv(rows, tmp_path / f"{name}.csv"),
        )


class TestPostgres(ViewContract):
    """A real PostgreSQL."""

    @pytest.fixture
    def world(self, server_dsn: str) -> SourceWorld:
        """One server for the module."""
        return postgres_world(server_dsn)


class TestRedshift(ViewContract):
    """The protocol of a Redshift, on a real PostgreSQL."""

    @pytest.fixture
    def world(self, server_dsn: str) -> SourceWorld:
        """One server for the module."""
        return redshift_world(server_dsn)


@pytest.fixture(scope="module")
def databricks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databricks]:
    """A stand-in for a SQL warehouse, with the people."""
    path = tmp_path_factory.mktemp("databricks") / "shop.duckdb"
    make_databricks_people(path)
    with databricks_server(path) as made:
        yield made


class TestDatabricks(ViewContract):
    """Databricks' connector, and a stand-in behind it."""

    @pytest.fixture
    def world(self, databricks: Databricks) -> SourceWorld:
        """One server for the module."""
        return databricks_world(databricks)


class TestSqlite(ViewContract):
    """An SQLite file."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        """A file of its own."""
        return sqlite_world(tmp_path)


@pytest.fixture(scope="module")
def mysql(mariadb_session: MariaDB) -> MariaDB:
    """A real MariaDB, with the people and a row of every type."""
    make_people(mariadb_session, "crm")
    mariadb_session.query(MAKE_TYPED, "crm")
    return mariadb_session


class TestMysql(ViewContract):
    """A real MariaDB."""

    @pytest.fixture
    def world(self, mysql: MariaDB) -> SourceWorld:
        """One server for the module."""
        return mysql_world(mysql, "crm")


@pytest.fixture(scope="module")
def snowflake(fakesnow: Fakesnow) -> SourceWorld:
    """A database of an emulator, with the people."""
    return snowflake_world(fakesnow.source())


class TestSnowflake(ViewContract):
    """An emulator of Snowflake: its protocol and syntax, not its functions."""

    @pytest.fixture
    def world(self, snowflake: SourceWorld) -> SourceWorld:
        """One database for the module."""
        return snowflake


@pytest.fixture(scope="module")
def clickhouse_people(clickhouse: ClickHouse) -> SourceWorld:
    """A database with the people."""
    database = clickhouse.database()
    make_clickhouse_people(clickhouse, database)
    return clickhouse_world(clickhouse, database)


class TestClickhouse(ViewContract):
    """ClickHouse's own engine."""

    @pytest.fixture
    def world(self, clickhouse_people: SourceWorld) -> SourceWorld:
        """One database for the module."""
        return clickhouse_people


@pytest.fixture(scope="module")
def people_dataset(bigquery_emulator: Emulator) -> Iterator[tuple[Emulator, str]]:
    """A dataset of the emulator, with the people."""
    name = bigquery_emulator.dataset()
    bigquery_emulator.run(
        f"CREATE TABLE people AS SELECT i AS id, '{MARK}' AS name "
        "FROM UNNEST(GENERATE_ARRAY(0, 999)) AS i",
        dataset=name,
    )
    yield bigquery_emulator, name
    bigquery_emulator.drop(name)


class TestBigquery(ViewContract):
    """The emulator of BigQuery."""

    @pytest.fixture
    def world(self, people_dataset: tuple[Emulator, str]) -> SourceWorld:
        """One dataset for the module."""
        return bigquery_world(*people_dataset)


@pytest.fixture(scope="module")
def spark_people(spark_session: SparkServer) -> tuple[SparkServer, str]:
    """A schema of a real Spark, with the people."""
    return spark_session, make_spark_people(spark_session)


@pytest.mark.slow
class TestSpark(ViewContract):
    """A real Spark, through Spark Connect."""

    @pytest.fixture
    def world(self, spark_people: tuple[SparkServer, str]) -> SourceWorld:
        """One schema for the module."""
        return spark_world(*spark_people)


def test_another_statement_cannot_cut_a_stream_short(server_dsn: str) -> None:
    """The driver would end the stream silently; the session refuses instead."""
    with PostgresSource("crm", Dsn(server_dsn)).session(write=False) as session:
        stream = session.stream("SELECT id FROM people", rows=10)
        next(stream)
        with pytest.raises(ContractError, match="session_busy"):
            session.table("SELECT 1")
        assert sum(b.num_rows for b in stream) == 990


def test_missing_grants_are_printed(server_dsn: str) -> None:
    """A role without rights is told the statements that give them."""
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA shut")
        admin.execute("CREATE TABLE shut.t AS SELECT 1 AS a")
        admin.execute("CREATE ROLE guest LOGIN")
    dsn = server_dsn.replace("postgres:@", "guest:@")
    with pytest.raises(ConfigError, match="missing_grant") as caught:
        PostgresSource("crm", Dsn(dsn), schema="shut").check(write=True)
    assert 'GRANT USAGE ON SCHEMA "shut" TO "guest";' in caught.value.hint
    assert 'TO "guest";' in caught.value.hint.partition("GRANT CREATE ON DATABASE")[2]


def test_a_weak_dsn_off_this_machine_is_refused() -> None:
    """TLS off loopback is verified, without exception."""
    source = PostgresSource("crm", Dsn("postgresql://u:p@db.example.com/x?sslmode=prefer"))
    with pytest.raises(ConfigError, match="tls_required"):
        source.check(write=False)


def test_a_locked_duckdb_file_is_reported(tmp_path: Path) -> None:
    """A file another session holds is transient, with the ways out."""
    path = _file(tmp_path)
    with duckdb.connect(str(path)), pytest.raises(TransientError, match="locked") as caught:
        DuckdbSource("shop", path, lock_wait_seconds=0).check(write=False)
    assert "Parquet" in caught.value.hint


def test_duckdb_takes_two_thousand_columns_and_refuses_twins(tmp_path: Path) -> None:
    """Wide tables are described; names that differ only in case are refused."""
    source = DuckdbSource("shop", _file(tmp_path), lock_wait_seconds=0)
    wide = "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(2000))
    assert len(source.describe(wide)) == 2000
    with pytest.raises(ConfigError, match="column_ambiguous"):
        source.describe('SELECT 1 AS a, 2 AS "A"')


@pytest.mark.parametrize("links", [True, False])
def test_a_linked_or_missing_duckdb_file_is_refused(tmp_path: Path, links: bool) -> None:
    """A source is never followed elsewhere, and never created."""
    path = tmp_path / "other.duckdb"
    if links:
        path.symlink_to(_file(tmp_path))
    with pytest.raises(ConfigError, match="symbolic_link" if links else "file_missing"):
        DuckdbSource("shop", path).check(write=False)
    assert path.exists() == links


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{out}/secret.csv')",
        "SELECT * FROM '{out}/secret.csv'",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM glob('{out}/*')",
    ],
)
def test_engines_in_this_process_open_no_other_file(tmp_path: Path, sql: str) -> None:
    """Behind the rules for model SQL the engine itself is shut."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text("id\n1\n")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for source in (FilesSource("f", tmp_path / "in"), DuckdbSource("d", _file(tmp_path))):
        with source.session(write=False) as session, pytest.raises(ConfigError):
            session.table(sql.replace("{out}", str(tmp_path)))


def test_a_folder_refuses_links_and_two_files_of_one_stem(tmp_path: Path) -> None:
    """A table is one file in the folder itself, and COPY cannot write it."""
    (tmp_path / "people.csv").write_text("id\n1\n")
    source = FilesSource("folder", tmp_path)
    with source.session(write=False) as session, pytest.raises(ConfigError, match="read_only"):
        session.execute(f"COPY (SELECT 2 AS id) TO '{tmp_path}/people.csv'")
    (tmp_path / "People.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match="table_ambiguous"):
        source.check(write=False)
    (tmp_path / "People.parquet").unlink()
    (tmp_path / "link.csv").symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match="symbolic_link"):
        source.check(write=False)


class TestPlugin(SourceContract):
    """The source that the page on adding one shows."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        """A folder with a JSON Lines file."""
        module: dict[str, Any] = {"__name__": "mayfly_jsonl"}
        exec(compile(example(), "mayfly_jsonl.py", "exec"), module)  # our own page
        rows = "".join(f'{{"id": {i}, "name": "{MARK}"}}\n' for i in range(1000))
        (tmp_path / "people.jsonl").write_text(rows)
        source = module["JsonlSource"]("folder", tmp_path)
        return SourceWorld(source=source, writable=False)
