"""Reads from every kind of source that this machine has, emulators included: `make bench-reading`.

Figures of an emulator are those of the emulator: what of them is ours is that it is no slower.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from bigquery_emulator import PROJECT, bigquery_server
from fakesnow_server import fakesnow_server
from mariadb import mariadb_server
from mayfly.bench.postgres import postgres_server
from mayfly.bench.reading import ROUNDS, Measured, reading, sources_here
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect

EMULATED = 10
"""Rows of the others for each row of an emulator."""


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The dsn."""
        return self._text


@contextmanager
def here(rows: int) -> Iterator[dict[str, Measured]]:
    """What needs no server of its own, and PostgreSQL."""
    with tempfile.TemporaryDirectory() as name, postgres_server() as dsn:
        yield sources_here(Path(name), dsn, rows)


@contextmanager
def mysql(rows: int) -> Iterator[dict[str, Measured]]:
    """The system's MariaDB."""
    with mariadb_server() as server:
        server.query("CREATE DATABASE bench CHARACTER SET utf8mb4")
        source = MysqlSource("orders", _Dsn(server.dsn("bench")))
        yield {"mysql (MariaDB)": Measured(source=source, sql=MysqlDialect(), rows=rows)}


@contextmanager
def snowflake(rows: int) -> Iterator[dict[str, Measured]]:
    """An emulator of it."""
    with fakesnow_server() as server:
        sql = SnowflakeDialect()
        made = Measured(source=server.source(), sql=sql, rows=rows // EMULATED)
        yield {"snowflake (fakesnow)": made}


@contextmanager
def bigquery(rows: int) -> Iterator[dict[str, Measured]]:
    """An emulator of it, over REST as Mayfly reads BigQuery, too."""
    with bigquery_server() as server:
        source = BigquerySource(
            "warehouse", project=PROJECT, dataset=server.dataset(), endpoint=server.endpoint
        )
        made = Measured(source=source, sql=BigqueryDialect(), rows=rows // EMULATED)
        yield {"bigquery (bqemulator, REST)": made}


Make = Callable[[int], AbstractContextManager[dict[str, Measured]]]
ALL: tuple[Make, ...] = (here, mysql, snowflake, bigquery)


def main() -> None:
    """Print a table; what is not there is left out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    table = Table("read from", "rows", f"rows a second, best of {ROUNDS}", box=None)
    for make in ALL:
        try:
            with make(rows) as sources:
                for found in reading(sources):
                    table.add_row(
                        str(found["source"]), f"{found['rows']:,}", f"{found['per_second']:,.0f}"
                    )
        except pytest.skip.Exception as left_out:
            table.add_row(make.__name__, "", str(left_out))
    Console().print(table)


if __name__ == "__main__":
    main()
