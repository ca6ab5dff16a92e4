"""Worlds of the suite of sources that need a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo

from bigquery_emulator import PROJECT, Emulator
from contract.source_types import (
    BIGQUERY_TYPES,
    POSTGRES_TYPES,
    SNOWFLAKE_TYPES,
    SQLITE_COLUMNS,
    SQLITE_TYPES,
)
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.redshift import RedshiftSource
from mayfly.connectors.sources.snowflake import SnowflakeSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.planning.sql.dialect import quote
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.redshift import RedshiftDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.planning.sql.snowflake import quote as snowflake_quote
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.source import SqlSession
from mayfly.testing.source_contract import MARK, ODD_NAMES, Reduced, SourceWorld
from sqlite_files import as_owner as as_file_owner
from sqlite_files import make_table as make_file_table

WEAK = 'weak "role" é'
_SETTINGS = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "search_path": "pg_catalog",
    "client_encoding": "LATIN1",
    "xmlbinary": "hex",
    "row_security": "on",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "enable_hashjoin": "off",
    "lc_numeric": "C",
    "lc_time": "C",
}


class Dsn:
    """A dsn as a source takes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


def as_owner(dsn: str, *statements: str) -> None:
    """Run statements as the database's owner, whatever the role's settings are."""
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(dsn, autocommit=True, options=options) as admin:
        for statement in statements:
            admin.execute(statement.encode())


def make_table(dsn: str, name: str, rows: pa.Table) -> None:
    """A table of whole numbers in schema public."""
    columns = ", ".join(f"{quote(n)} bigint" for n in rows.column_names)
    table = f"public.{quote(name)}"
    values = ", ".join(str(v) for v in rows.to_pylist()[0].values())
    as_owner(
        dsn,
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} ({columns})",
        f"INSERT INTO {table} VALUES ({values})",
    )


@contextmanager
def other_settings(dsn: str) -> Iterator[None]:
    """The role has settings of its own in this database."""
    base = quote(str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]))
    role = f"ALTER ROLE postgres IN DATABASE {base}"
    as_owner(dsn, *(f"{role} SET {k} = '{v}'" for k, v in _SETTINGS.items()))
    try:
        yield
    finally:
        as_owner(dsn, f"{role} RESET ALL")


def cutter(dsn: str, session: SqlSession) -> Callable[[], None]:
    """What ends a session as an administrator does."""
    pid = session.table("SELECT pg_backend_pid() AS p").column("p")[0].as_py()
    return partial(as_owner, dsn, f"SELECT pg_terminate_backend({int(pid)}, 10000)")


