"""What Spark is asked in another way than others, since it would be done on every machine."""

from __future__ import annotations

from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.spark import SparkDialect

WANTED = "SELECT q.v0 FROM plan q WHERE q.v0 IS NOT NULL"


def test_digests_that_no_row_wants_are_joined_and_not_sent_around() -> None:
    """`NOT IN` would be, whole, to each machine; others do it as well as a join."""
    joined = SparkDialect().is_none_of("g.digest", "v0", WANTED)
    assert joined == f"NOT EXISTS (SELECT 1 FROM ({WANTED}) AS mf_x WHERE mf_x.v0 = g.digest)"
    for other in (DuckdbDialect(), DatabricksDialect()):
        assert other.is_none_of("g.digest", "v0", WANTED) == f"g.digest NOT IN ({WANTED})"
