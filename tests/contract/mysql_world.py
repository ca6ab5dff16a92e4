"""A MariaDB for the suite of sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from contract.source_types_mysql import FROM_TYPED, MYSQL_TYPES
from contract.source_worlds import WEAK, Dsn
from mariadb import MariaDB
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.ports.source import SqlSession
from mayfly.testing.source_contract import MARK, ODD_NAMES, Reduced, SourceWorld

_SQL = MysqlDialect()
# It has no names of characters beyond 16 bits, and does not tell names apart by their case.
_NAMES = tuple(n.replace(" 😀", "") for n in ODD_NAMES)
_SETTINGS = {
    "time_zone": "'+05:45'",
    "sql_mode": "'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,TIME_ROUND_FRACTIONAL'",
    "div_precision_increment": "0",
    "group_concat_max_len": "4",
    "sql_select_limit": "1",
    "lc_time_names": "'de_DE'",
    "collation_connection": "'latin1_german1_ci'",
    "tx_isolation": "'SERIALIZABLE'",
}


def make_people(server: MariaDB, database: str) -> None:
    """A database with the people."""
    server.query(
        f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database} CHARACTER SET utf8mb4; "
        f"CREATE TABLE {database}.people ENGINE=InnoDB AS SELECT CAST(seq AS SIGNED) AS id, "
        f"'{MARK}' AS name FROM seq_0_to_999"
    )


def make_table(server: MariaDB, database: str, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    columns = ", ".join(f"{_SQL.quote(n)} bigint" for n in rows.column_names)
    table = f"{database}.{_SQL.quote(name)}"
    values = ", ".join(str(v) for v in rows.to_pylist()[0].values())
    server.query(
        f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns}); "
        f"INSERT INTO {table} VALUES ({values})"
    )


@contextmanager
def other_settings(server: MariaDB) -> Iterator[None]:
    """Sessions begin with other settings."""
    before = {k: server.query(f"SELECT @@global.{k}")[0][0] for k in _SETTINGS}
    try:
        server.query("; ".join(f"SET GLOBAL {k} = {v}" for k, v in _SETTINGS.items()))
        yield
    finally:
        kept = {k: v if v.isdigit() else f"'{v}'" for k, v in before.items()}
        server.query("; ".join(f"SET GLOBAL {k} = {v}" for k, v in kept.items()))


def cutter(server: MariaDB, session: SqlSession) -> Callable[[], None]:
    """What ends a session as an administrator does."""
    number = session.table("SELECT connection_id() AS p").column("p")[0].as_py()
    return lambda: _killed(server, int(number))


def _killed(server: MariaDB, number: int) -> None:
    server.query(f"KILL {number}")


def running(server: MariaDB, database: str) -> int:
    """Statements of ours that the server works on in a database."""
    found = server.query(
        "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query' "
        f"AND db = '{database}'"
    )
    return int(found[0][0])


@contextmanager
def reduced(server: MariaDB, database: str) -> Iterator[Reduced]:
    """A role that may connect, over a model of a database with an odd name."""
    role, weird = f"{_SQL.quote(WEAK)}@localhost", _SQL.quote("we_ird")
    server.query(
        f"DROP USER IF EXISTS {role}; CREATE USER {role} IDENTIFIED BY 'secret'; "
        f"CREATE DATABASE {weird}; CREATE TABLE {weird}.`Ta``ble` AS SELECT * FROM "
        f"{database}.people; CREATE TABLE {weird}.seen (n int); "
        f"GRANT SELECT ON {weird}.seen TO {role}"
    )
    source = MysqlSource("weak", Dsn(server.dsn("we_ird", WEAK)))
    query = f"SELECT id, name FROM {source.relation(None, 'Ta`ble')}"
    try:
        yield Reduced(source=source, query=query, paste=lambda text: _pasted(server, text))
    finally:
        server.query(f"DROP DATABASE {weird}; DROP USER {role}; DROP DATABASE IF EXISTS _mayfly")


def _pasted(server: MariaDB, text: str) -> None:
    server.query(text)


def mysql_world(server: MariaDB, database: str) -> SourceWorld:
    """A real MariaDB with the people."""
    return SourceWorld(
        source=MysqlSource("crm", Dsn(server.dsn(database))),
        writable=True,
        sql=_SQL,
        make=partial(make_table, server, database),
        owner=partial(server.query, database=database),
        odd_names=(*_NAMES, "x" * 64, "é" * 64),
        odd_tables=('o"dd', "two words.é'; --", "select", "Upper", "upper", "y" * 64),
        types=MYSQL_TYPES,
        types_of=FROM_TYPED,
        other_settings=partial(other_settings, server),
        cutter=partial(cutter, server),
        running=partial(running, server, database),
        reduced=partial(reduced, server, database),
    )
