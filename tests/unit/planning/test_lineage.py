"""What columns of a query are made of."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.planning.lineage import ViewQuery, lineage_of
from mayfly.planning.model_sql import parsed, parsed_view
from mayfly.planning.sql.dialect import DialectName

CASES: dict[str, tuple[str, list[str]]] = {
    "an alias": ("SELECT email AS score FROM c", ["c.email"]),
    "a function in a cast": ("SELECT CAST(upper(email) AS text) AS score FROM c", ["c.email"]),
    "a subquery with other names": (
        "SELECT score FROM (SELECT email FROM c) t(score)",
        ["c.email"],
    ),
    "WITH": ("WITH t AS (SELECT email AS e FROM c) SELECT e AS score FROM t", ["c.email"]),
    "WITH with other names": ("WITH t(score) AS (SELECT email FROM c) TABLE t", ["c.email"]),
    "a second branch": ("SELECT score FROM a UNION SELECT email FROM b", ["a.score", "b.email"]),
    "a star": ("SELECT t.* FROM (SELECT email AS score FROM c) t", ["c.email"]),
    "stars below each other": (
        "SELECT * FROM a UNION ALL SELECT * FROM b",
        ["a.score", "b.?", "b.score"],
    ),
    "a correlated query": (
        "SELECT (SELECT max(b.email) FROM b WHERE b.id = c.id) AS score FROM c",
        ["b.email"],
    ),
    "CASE": ("SELECT CASE WHEN email LIKE 'a%' THEN 1 END AS score FROM c", ["c.email"]),
    "a whole row": ("SELECT to_json(c) AS score FROM c", ["c.*", "c.c"]),
    "a part of a value": ("SELECT c.info.email AS score FROM c", ["c.info"]),
    "a table's own schema": ("SELECT s.c.email AS score FROM s.c", ["s.c.email"]),
    "how many there are": ("SELECT count(email) AS score FROM c", []),
    "a value of the query": ("SELECT 'x' AS score FROM c", []),
    "one of two tables": ("SELECT email AS score FROM c JOIN d USING (id)", ["c.email", "d.email"]),
    "what comes round": (
        "WITH RECURSIVE t AS (SELECT email AS a, 1 AS b FROM c UNION ALL SELECT b, a FROM t) "
        "SELECT b AS score FROM t",
        ["c.email"],
    ),
    "a name of the same SELECT": ("SELECT email AS x, x AS score FROM c", ["c.email", "c.x"]),
    "a column that the engine names": (
        "SELECT score FROM (SELECT max(email) FROM c) t",
        ["c.email"],
    ),
    "rows of functions": ("SELECT x AS score FROM c, ROWS FROM (f(c.email)) AS t(x)", ["c.email"]),
    "an unnested list": ("SELECT u.x AS score FROM c, unnest(c.emails) AS u(x)", ["c.emails"]),
}
DUCKDB = {
    "REPLACE": ("SELECT * REPLACE (email AS score) FROM c", ["c.email"]),
    "RENAME": ("SELECT * RENAME (email AS score) FROM c", ["c.email"]),
    "COLUMNS": ("SELECT max(COLUMNS(*)) FROM c", ["c.*", "c.score"]),
    "FROM first": ("FROM c SELECT email AS score", ["c.email"]),
    "PIVOT": ("SELECT * FROM c PIVOT (sum(x) FOR y IN (1, 2))", ["c.*", "c.score"]),
    "UNION BY NAME": (
        "SELECT a.x AS score FROM a UNION ALL BY NAME SELECT email AS score, 1 AS y FROM b",
        ["a.x", "b.email"],
    ),
}


def of(sql: str, dialect: DialectName = "postgres", **views: str) -> list[str]:
    """What the column `score` is made of."""
    below = {}
    for name, text in views.items():
        query = parsed_view(text, dialect)
        assert query is not None
        below[None, name] = ViewQuery(query=query[0], columns=query[1])
    found = lineage_of(parsed(sql, dialect), ["score"], below)
    return sorted(map(str, found["score"]))


@pytest.mark.parametrize("name", CASES)
def test_a_column_is_followed(name: str) -> None:
    """To every column its values may come from, whatever it is called on the way."""
    sql, expected = CASES[name]
    assert of(sql) == expected


@pytest.mark.parametrize("name", DUCKDB)
def test_what_one_engine_alone_has_is_followed(name: str) -> None:
    """DuckDB's ways to rename columns by the dozen."""
    sql, expected = DUCKDB[name]
    assert of(sql, "duckdb") == expected


def test_a_column_is_followed_through_views() -> None:
    """Of views below views, with their own names for the columns; a circle ends."""
    made = "CREATE VIEW w(score) AS SELECT mail FROM base"
    assert of("SELECT * FROM v", v="SELECT score FROM w", w=made) == ["base.mail"]
    assert of("SELECT * FROM v", v="SELECT score FROM v") == ["v.score"]
    assert of("WITH v AS (SELECT x AS score FROM v) SELECT * FROM v", v="SELECT y AS x FROM b") == [
        "b.y"
    ]


def test_names_are_those_that_the_engine_knows() -> None:
    """PostgreSQL reads what is not quoted in small letters."""
    assert of('SELECT EMAIL AS Score FROM "C"') == ["C.email"]
    assert of('SELECT "EMAIL" AS score FROM c') == ["c.EMAIL"]


def test_what_cannot_be_followed_counts_as_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape that the parser makes of a new syntax neither stops a run nor lets anything pass."""
    query = parsed("SELECT email AS score FROM c", "duckdb")
    monkeypatch.setattr(query, "args", {"expressions": None, "from_": object()})
    assert sorted(map(str, lineage_of(query, ["score"], {})["score"])) == [".*"]


WRAPPED = st.lists(
    st.sampled_from(
        (
            "SELECT {old} AS {new}, other FROM ({query}) q",
            "SELECT upper({old}) AS {new}, other FROM ({query}) q",
            "WITH w AS ({query}) SELECT w.{old} AS {new}, other FROM w",
            "SELECT {new}, other FROM ({query}) q({new}, other)",
            "SELECT other AS {new}, other FROM ({query}) q WHERE false UNION ALL ({query})",
            "SELECT q.{old} AS {new}, other FROM ({query}) q JOIN (SELECT 1 AS one) o ON true",
            "SELECT (SELECT max(p.{old}) FROM ({query}) p) AS {new}, other FROM ({query}) q",
            "SELECT z.{new}, other FROM ({query}) q, LATERAL (SELECT q.{old} AS {new}) z",
            "SELECT * FROM (SELECT {old} AS {new}, other FROM ({query}) q) r",
        )
    ),
    max_size=4,
)


@given(WRAPPED)
def test_nothing_hides_where_a_value_comes_from(wraps: list[str]) -> None:
    """However a query is wrapped, an address that arrives is traced to its column. The engine says
    that it arrives.
    """
    query, old = "SELECT email AS n0, other FROM c", "n0"
    for number, wrap in enumerate(wraps, 1):
        query, old = wrap.format(old=old, new=f"n{number}", query=query), f"n{number}"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE c AS SELECT 'marked' AS email, 'x' AS other")
        rows = connection.execute(f"SELECT lower({old}) FROM ({query}) t").fetchall()
    made = lineage_of(parsed(query, "duckdb"), [old], {})[old]
    assert ("marked",) in rows
    assert "c.email" in map(str, made)
