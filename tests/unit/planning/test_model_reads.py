"""What a model's SQL reads, for granting no more."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_reads import TableRead, joined_reads, reads_of_sql


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT Id, email FROM people WHERE ads", {"people": "ads email id"}),
        ('SELECT "ID" FROM "People"', {"People": "ID"}),
        ("SELECT P.id FROM crm.people p ORDER BY p.age", {"crm.people": "age id"}),
        (
            "SELECT p.id, o.total FROM people p JOIN shop.orders o ON o.pid = p.id",
            {"people": "id", "shop.orders": "pid total"},
        ),
        ("SELECT a FROM (SELECT a, b AS c FROM t) q WHERE c > 1", {"t": "a b"}),
        ("WITH x AS (SELECT a, b FROM t) SELECT a FROM x", {"t": "a b"}),
        ("SELECT a FROM t UNION ALL SELECT b FROM s.u", {"t": "a", "s.u": "b"}),
        ("SELECT a, sum(b) OVER w FROM t WINDOW w AS (PARTITION BY c)", {"t": "a b c"}),
        (
            "SELECT p.id FROM p WHERE EXISTS (SELECT 1 FROM o WHERE o.pid = p.code)",
            {"p": "code id", "o": "pid"},
        ),
        ("SELECT x.v FROM p, unnest(p.tags) AS x(v)", {"p": "tags"}),
        ("SELECT 1 AS a", {}),
    ],
)
def test_columns_that_are_read_are_told(sql: str, reads: dict[str, str]) -> None:
    """No table but those read, and of each no other column."""
    found = {_full(r): " ".join(r.columns or ["ALL"]) for r in reads_of_sql(sql, "postgres")}
    assert found == reads


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM t", "t"),
        ("SELECT t.* FROM t", "t"),
        ("SELECT count(*) FROM t", "t"),
        ("SELECT count(x.*) FROM t x", "t"),
        ("SELECT row_to_json(x) FROM t x", "t"),
        ("SELECT a, b FROM t JOIN u ON t.i = u.i", "t u"),
        ("SELECT t.a FROM t JOIN u USING (i)", "t u"),
        ("SELECT t.a FROM t NATURAL JOIN u", "t u"),
        ("SELECT t.a, (SELECT max(b) FROM u) FROM t", "t u"),
        ("SELECT t.a, l.b FROM t CROSS JOIN LATERAL (SELECT b FROM u WHERE u.i = t.i) l", "t u"),
        ("SELECT a AS b, b AS a FROM t ORDER BY b", "t"),
    ],
)
def test_all_columns_count_where_only_the_server_could_tell(sql: str, tables: str) -> None:
    """Names that may be another table's widen the grant; a run is not stopped by it."""
    found = reads_of_sql(sql, "postgres")
    assert " ".join(map(_full, found)) == tables
    assert {read.columns for read in found} == {None}


@pytest.mark.parametrize("sql", ["DELETE FROM t", "SELECT 1; SELECT 2", "SELECT pg_sleep(1)"])
def test_what_is_no_model_is_refused(sql: str) -> None:
    """As everywhere."""
    with pytest.raises(PolicyError, match="model_sql"):
        reads_of_sql(sql, "postgres")


def test_reads_of_one_table_are_joined() -> None:
    """All columns win over some; some are joined."""

    def read(name: str, *columns: str) -> TableRead:
        return TableRead(schema=None, name=name, columns=columns or None)

    found = joined_reads([read("b", "y"), read("a", "x"), read("b", "x", "y"), read("a")])
    assert found == [read("a"), read("b", "x", "y")]


def _full(read: TableRead) -> str:
    return f"{read.schema}.{read.name}" if read.schema else read.name