def running(dsn: str) -> int:
    """Statements of ours that this database works on."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        found = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'mayfly' AND state LIKE 'active'"
        ).fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def reduced(dsn: str) -> Iterator[Reduced]:
    """A role that may connect, over a model of two schemas with functions of its own."""
    base, role = quote(str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])), quote(WEAK)
    as_owner(
        dsn,
        f"DROP ROLE IF EXISTS {role}",
        f"CREATE ROLE {role} LOGIN",
        f"REVOKE ALL ON DATABASE {base} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {base} TO PUBLIC",
        'CREATE SCHEMA "we ird"',
        'CREATE TABLE "we ird"."Ta""ble" AS SELECT * FROM public.people',
        'CREATE SCHEMA "Funct"',
        'CREATE FUNCTION "Funct".same(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql '
        "AS 'SELECT $1'",
        'REVOKE ALL ON FUNCTION "Funct".same(bigint) FROM PUBLIC',
    )
    source = PostgresSource(
        "weak", Dsn(make_conninfo(dsn, user=WEAK)), schema="we ird", state_schema="_mayfly"
    )
    table = source.relation(None, 'Ta"ble')
    query = f'SELECT "Funct".same(id) AS id, name FROM {table}'
    try:
        yield Reduced(source=source, query=query, paste=partial(as_owner, dsn))
    finally:
        as_owner(
            dsn,
            'DROP SCHEMA "we ird" CASCADE',
            'DROP SCHEMA "Funct" CASCADE',
            f"DROP OWNED BY {role}",
            f"DROP ROLE {role}",
        )


def postgres_world(dsn: str) -> SourceWorld:
    """A real PostgreSQL with the people in schema public."""
    return SourceWorld(
        source=PostgresSource("crm", Dsn(dsn)),
        writable=True,
        sql=PostgresDialect(),
        make=partial(make_table, dsn),
        owner=partial(as_owner, dsn),
        odd_names=(*ODD_NAMES, "Id", "id", "ID", "ctid ", "é" * 31),
        odd_tables=('o"dd', "two words.é'; --", "select", "Upper", "upper", "y" * 63),
        types=POSTGRES_TYPES,
        other_settings=partial(other_settings, dsn),
        cutter=partial(cutter, dsn),
        running=partial(running, dsn),
        reduced=partial(reduced, dsn),
    )


def redshift_world(dsn: str) -> SourceWorld:
    """A real PostgreSQL, which shows of a Redshift no more than the protocol: its one function that
    loading needs is lent.
    """
    as_owner(
        dsn,
        "CREATE OR REPLACE FUNCTION from_hex(text) RETURNS bytea IMMUTABLE LANGUAGE sql "
        "AS $$ SELECT decode($1, 'hex') $$",
    )
    return SourceWorld(
        source=RedshiftSource("crm", Dsn(dsn), product="PostgreSQL"),
        writable=False,
        sql=RedshiftDialect(),
        make=partial(make_table, dsn),
        owner=partial(as_owner, dsn),
        odd_names=(*ODD_NAMES, "Id", "id", "ID"),
        odd_tables=('o"dd', "two words.é'; --", "select", "Upper", "upper"),
        cutter=partial(cutter, dsn),
        running=partial(running, dsn),
        pieces=20,
    )


def sqlite_file(folder: Path) -> Path:
    """An SQLite file with the people and a row of every type."""
    path = folder / "shop.sqlite"
    with as_file_owner(path) as connection:
        connection.execute("CREATE TABLE people (id INTEGER, name TEXT)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO people VALUES (?, ?)", [(i, MARK) for i in range(1000)])
        connection.execute("COMMIT")
        defined = ", ".join(f"{quote(name)} {kind}" for name, (kind, _) in SQLITE_COLUMNS.items())
        values = ", ".join(value for _, value in SQLITE_COLUMNS.values())
        connection.execute(f"CREATE TABLE kinds ({defined})")
        connection.execute(f"INSERT INTO kinds SELECT {values}")
    return path


def _as_sqlite_owner(path: Path, statement: str) -> None:
    with as_file_owner(path) as connection:
        connection.execute(statement)


def sqlite_world(folder: Path) -> SourceWorld:
    """A file of its own."""
    path = sqlite_file(folder)
    return SourceWorld(
        source=SqliteSource("shop", path, lock_wait_seconds=0),
        writable=True,
        sql=SqliteDialect(),
        make=partial(make_file_table, path),
        owner=partial(_as_sqlite_owner, path),
        odd_names=(*ODD_NAMES, "É", "é"),
        odd_tables=('o"dd', "two words.é'; --", "select", "UPPER", "tick`"),
        types=SQLITE_TYPES,
        checks_casts=False,
    )


class SnowflakeWorld(SourceWorld):
    """An engine that has worked out a result before it gives any of it."""

    def endless(self) -> str:
        """As many rows as are read."""
        people = self.source.relation(None, "people")
        return (
            f"SELECT p0.id AS a, p1.id AS b, p0.id AS c, p1.id AS d FROM {people} p0, {people} p1"
        )


def make_snowflake(source: SnowflakeSource, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    columns = ", ".join(f"{snowflake_quote(n)} NUMBER(19, 0)" for n in rows.column_names)
    values = ", ".join(str(v) for v in rows.to_pylist()[0].values())
    table = source.relation(None, name)
    with source.session(write=True) as session:
        session.execute(f"CREATE TABLE {table} ({columns})")
        session.execute(f"INSERT INTO {table} VALUES ({values})")


def _as_snowflake_owner(source: SnowflakeSource, statement: str) -> None:
    with source.session(write=True) as session:
        session.execute(statement)


def snowflake_world(source: SnowflakeSource) -> SourceWorld:
    """An emulator of Snowflake with the people in schema public."""
    with source.session(write=True) as session:
        session.execute(
            f"CREATE TABLE people AS SELECT CAST(SEQ8() AS NUMBER(9, 0)) AS id, '{MARK}' AS name "
            "FROM TABLE(GENERATOR(ROWCOUNT => 1000))"
        )
    return SnowflakeWorld(
        source=source,
        writable=True,
        sql=SnowflakeDialect(),
        make=partial(make_snowflake, source),
        owner=partial(_as_snowflake_owner, source),
        types=SNOWFLAKE_TYPES,
    )


def make_bigquery_table(emulator: Emulator, dataset: str, name: str, rows: pa.Table) -> None:
    """A table of whole numbers in the dataset."""
    quote_ = BigqueryDialect().quote
    [row] = rows.to_pylist()
    columns = ", ".join(f"{value} AS {quote_(n)}" for n, value in row.items())
    emulator.run(f"CREATE OR REPLACE TABLE {quote_(name)} AS SELECT {columns}", dataset=dataset)


def bigquery_world(emulator: Emulator, dataset: str) -> SourceWorld:
    """The emulator of BigQuery, with the people in a dataset.

    Its names are of letters, digits and a few marks; it tells no two apart by case; and it works
    out the whole of a result before it gives a row.
    """
    own = ("k0", "fp", "c", "n", "batch", "pos", "x0", "v0", "s0", "w", "here", "dk", "unfit", "m")
    return SourceWorld(
        source=BigquerySource("shop", project=PROJECT, dataset=dataset, endpoint=emulator.endpoint),
        writable=True,
        sql=BigqueryDialect(),
        make=partial(make_bigquery_table, emulator, dataset),
        owner=partial(emulator.run, dataset=dataset),
        odd_names=("two words", "select", "naïve 名前", "it's", "UPPER", "x" * 63, *own),
        odd_tables=("select", "UPPER", "two-words", "y" * 63),
        types=BIGQUERY_TYPES,
        pairs=2,
        pieces=5,
    )
