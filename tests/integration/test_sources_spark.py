"""A real Spark beyond what every source promises."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from mayfly.domain.errors import ConfigError, TransientError
from mayfly.planning.sql.spark import SparkDialect
from mayfly.privacy.rules.catalogue import RULES
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source
from mayfly.testing.source_contract import wait_until
from spark_connect import SparkServer, Token, spark_server

pytestmark = [pytest.mark.slow, pytest.mark.soak]
SQL = SparkDialect()


@pytest.fixture(scope="module")
def shop(spark_session: SparkServer) -> Iterator[str]:
    """A schema with a table of many parts, and one whose texts a collation takes for the same."""
    schema = spark_session.schema()
    spark_session.sql(
        f"CREATE TABLE {schema}.many AS SELECT id FROM range(0, 1000, 1, 7)",
        f"CREATE TABLE {schema}.same (k STRING COLLATE UTF8_LCASE, ok STRING COLLATE UTF8_LCASE)",
        f"INSERT INTO {schema}.same VALUES ('a', 'yes'), ('A', 'YES'), ('ä', NULL)",
    )
    yield schema
    spark_session.sql(f"DROP SCHEMA {schema} CASCADE")


def test_rules_and_plans_are_computed_as_in_python(spark_session: SparkServer) -> None:
    """Every rule of a platform, and what every plan rests on."""
    uses = [RuleUse(rule=rule) for (platform, _), rule in RULES.items() if platform == "meta"]
    assert len(uses) > 5
    assert probe_source(spark_session.source(), SQL, uses) == frozenset()


def test_texts_and_consent_are_told_apart_by_their_bytes(
    spark_session: SparkServer, shop: str
) -> None:
    """Whatever the collation of a column."""
    source = spark_session.source(shop)
    asked = {
        "keys": f"count(DISTINCT {SQL.key('k', 'string', pa.string())})",
        "theirs": "count(DISTINCT k)",
        "word": f"count_if({SQL.is_one_of('ok', ['yes'])})",
        "prints": f"count(DISTINCT {SQL.fingerprint([SQL.render('k', pa.string())])})",
        "hashes": f"count(DISTINCT {SQL.sha256(SQL.as_text('k'))})",
    }
    shown = ", ".join(f"{value} AS {name}" for name, value in asked.items())
    with source.session(write=False) as session:
        [row] = session.table(f"SELECT {shown} FROM {source.relation(None, 'same')}").to_pylist()
    assert row == {"keys": 3, "theirs": 2, "word": 1, "prints": 3, "hashes": 3}


def test_rows_are_numbered_without_gaps_in_any_number_of_parts(
    spark_session: SparkServer, shop: str
) -> None:
    """At once, within another query, and of none."""
    source = spark_session.source(shop)
    many = source.relation(None, "many")
    with source.session(write=False) as session:
        session.execute(SQL.create_as("mf_a", SQL.numbered("n", "id", many), temporary=True))
        inside = f"SELECT rn div 10 AS b, id FROM ({SQL.numbered('rn', 'id', many)}) AS mf_n"
        session.execute(SQL.create_as("mf_b", inside, temporary=True))
        nothing = SQL.numbered("n", "id", f"{many} WHERE id < 0")
        session.execute(SQL.create_as("mf_c", nothing, temporary=True))
        session.execute(f"INSERT INTO mf_c SELECT n, id FROM ({SQL.numbered('n', 'id', many)}) t")
        rows = session.table("SELECT n, id FROM mf_a ORDER BY n")
        parts = session.table("SELECT b, count(*) AS n FROM mf_b GROUP BY b").to_pylist()
        added = session.table("SELECT count(DISTINCT n) AS n, max(n) AS m FROM mf_c").to_pylist()
        again = session.table("SELECT n, id FROM mf_a ORDER BY n")
    assert rows.column("n").to_pylist() == list(range(1000))
    assert sorted(rows.column("id").to_pylist()) == list(range(1000))
    assert rows.equals(again)
    assert sorted((p["b"], p["n"]) for p in parts) == [(b, 10) for b in range(100)]
    assert added == [{"n": 1000, "m": 999}]


def test_nothing_stays_in_a_server_and_one_that_is_killed_is_told() -> None:
    """What a session kept is let go with it; a session of a dead server can be tried again."""
    with spark_server(alone=True) as server:
        source = server.source()
        with source.session(write=False) as session:
            for name in ("mf_a", "mf_b", "mf_c"):
                query = SQL.numbered("n", "id", "range(0, 1000, 1, 3)")
                session.execute(SQL.create_as(name, query, temporary=True))
                session.execute(SQL.update(name, {"id": "id + 1"}, "n > 7"))
            session.execute(SQL.drop_table("mf_b"))
            assert server.ask("kept") >= 2
        wait_until(lambda: server.ask("kept") == 0)
        with source.session(write=False) as session:
            session.execute("CREATE TEMPORARY TABLE mf_d AS SELECT 1 AS a")
            server.ask("kill")
            with pytest.raises(TransientError, match="connection_lost"):
                session.table("SELECT * FROM mf_d")
        with pytest.raises(TransientError, match="source_away"):
            source.check(write=False)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM text.`/etc/hostname`", "table_missing"),
        ("SELECT * FROM parquet.`/etc`", "table_missing"),
        ("SELECT * FROM json.`file:///etc/hostname`", "table_missing"),
    ],
)
def test_the_engine_itself_opens_no_path(spark_session: SparkServer, query: str, code: str) -> None:
    """Behind the rules for model SQL, whatever the server allows others."""
    with (
        spark_session.source().session(write=False) as session,
        pytest.raises(ConfigError, match=code),
    ):
        session.table(query)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH a AS (SELECT 1 AS id) INSERT INTO {many} SELECT id FROM a",
        "SELECT 1 AS id) AS q INSERT INTO {many} SELECT (2",
        "(SELECT 1 AS id) INSERT INTO {many} SELECT 2",
        "SELECT 1; DROP TABLE {many}",
    ],
)
def test_what_looks_like_a_query_writes_nothing(
    spark_session: SparkServer, shop: str, statement: str
) -> None:
    """Spark itself refuses it, since it may be nothing else."""
    source = spark_session.source(shop)
    many = source.relation(None, "many")
    asked = statement.replace("{many}", many)
    with source.session(write=False) as session:
        for ask in (session.table, session.execute, session.describe):
            with pytest.raises(ConfigError, match="query_syntax"):
                ask(asked)
        assert session.table(f"SELECT count(*) AS n FROM {many}").to_pylist() == [{"n": 1000}]


def test_a_text_is_no_variable_of_the_server(spark_session: SparkServer) -> None:
    """Spark by itself would put its settings and its environment there."""
    given = "${env:PATH} ${system:user.name} ${spark.app.name}"
    assert given != spark_session.sql(f"SELECT '{given}' AS a")[0]["a"]
    with spark_session.source().session(write=False) as session:
        found = session.table(f"SELECT {SQL.literal(given)} AS a").to_pylist()
    assert found == [{"a": given}]


def test_another_catalog_has_names_of_its_own(spark_session: SparkServer) -> None:
    """Quoted wherever they stand: of schema, table and columns."""
    schema, table = "AP P", 'o`d"d; --'
    spark_session.sql(
        f"CREATE NAMESPACE IF NOT EXISTS side.{SQL.quote(schema)}",
        f"CREATE TABLE side.{SQL.quote(schema)}.{SQL.quote(table)} AS SELECT 7 AS `a b`, 8 AS `c`",
    )
    source = spark_session.source(schema, catalog="side")
    [found] = [t for t in source.tables() if t.schema == schema]
    assert (found.name, [c.name for c in found.columns]) == (table, ["a b", "c"])
    with source.session(write=False) as session:
        rows = session.table(f"SELECT * FROM {source.relation(None, table)}").to_pylist()
        bare = session.table(f"SELECT `a b` FROM {SQL.quote(table)}").to_pylist()
    assert (rows, bare) == ([{"a b": 7, "c": 8}], [{"a b": 7}])


@pytest.mark.parametrize("more", [{"schema": "no_such"}, {"catalog": "no_such"}])
def test_a_catalog_or_schema_that_is_not_there_is_told(
    spark_session: SparkServer, more: dict[str, str]
) -> None:
    """By name of the setting."""
    with pytest.raises(ConfigError, match="schema_missing"):
        spark_session.source(**more).check(write=False)


def test_another_token_is_refused(spark_session: SparkServer) -> None:
    """As no token is; neither is told."""
    for token in (None, lambda: Token("wr0ng")):
        with pytest.raises(ConfigError, match="source_refused") as caught:
            spark_session.source(token=token).check(write=False)
        assert "wr0ng" not in str(caught.value)


def test_files_that_go_away_can_be_tried_again(spark_session: SparkServer, shop: str) -> None:
    """They are not taken for rows that left, whatever the server says of missing files."""
    source = spark_session.source(shop)
    with source.session(write=False) as session:
        session.execute(f"CREATE TEMPORARY TABLE t AS SELECT * FROM {shop}.many WHERE id < 0")
        stream = f"SELECT id FROM {shop}.many"
        assert session.table(stream).num_rows == 1000
        folder = spark_session.folder / "tables" / f"{shop}.db" / "many"
        gone = sorted(folder.glob("*.parquet"))[0]
        kept = gone.read_bytes()
        gone.unlink()
        try:
            with pytest.raises(TransientError, match="source_changed"):
                session.table(stream)
        finally:
            gone.write_bytes(kept)


def test_values_that_are_large_arrive(spark_session: SparkServer) -> None:
    """Larger than what Spark puts in a message by itself."""
    with spark_session.source().session(write=False) as session:
        found = session.table("SELECT repeat('é', 6000000) AS a, id FROM range(3)")
    assert [len(v) for v in found.column("a").to_pylist()] == [6_000_000] * 3


def test_many_rows_are_loaded_and_kept(spark_session: SparkServer) -> None:
    """None is lost between the messages, and none is in a statement."""
    rows = pa.table(
        {
            "n": pa.array(range(150_000), pa.int64()),
            "d": pa.array([n.to_bytes(32) for n in range(150_000)], pa.binary()),
        }
    )
    with spark_session.source().session(write=False) as session:
        session.load("mf_load", rows)
        asked = "count(*) AS c, count(DISTINCT d) AS d, sum(n) AS s"
        found = session.table(f"SELECT {asked} FROM mf_load").to_pylist()
    assert found == [{"c": 150_000, "d": 150_000, "s": sum(range(150_000))}]


def test_a_table_of_another_catalog_is_no_view(spark_session: SparkServer) -> None:
    """Such a catalog describes what it has in another form."""
    spark_session.sql("CREATE TABLE IF NOT EXISTS side.APP.people (id INT, name STRING)")
    source = spark_session.source()
    assert source.views([("side.APP", "people"), ("side.APP", "gone"), ("gone.a", "b")]) == {}
