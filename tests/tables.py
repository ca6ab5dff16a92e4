"""Databases that destinations write to, with a way to look into each."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pymysql
import pytest

from mayfly.connectors.destinations import (
    database_duckdb,
    database_mysql,
    database_postgres,
    database_sqlite,
)
from mayfly.connectors.mysql_connect import read_dsn
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext, Done, Progress, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

ENGINES = ("duckdb", "sqlite", "postgres", "mysql")
SERVERS = {"postgres": "postgres_database", "mysql": "mariadb_database"}
"""Kinds with a server, and the fixture that gives the dsn of a database there."""
ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", 'q"uote', None]})


class Dsn:
    """A dsn as a destination takes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


class Bench:
    """One kind of database, with a way to look into it."""

    def __init__(self, kind: str, tmp_path: Path, dsn: str) -> None:
        self.kind = kind
        self.path = tmp_path / f"crm.{kind}"
        self.dsn = dsn

    def make(self, context: DestinationContext) -> Any:
        """The connector."""
        if self.kind == "postgres":
            return database_postgres.make(dsn=Dsn(self.dsn), schema="public", context=context)
        if self.kind == "mysql":
            return database_mysql.make(dsn=Dsn(self.dsn), context=context)
        module = database_duckdb if self.kind == "duckdb" else database_sqlite
        return module.make(path=self.path, context=context)

    @property
    def names(self) -> str:
        """Query of the names of all tables."""
        if self.kind == "sqlite":
            return "SELECT name FROM sqlite_master WHERE type = 'table'"
        if self.kind == "mysql":
            return (
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            )
        schema = "public" if self.kind == "postgres" else "main"
        return (
            "SELECT CAST(table_name AS varchar) FROM information_schema.tables "
            f"WHERE table_schema = '{schema}'"
        )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        if self.kind == "postgres":
            with psycopg.connect(self.dsn, autocommit=True) as con:
                cursor = con.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []
        if self.kind == "mysql":
            with in_mariadb(self.dsn) as con, con.cursor() as rows:
                rows.execute(sql)
                return list(rows.fetchall())
        if self.kind == "duckdb":
            with duckdb.connect(str(self.path)) as con:
                return con.execute(sql).fetchall()
        with sqlite3.connect(self.path) as con:
            return con.execute(sql).fetchall()


def in_mariadb(dsn: str) -> Any:
    """A connection to look in by, in which names stand in quotation marks as elsewhere."""
    given = read_dsn("the test", Dsn(dsn))
    where = {"unix_socket": given.socket} if given.socket else {"host": given.host}
    return pymysql.connect(
        **where,
        port=given.port,
        user=given.user,
        password=given.password,
        database=given.database,
        charset="utf8mb4",
        autocommit=True,
        init_command="SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES', time_zone = '+00:00'",
    )


def bench_of(request: pytest.FixtureRequest, kind: str, folder: Path) -> Bench:
    """An empty database of a kind."""
    dsn = request.getfixturevalue(SERVERS[kind]) if kind in SERVERS else ""
    return Bench(kind, folder, dsn)


def context(rows: pa.Table = ROWS, **more: Any) -> DestinationContext:
    """A mirror of table `people` by id."""
    made = DestinationContext(
        workspace="w",
        sync="s",
        mode=SyncMode.MIRROR,
        object_name="people",
        key=("id",),
        columns={f.name: f.type for f in rows.schema},
        forms=dict.fromkeys(rows.column_names, Form.CLEAR),
    )
    return replace(made, **more)


def batch(
    rows: pa.Table = ROWS, *, number: int = 0, operation: Operation = Operation.WRITE
) -> ProtectedBatch:
    """A batch that passed the gate."""
    head = BatchHead(
        sync="s", run="r1", number=number, of=9, operation=operation, rows=rows.num_rows
    )
    return ProtectedBatch(head, rows, dict.fromkeys(rows.column_names, Form.CLEAR), seal=THE_SEAL)


def write(destination: Any, given: ProtectedBatch) -> Done | Submitted:
    """Hand over a batch."""
    return asyncio.run(destination.write(given, Progress(rows=len(given))))
