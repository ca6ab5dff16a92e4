"""Statements for Redshift and Databricks, translated for a DuckDB: what they tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from mayfly.planning.probe import planner_probe, probe_row
from translated import DIALECTS, MACROS, translation

TEXTS = [None, *("".join(t) for n in range(3) for t in product("12;n", repeat=n)), "0" * 12]
KEYS = ["a", "a ", " a", "A", "é", "", " ", "😀", "a'b\\"]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """With the functions that DuckDB lacks."""
    with duckdb.connect() as made:
        for macro in MACROS:
            made.execute(f"CREATE TEMPORARY MACRO {macro}")
        yield made


def asked(connection: duckdb.DuckDBPyConnection, sql: str, dialect: str) -> list[tuple[Any, ...]]:
    """Rows of a query in another engine's SQL."""
    return connection.execute(translation(sql, dialect)).fetchall()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_two_rows_have_one_fingerprint(
    connection: duckdb.DuckDBPyConnection, dialect: str
) -> None:
    """Neither by where a text ends nor by a null; and it is the one that a probe wants."""
    sql = DIALECTS[dialect]()
    connection.register("t", pa.table({"c": pa.array(TEXTS, pa.string())}))
    rendered = [sql.render(f"t{i}.c", pa.string()) for i in range(2)]
    [found] = asked(
        connection,
        f"SELECT count(*), count(DISTINCT {sql.fingerprint(rendered)}), "
        f"count(DISTINCT {sql.key_digest(rendered)}) FROM t t0, t t1",
        dialect,
    )
    assert found == (len(TEXTS) ** 2,) * 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_plans_rest_on_is_what_the_probe_wants(
    connection: duckdb.DuckDBPyConnection, dialect: str
) -> None:
    """Where functions are as they are meant; one that is another is told by its name."""
    sql = DIALECTS[dialect]()
    connection.register("mf_probe_row", probe_row())
    query, wanted = planner_probe(sql)
    [found] = connection.sql(translation(query, dialect)).to_arrow_table().to_pylist()
    assert {n: v for n, v in found.items() if v != wanted[n]} == {}


def test_texts_that_differ_in_blanks_are_two_keys_of_redshift(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """As their bytes, and back; in consent by a mark behind."""
    sql = DIALECTS["redshift"]()
    connection.register("t", pa.table({"c": KEYS}))
    key = sql.key('"c"', "varchar", pa.string())
    back = sql.key_text("k", "varchar")
    rows = asked(
        connection,
        f"SELECT c, {back}, {sql.key_of_text(back, 'varchar')} = k, {sql.is_one_of('c', ['a'])} "
        f"FROM (SELECT c, {key} AS k FROM t) AS q",
        "redshift",
    )
    assert [(c, c, True, c == "a") for c in KEYS] == rows
