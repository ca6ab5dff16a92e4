"""Fingerprints tell apart whatever differs, on both engines."""

from __future__ import annotations

from itertools import product

import duckdb
import psycopg
import pyarrow as pa
import pytest

from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect

# Whatever could be taken for a length, for what parts lengths, or for the sign of a null.
TEXTS = [None, *("".join(t) for n in range(3) for t in product("12;n", repeat=n)), "é", "0" * 12]


def joined(sql: SqlDialect, columns: int) -> str:
    """Fingerprints of every tuple of texts, counted with the tuples."""
    rows = ", ".join("(NULL)" if t is None else f"('{t}')" for t in TEXTS)
    tables = ", ".join(f"(VALUES {rows}) AS t{i}(c{i})" for i in range(columns))
    rendered = [sql.render(f"c{i}", pa.string()) for i in range(columns)]
    return (
        f"SELECT count(*), count(DISTINCT {sql.fingerprint(rendered)}), "
        f"count(DISTINCT {sql.key_digest(rendered)}) FROM {tables}"
    )


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_no_two_rows_have_one_fingerprint(columns: int) -> None:
    """Neither by where a text ends nor by a null, whatever stands beside it."""
    with duckdb.connect() as connection:
        [found] = connection.execute(joined(DuckdbDialect(), columns)).fetchall()
    assert found == (len(TEXTS) ** columns,) * 3


@pytest.mark.parametrize("columns", [1, 2])
def test_nor_in_postgres(postgres_database: str, columns: int) -> None:
    """Which has texts of its own length."""
    with psycopg.connect(postgres_database) as connection:
        [found] = connection.execute(joined(PostgresDialect(), columns).encode()).fetchall()
    assert found == (len(TEXTS) ** columns,) * 3
