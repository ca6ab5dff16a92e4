"""A real Spark Connect for the suite of sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from contract.source_types_spark import SPARK_TYPES
from mayfly.connectors.sources.spark_session import SparkSession
from mayfly.planning.sql.spark import SparkDialect, quote
from mayfly.ports.source import SqlSession
from mayfly.testing.source_contract import MARK, SourceWorld
from spark_connect import SparkServer


class SparkWorld(SourceWorld):
    """An engine that works out a part of a result as a whole before it gives any of it."""

    def endless(self) -> str:
        """Two parts: as many rows as are read, and one that ends in no day."""
        rows = "SELECT id AS a, id AS b, id AS c, id AS d FROM range(0, {}, 1, 2)"
        return (
            f"{rows.format(1_000_000)} UNION ALL {rows.format(10**17)} WHERE id % 1000003 = 1000004"
        )


def make_people(server: SparkServer) -> str:
    """A schema with the people."""
    schema = server.schema()
    server.sql(f"CREATE TABLE {schema}.people AS SELECT id, '{MARK}' AS name FROM range(1000)")
    return schema


def make_table(server: SparkServer, schema: str, name: str, rows: pa.Table) -> None:
    """A table of whole numbers."""
    [row] = rows.to_pylist()
    shown = ", ".join(f"CAST({value} AS BIGINT) AS {quote(n)}" for n, value in row.items())
    server.sql(f"CREATE OR REPLACE VIEW {schema}.{quote(name)} AS SELECT {shown}")


@contextmanager
def other_settings(server: SparkServer) -> Iterator[None]:
    """Sessions begin with other settings."""
    server.ask("settings", True)
    try:
        yield
    finally:
        server.ask("settings", False)


def cutter(server: SparkServer, schema: str, session: SqlSession) -> Callable[[], None]:
    """What ends a session as an administrator does."""
    assert isinstance(session, SparkSession)
    return partial(server.ask, "cut", schema, session.session_id)


def spark_world(server: SparkServer, schema: str) -> SourceWorld:
    """A real Spark with the people in a schema.

    Names of its tables are of letters, digits and underscores, and small.
    """
    return SparkWorld(
        source=server.source(schema),
        writable=False,
        schema=schema,
        sql=SparkDialect(),
        make=partial(make_table, server, schema),
        owner=partial(server.sql, f"USE {schema}"),
        odd_tables=("select", "n2_9"),
        counts_changes=False,
        types=SPARK_TYPES,
        other_settings=partial(other_settings, server),
        cutter=partial(cutter, server, schema),
        running=partial(server.ask, "running", schema),
    )
