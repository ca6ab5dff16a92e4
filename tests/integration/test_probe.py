"""What a server computes is compared with the rules before anything is planned on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest

from bigquery_emulator import PROJECT, Emulator
from fakesnow_server import Fakesnow
from integration.test_rules_conformance import FIELDS, check, corpus
from mayfly.bootstrap import probing
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.snowflake import SnowflakeDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.source import SqlSession
from mayfly.privacy.rules import RULES, sql_digest
from mayfly.privacy.rules.probe import STRINGS, RuleUse, differing
from mayfly.services.probe_source import probe_source
from servers import SystemServer, system_server

USES = [RuleUse(rule=r, default_country="FR") for r in RULES.values()]
PEOPLE = [
    RuleUse(rule=RULES["meta", name], default_country="FR")
    for name in ("email", "phone", "first_name")
]
META = [u for u in USES if u.rule.platform == "meta"]
DATABASES = {
    "c": "LOCALE 'C'",
    "c_utf8": "LOCALE 'C.UTF-8'",
    "en_us": "LOCALE 'en_US.utf8'",
    "tr_tr": "LOCALE 'tr_TR.utf8'",
    "icu_en": "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'",
    "icu_tr": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'",
}


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def database(server_dsn: str, name: str, options: str) -> str:
    """The dsn of a new database; the test's server goes away with it."""
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}".encode())
    return server_dsn.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(scope="module")
def system() -> Iterator[SystemServer]:
    """The system's PostgreSQL, with ICU and Turkish."""
    with system_server() as server:
        server.make_locales()
        server.create()
        server.start()
        yield server


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A DuckDB file."""
    path = tmp_path / "shop.duckdb"
    duckdb.connect(str(path)).close()
    return path


def test_duckdb_computes_every_rule_as_python(shop: Path) -> None:
    """No rule of any platform differs."""
    assert probe_source(DuckdbSource("shop", shop), DuckdbDialect(), USES) == frozenset()


def test_the_wheels_postgres_computes_every_rule_as_python(postgres_database: str) -> None:
    """No rule of any platform differs."""
    source = PostgresSource("crm", _Dsn(postgres_database))
    assert probe_source(source, PostgresDialect(), USES) == frozenset()


def test_sqlite_computes_every_rule_as_python(tmp_path: Path) -> None:
    """No rule of any platform differs; a file in UTF-16 is refused."""
    file = tmp_path / "shop.sqlite"
    file.touch()
    assert probe_source(SqliteSource("shop", file), SqliteDialect(), USES) == frozenset()
    with sqlite3.connect(tmp_path / "wide.sqlite") as connection:
        connection.execute("PRAGMA encoding = 'UTF-16'")
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(ConfigError, match="server_differs"):
        probe_source(SqliteSource("shop", tmp_path / "wide.sqlite"), SqliteDialect(), META)


@pytest.mark.slow
def test_emulators_of_warehouses_compute_rules_as_python(
    bigquery_emulator: Emulator, fakesnow: Fakesnow
) -> None:
    """What they are asked is their SQL: one that cannot read the question leaves everything to the
    worker.
    """
    dataset = bigquery_emulator.dataset()
    endpoint = bigquery_emulator.endpoint
    warehouse = BigquerySource("shop", project=PROJECT, dataset=dataset, endpoint=endpoint)
    assert probe_source(warehouse, BigqueryDialect(), PEOPLE) == frozenset()
    bigquery_emulator.drop(dataset)
    assert probe_source(fakesnow.source(), SnowflakeDialect(), PEOPLE) == frozenset()


@pytest.mark.parametrize("name", DATABASES)
def test_the_locale_of_a_database_changes_no_digest(system: SystemServer, name: str) -> None:
    """C, English and Turkish, by libc and by ICU: the probe finds no difference, and the whole
    corpus agrees; in the Turkish ones `lower` by itself would not.
    """
    dsn = database(system.dsn, name, DATABASES[name])
    source = PostgresSource("crm", _Dsn(dsn))
    assert probe_source(source, PostgresDialect(), META) == frozenset()
    values = [None, *corpus()]
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        folded = cursor.execute("SELECT lower('I')").fetchone()
        assert folded == ("ı" if "tr" in name else "i",)
        cursor.execute("CREATE TEMP TABLE t (n int, v text)")
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
        for field in FIELDS:
            column = PostgresDialect().as_text("v")
            made = sql_digest(RULES["meta", field], "postgres", column, default_country="FR")
            sql = f"SELECT {made.digest}, {made.in_repertoire}, {made.canonical} FROM t ORDER BY n"
            rows = cursor.execute(sql.encode()).fetchall()
            assert check(RULES["meta", field], "FR", values, rows) > 5


def test_a_column_that_ignores_case_is_read_by_its_bytes(system: SystemServer) -> None:
    """Its own comparison takes `--` for nothing and `a` for `A`; what the rules read does not."""
    dsn = database(system.dsn, "folds", "LOCALE 'C.UTF-8'")
    text = PostgresDialect().as_text("v")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE COLLATION plain (provider = icu, locale = 'und-u-ka-shifted-ks-level1', "
            "deterministic = false)"
        )
        connection.execute("CREATE TABLE t AS SELECT 'A--' COLLATE plain AS v")
        sql = f"SELECT v = 'a', {text} = 'a', {text} = 'A--' FROM t"
        assert connection.execute(sql.encode()).fetchone() == (True, False, True)


def test_a_duckdb_column_that_ignores_case_is_read_by_its_bytes() -> None:
    """Likewise for NOCASE and NOACCENT."""
    text = DuckdbDialect().as_text("v")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (v VARCHAR COLLATE NOCASE.NOACCENT)")
        connection.execute("INSERT INTO t VALUES ('Á')")
        sql = f"SELECT v = 'a', {text} = 'a', {text} = 'Á' FROM t"
        assert connection.execute(sql).fetchone() == (True, False, True)


def test_a_database_in_latin1_hashes_nothing(postgres_server_dsn: str) -> None:
    """It cannot even hold the rules' tables: every rule is left to Python."""
    source = PostgresSource("crm", _Dsn(database(postgres_server_dsn, "latin", _LATIN1)))
    assert probe_source(source, PostgresDialect(), META) == frozenset(META)


