"""A world of the suite of sources: Databricks' connector, and a stand-in behind it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from databricks_server import Databricks
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.planning.sql.dialect import quote
from mayfly.ports.source import SqlSession
from mayfly.testing.source_contract import MARK, SourceWorld

OWN = ("k0", "fp", "c", "n", "batch", "pos", "x0", "v0", "s0", "w", "here", "dk", "unfit", "m")


def make_people(path: Path) -> None:
    """The people, in a file."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"CREATE TABLE people AS SELECT i AS id, '{MARK}' AS name FROM range(1000) t(i)"
        )


def make_table(server: Databricks, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    connection = server.warehouse._base.cursor()
    connection.register("given", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {quote(name)} AS SELECT * FROM given")


def cutter(server: Databricks, session: SqlSession) -> Callable[[], None]:
    """What ends every session."""
    del session
    return server.warehouse.cut


def databricks_world(server: Databricks) -> SourceWorld:
    """One over people."""
    return SourceWorld(
        source=server.source(),
        writable=False,
        sql=DatabricksDialect(),
        make=partial(make_table, server),
        owner=server.warehouse.as_owner,
        odd_names=("two words", "select", "naïve 名前", "it's", "UPPER", "x" * 63, "tick`", *OWN),
        odd_tables=("select", "two-words"),
        cutter=partial(cutter, server),
        running=lambda: len(server.warehouse.results),
        pieces=20,
    )
