"""What SQL counts of a table is what the detection in Python finds in it, on each engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from approved import check_approved
from bigquery_emulator import PROJECT
from clickhouse_server import ClickHouse
from contract.clickhouse_world import clickhouse_source
from detect_world import LOCALES, cases
from mariadb import MariaDB
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.planning.detection import CountedColumn, count_queries, flag_query, read_counts
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.planning.sql.clickhouse import ClickhouseDialect
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.planning.sql.spark import SparkDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.source import Source
from mayfly.privacy.detect import classify_counts, forms
from sql_counts import EXACT, MANY, PAIRS, UNSEEN, corpus, found_in_python
from sqlite_files import as_owner
from translated import DIALECTS as TRANSLATED
from translated import MACROS, translation

Opened = tuple[Source, SqlDialect]
_SLOW = (pytest.mark.slow, pytest.mark.soak)


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _duckdb(request: pytest.FixtureRequest, folder: Path) -> Opened:
    path = folder / "shop.duckdb"
    duckdb.connect(str(path)).close()
    return DuckdbSource("shop", path), DuckdbDialect()


def _postgres(request: pytest.FixtureRequest, folder: Path) -> Opened:
    return PostgresSource(
        "shop", _Dsn(request.getfixturevalue("postgres_server_dsn"))
    ), PostgresDialect()


def _sqlite(request: pytest.FixtureRequest, folder: Path) -> Opened:
    path = folder / "shop.sqlite"
    with as_owner(path) as connection:
        connection.execute("CREATE TABLE empty (id INTEGER)")
    return SqliteSource("shop", path), SqliteDialect()


def _mysql(request: pytest.FixtureRequest, folder: Path) -> Opened:
    server: MariaDB = request.getfixturevalue("mariadb_session")
    server.query("CREATE DATABASE IF NOT EXISTS counted CHARACTER SET utf8mb4")
    return MysqlSource("shop", _Dsn(server.dsn("counted"))), MysqlDialect()


def _clickhouse(request: pytest.FixtureRequest, folder: Path) -> Opened:
    server: ClickHouse = request.getfixturevalue("clickhouse")
    return clickhouse_source(server, server.database()), ClickhouseDialect()


def _snowflake(request: pytest.FixtureRequest, folder: Path) -> Opened:
    return request.getfixturevalue("fakesnow").source(), SnowflakeDialect()


def _bigquery(request: pytest.FixtureRequest, folder: Path) -> Opened:
    emulator = request.getfixturevalue("bigquery_emulator")
    source = BigquerySource(
        "shop", project=PROJECT, dataset=emulator.dataset(), endpoint=emulator.endpoint
    )
    return source, BigqueryDialect()


def _spark(request: pytest.FixtureRequest, folder: Path) -> Opened:
    server = request.getfixturevalue("spark_session")
    return server.source(server.schema()), SparkDialect()


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Path], Opened]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "sqlite": _sqlite,
    "mysql": _mysql,
    "clickhouse": _clickhouse,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "spark": _spark,
}


@pytest.fixture(
    params=[
        pytest.param(name, marks=_SLOW if name in ("snowflake", "bigquery", "spark") else ())
        for name in ENGINES
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """A source of each engine, real where there is one."""
    return ENGINES[request.param](request, tmp_path)


def flags(opened: Opened, values: list[str | None]) -> list[set[str]]:
    """The kinds that an engine tells of each value."""
    source, sql = opened
    rows = pa.table({"id": range(len(values)), "v": pa.array(values, pa.string())})
    with source.session(write=False) as session:
        session.load("mf_values", rows)
        asked = flag_query(source.dialect, sql, "mf_values", "id", "v")
        found = session.table(asked).to_pylist()
    told: list[set[str]] = [set() for _ in values]
    for row in found:
        kinds = {str(name).lower(): value for name, value in row.items()}
        place = int(kinds.pop("id"))
        told[place] = {name for name, value in kinds.items() if int(value)}
    return told


def test_each_value_is_told_as_in_python(opened: Opened) -> None:
    """Cards, accounts, addresses of networks, uuids and digests exactly; addresses of e-mail and
    telephones at least, but for those that are said not to be seen. A text with more numbers than
    are looked at counts.
    """
    values, found = corpus(), found_in_python()
    told = flags(opened, [*values, None])
    assert told[-1] == set()
    [spelt] = flags(opened, ["anna [at] example [dot] com"])
    assert "email_spelt" in spelt
    for value, kinds in zip(values, told, strict=False):
        wanted = found.get(value.strip(), set())
        for name, counted in PAIRS.items():
            if name in wanted and value not in UNSEEN:
                assert kinds & set(counted), (name, value)
        if value.isascii():
            more = {n for n, c in PAIRS.items() if kinds & set(c)} - wanted
            assert bool(more) == (value in MANY), (more, value)
        assert _exact(kinds) == _exact(wanted), value
        for name, whole in (("credit_card", forms.CARD), ("iban", forms.IBAN)):
            if re.search(whole, value.strip()):
                assert (name in kinds) == (name in wanted), (name, value)


def _exact(kinds: set[str]) -> set[str]:
    return {k for k in kinds if k in EXACT or k.startswith(("hash_", "url"))}


def test_the_counts_of_a_table_are_sums_over_its_values(opened: Opened) -> None:
    """One statement, one row, and nothing but numbers in it."""
    source, sql = opened
    values = corpus()
    told = flags(opened, list(values))
    rows = pa.table({"v": values, "n": range(len(values))})
    with source.session(write=False) as session:
        session.load("mf_values", rows)
        kinds = {"v": pa.string(), "n": pa.int64()}
        types = [CountedColumn(sql=sql.quote(n), kind=kind) for n, kind in kinds.items()]
        [asked] = count_queries(source.dialect, sql, "mf_values", types)
        [row] = session.table(asked).to_pylist()
    counts = read_counts({str(name).lower(): value for name, value in row.items()})
    assert {k: v for k, v in counts[0].items() if v} == {
        kind: n for kind in counts[0] if (n := sum(kind in kinds for kinds in told))
    }
    assert counts[1]["number"] == len(values) - 10


_TOLD = frozenset(
    "email credit_card iban ip_address uuid hashed dirty_hashed url_pii phone".split()
)


def test_columns_of_forms_are_told_by_counts_alone() -> None:
    """Of other lists than the detection's: each that a form tells, but for telephones of digits
    alone under a name that says nothing. No digest is called clean that is mixed, and nothing else
    is called personal.
    """
    sql, missed, mistaken = DuckdbDialect(), [], []
    told = 0
    with duckdb.connect() as connection:
        for case in cases(LOCALES[:2], rows=120)[::8]:
            kind = case.values.type
            connection.register("t", pa.table({"v": case.values}))
            columns = [CountedColumn(sql='"v"', kind=kind)]
            [asked] = count_queries("duckdb", sql, "t", columns)
            [row] = connection.sql(asked).to_arrow_table().to_pylist()
            verdict = classify_counts({case.name: kind}, {case.name: read_counts(row)[0]})
            found = verdict[case.name].cls
            told += case.cls in _TOLD
            if case.cls in _TOLD and found not in (case.cls, *case.also):
                missed.append((case.name, case.cls, found))
            if case.cls in ("none", "opaque_id", "hashed") and found in _TOLD - {case.cls}:
                mistaken.append((case.name, case.cls, found))
    assert told > 6
    assert mistaken == []
    assert [m for m in missed if m[1:] != ("phone", "none")] == []
    assert len(missed) <= 1


@pytest.mark.parametrize("dialect", TRANSLATED)
def test_what_is_written_for_engines_that_nobody_asked_is_approved(dialect: str) -> None:
    """Text that a person has read, which tells the same in a DuckDB where functions are as they are
    meant.
    """
    sql = TRANSLATED[dialect]()
    kinds = {"v": pa.string(), "n": pa.int64(), "b": pa.binary(), "d": pa.date32()}
    columns = [CountedColumn(sql=sql.quote(name), kind=kind) for name, kind in kinds.items()]
    [asked] = count_queries(dialect, sql, "shop.people", columns)
    check_approved(f"{dialect}-counts.sql", asked.replace(", count(", ",\n  count(") + ";\n")
    rows = pa.table({"id": range(len(corpus())), "v": corpus()})
    with duckdb.connect() as connection:
        for macro in MACROS:
            connection.execute(f"CREATE TEMPORARY MACRO {macro}")
        connection.register("t", rows)
        own = flag_query("duckdb", DuckdbDialect(), "t", "id", "v")
        theirs = translation(flag_query(dialect, sql, "t", "id", "v"), dialect)
        found = [connection.sql(q).to_arrow_table().to_pylist() for q in (own, theirs)]
    wanted, got = (sorted(rows, key=lambda row: row["id"]) for rows in found)
    assert got == wanted
