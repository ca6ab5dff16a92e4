"""What several columns share is worked out once."""

from __future__ import annotations

import duckdb

from mayfly.planning.shared import Shared


def test_named_parts_stand_once_and_the_value_is_the_same() -> None:
    """A part that a later one holds is named inside it; equal expressions have one name. Of rows
    that need none there is none.
    """
    shared = Shared(" /* fence */", needed="need")
    shared.add_layer(["lower(x)", "lower(x)"])
    shared.add_layer(["length(lower(x))", "lower(x)"])
    made = shared.over("SELECT x, need FROM t")
    assert made.count("lower(x)") == 1
    assert made.count("/* fence */") == 3
    assert shared.named("length(lower(x)) + 1") == "h1 + 1"
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t AS SELECT 'ABC' AS x, n = 0 AS need FROM range(2) AS r(n)")
        found = con.execute(f"SELECT h0, h1 FROM ({made}) AS m ORDER BY need DESC").fetchall()
        assert found == [("abc", 3), (None, None)]


def test_nothing_shared_leaves_one_fenced_subquery() -> None:
    """No layer is made for nothing."""
    shared = Shared("", needed="need")
    shared.add_layer([])
    assert shared.over("SELECT 1") == "SELECT 1"