_LATIN1 = "LOCALE 'C' ENCODING 'LATIN1'"


def test_a_database_without_an_encoding_is_refused(postgres_server_dsn: str) -> None:
    """It counts bytes where it should count characters; the message names what differs."""
    dsn = database(postgres_server_dsn, "nothing", "LOCALE 'C' ENCODING 'SQL_ASCII'")
    with pytest.raises(ConfigError, match=r"server_differs.*characters") as caught:
        probe_source(PostgresSource("crm", _Dsn(dsn)), PostgresDialect(), META)
    assert "UTF8" in caught.value.hint


@pytest.mark.parametrize(
    ("macro", "name"),
    [("sha256(x) AS md5(x)", "sha256"), ("length(x) AS 4", "characters")],
)
def test_a_duckdb_file_that_redefines_a_function_is_refused(
    shop: Path, macro: str, name: str
) -> None:
    """A macro in the file hides the engine's function of the same name."""
    with duckdb.connect(str(shop)) as connection:
        connection.execute(f"CREATE MACRO {macro}")
    with pytest.raises(ConfigError, match=f"server_differs.*{name}"):
        probe_source(DuckdbSource("shop", shop), DuckdbDialect(), META)


def test_only_the_rules_that_differ_are_left_to_python(shop: Path) -> None:
    """A macro in the file that hides `split_part` leaves the rules without it in the warehouse."""
    with duckdb.connect(str(shop)) as connection:
        connection.execute("CREATE MACRO split_part(a, b, c) AS 'x'")
    google = [u for u in USES if u.rule.platform == "google" and u.rule.field == "email"]
    plain = [u for u in META if u.rule.field in ("email", "phone", "city")]
    wrong = probe_source(DuckdbSource("shop", shop), DuckdbDialect(), [*google, *plain])
    assert wrong == frozenset(google)


class _Watched(DuckdbSource):
    """Counts the statements that ask for rules."""

    asked = 0

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SqlSession]:
        with super().session(write=write) as session:
            table = session.table

            def counted(sql: str) -> pa.Table:
                self.asked += "split_part" in sql
                return table(sql)

            session.table = counted  # type: ignore[method-assign]
            yield session


def test_an_engine_in_this_process_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever project is opened next; but a file with a macro or type of its own is asked."""
    monkeypatch.setattr(probing, "_EMBEDDED", {})
    google = [u for u in USES if u.rule.platform == "google" and u.rule.field == "email"]
    sources = {}
    for name, own in (
        ("first", "SELECT 1"),
        ("second", "SELECT 1"),
        ("macro", "CREATE MACRO split_part(a, b, c) AS 'x'"),
        ("kind", "CREATE TYPE mood AS ENUM ('glad')"),
    ):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute(own)
        sources[name] = _Watched(name, tmp_path / f"{name}.duckdb")
    found = {n: probing.Probes().differing(s, DuckdbDialect(), google) for n, s in sources.items()}
    nothing: frozenset[RuleUse] = frozenset()
    assert found == {**dict.fromkeys(sources, nothing), "macro": frozenset(google)}
    assert [s.asked > 0 for s in sources.values()] == [True, False, True, True]


def test_an_answer_that_is_short_or_null_differs() -> None:
    """Neither missing rows nor an undecided value passes for an equal answer."""
    use = RuleUse(rule=RULES["meta", "email"])
    short = pa.table({"n": [0], "d0": [None], "i0": [False], "c0": [None]})
    assert differing([use], short) == {use}
    rows = len(STRINGS)
    undecided = pa.table(
        {"n": list(range(rows)), "d0": [None] * rows, "i0": [None] * rows, "c0": [None] * rows}
    )
    assert differing([use], undecided) == {use}
    none_final = undecided.set_column(2, "i0", pa.array([False] * rows))
    assert differing([use], none_final) == frozenset()
