"""A PostgreSQL source under an administrator's settings, rights and kinds of tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from contract.source_worlds import Dsn, as_owner, running
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.errors import ConfigError, EngineError, PolicyError, TransientError
from mayfly.testing.source_contract import wait_until
from servers import system_server

_WAITS = """
import sys
from mayfly.connectors.sources import postgres_session
from mayfly.connectors.sources.postgres import PostgresSource

class Dsn:
    def reveal(self):
        return sys.argv[1]

postgres_session.CLIENT_CHECK = "50ms"
with PostgresSource("shop", Dsn()).session(write=False) as session:
    session.table("SELECT pg_sleep(600)")
"""


def role(dsn: str, name: str, *rights: str) -> PostgresSource:
    """The source as a fresh role has it that may read schema public, and what else is said."""
    as_owner(
        dsn,
        f"DROP ROLE IF EXISTS {name}",
        f"CREATE ROLE {name} LOGIN",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        *rights,
    )
    return PostgresSource("shop", Dsn(make_conninfo(dsn, user=name)))


def refused(what: Callable[[], object]) -> EngineError:
    """How something is refused."""
    with pytest.raises(EngineError) as caught:
        what()
    return caught.value


def test_rows_that_a_policy_hides_did_not_leave(postgres_database: str) -> None:
    """A filtered table is refused, also where the policy comes between plan and read; BYPASSRLS or
    a view of the owner's give all rows.
    """
    dsn = postgres_database
    as_owner(dsn, "CREATE TABLE people AS SELECT i AS id FROM generate_series(1, 9) i")
    source = role(dsn, "filtered", "GRANT SELECT ON people TO filtered")
    query = "SELECT id FROM people"
    assert source.describe(query)
    as_owner(
        dsn,
        "ALTER TABLE people ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON people USING (id < 3)",
        "CREATE VIEW everybody AS SELECT id FROM people",
        "GRANT SELECT ON everybody TO filtered",
    )
    error = refused(lambda: source.describe(query))
    assert isinstance(error, PolicyError)
    assert (error.code, "BYPASSRLS" in error.hint) == ("row_security", True)
    with pytest.raises(ConfigError) as caught, source.session(write=False) as session:
        session.table(query)
    assert "row-level security" in caught.value.hint
    view = "SELECT id FROM everybody"
    assert source.describe(view)
    with source.session(write=False) as session:
        assert session.table(view).num_rows == 9
    as_owner(dsn, "ALTER ROLE filtered BYPASSRLS")
    assert source.describe(query)
    with source.session(write=False) as session:
        assert session.table(query).num_rows == 9


def test_the_right_on_the_models_table_is_named_beside_others(postgres_database: str) -> None:
    """A column is enough where only that is read; a table that may be read says nothing of one
    that may not.
    """
    dsn = postgres_database
    as_owner(
        dsn,
        "CREATE TABLE open AS SELECT 1 AS id",
        'CREATE TABLE "Shut" AS SELECT 1 AS id, 2 AS "No"',
        "CREATE SCHEMA apart",
        "CREATE TABLE apart.t AS SELECT 1 AS id",
    )
    source = role(
        dsn, "narrow", "GRANT SELECT ON open TO narrow", 'GRANT SELECT (id) ON "Shut" TO narrow'
    )
    source.check(write=False)
    assert source.describe('SELECT id FROM "Shut"')
    both = refused(lambda: source.describe('SELECT "Shut"."No" FROM "Shut", open'))
    assert both.hint == 'GRANT SELECT ON TABLE "public"."Shut" TO "narrow";'
    apart = refused(lambda: source.describe("SELECT t.id FROM apart.t"))
    assert apart.hint == 'GRANT USAGE ON SCHEMA "apart" TO "narrow";'
    as_owner(dsn, apart.hint)
    apart = refused(lambda: source.describe("SELECT t.id FROM apart.t"))
    assert apart.hint == 'GRANT SELECT ON TABLE "apart"."t" TO "narrow";'


def test_tables_of_ours_that_another_role_made_are_told(postgres_database: str) -> None:
    """The role was exchanged for another: it must be a member of the first, and then writes."""
    dsn = postgres_database
    source = role(
        dsn,
        "second",
        "CREATE SCHEMA _mayfly",
        "CREATE TABLE _mayfly.states AS SELECT 1 AS n",
        "GRANT ALL ON SCHEMA _mayfly TO second",
        "DROP ROLE IF EXISTS first",
        "CREATE ROLE first",
        "GRANT ALL ON SCHEMA _mayfly TO first",
        "ALTER TABLE _mayfly.states OWNER TO first",
    )

    def write() -> None:
        with source.session(write=True) as session:
            session.execute("UPDATE _mayfly.states SET n = 2")

    error = refused(write)
    assert (error.code, error.hint) == ("missing_grant", 'GRANT first TO "second";')
    assert refused(lambda: source.check(write=True)).hint == error.hint
    as_owner(dsn, error.hint)
    source.check(write=True)
    write()
    as_owner(dsn, "DROP SCHEMA _mayfly CASCADE", "DROP ROLE first")


def test_tables_of_ours_that_are_open_are_told(postgres_database: str) -> None:
    """The doctor prints what shuts them; a view of rejected rows may be given to others."""
    dsn = postgres_database
    as_owner(
        dsn,
        "DROP ROLE IF EXISTS reporting",
        "CREATE ROLE reporting",
        "CREATE SCHEMA _mayfly",
        'CREATE TABLE _mayfly."pairs_1 x" AS SELECT 1 AS n',
        'CREATE VIEW _mayfly.rejected AS SELECT n FROM _mayfly."pairs_1 x"',
        "CREATE TABLE _mayfly.checkpoints AS SELECT 1 AS n",
        "GRANT SELECT ON ALL TABLES IN SCHEMA _mayfly TO reporting",
        'GRANT SELECT ON _mayfly."pairs_1 x" TO PUBLIC',
    )
    source = PostgresSource("shop", Dsn(dsn))
    source.check(write=False)
    error = refused(lambda: source.check(write=True))
    assert error.code == "tables_open"
    assert error.hint == 'REVOKE ALL ON TABLE _mayfly."pairs_1 x" FROM PUBLIC, reporting;'
    as_owner(dsn, error.hint)
    source.check(write=True)
    as_owner(dsn, "DROP SCHEMA _mayfly CASCADE", "DROP ROLE reporting")


def test_a_killed_process_leaves_no_statement(postgres_database: str) -> None:
    """The server sees that nobody waits, and ends what it works on."""
    before = running(postgres_database)
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITS, postgres_database], env=os.environ, stdin=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: running(postgres_database) == before + 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: running(postgres_database) == before)


@pytest.mark.parametrize(
    ("setting", "code", "told"),
    [
        ("statement_timeout", "source_busy", "statement_timeout"),
        ("transaction_timeout", "connection_lost", "transaction_timeout"),
    ],
)
def test_a_time_limit_of_the_role_is_named(
    postgres_database: str, setting: str, code: str, told: str
) -> None:
    """It can be tried again, and the message says which limit it was."""
    source = role(
        postgres_database, "hasty_" + setting, f"ALTER ROLE hasty_{setting} SET {setting} = '100ms'"
    )
    with source.session(write=False) as session:
        session.begin()
        with pytest.raises(TransientError, match=code) as caught:
            session.table("SELECT pg_sleep(60)")
    assert told in caught.value.message + caught.value.hint


def test_a_lock_of_another_is_waited_for_and_named(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that holds the model's table does not hold up a run for ever."""
    dsn = postgres_database
    as_owner(dsn, "CREATE TABLE people AS SELECT 1 AS id")
    source = PostgresSource("shop", Dsn(dsn))
    with psycopg.connect(dsn) as other, source.session(write=False) as session:
        other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        session.execute("SET lock_timeout = '50ms'")
        with pytest.raises(TransientError, match="source_busy") as caught:
            session.table("SELECT id FROM people")
    assert "pg_locks" in caught.value.hint


def test_every_kind_of_table_is_found_and_read(postgres_database: str) -> None:
    """Views, materialized views, partitions, heirs, generated and identity columns."""
    dsn = postgres_database
    as_owner(
        dsn,
        "CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY, n int, "
        "twice int GENERATED ALWAYS AS (n * 2) STORED)",
        "INSERT INTO made (n) VALUES (1), (2)",
        "CREATE TABLE parts (id int, n int) PARTITION BY RANGE (id)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)",
        "INSERT INTO parts VALUES (1, 1), (11, 2)",
        "CREATE TABLE heir (more text) INHERITS (made)",
        "INSERT INTO heir (id, n) VALUES (3, 3)",
        "CREATE VIEW seen AS SELECT * FROM parts",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen",
        "CREATE MATERIALIZED VIEW empty AS SELECT 1 AS id WITH NO DATA",
    )
    source = PostgresSource("shop", Dsn(dsn))
    found = {t.name: [c.name for c in t.columns] for t in source.tables()}
    assert found["made"] == ["id", "n", "twice"]
    assert found["heir"] == ["id", "n", "twice", "more"]
    assert found["parts"] == found["seen"] == found["kept"] == ["id", "n"]
    for table, sums in {"made": 6, "heir": 3, "parts": 3, "seen": 3, "kept": 3}.items():
        query = f"SELECT n FROM {source.relation(None, table)}"
        assert source.describe(query)
        with source.session(write=False) as session:
            assert sum(session.table(query).column("n").to_pylist()) == sums
    with source.session(write=False) as session:
        error = refused(lambda: session.table('SELECT id FROM "public"."empty"'))
    assert error.code == "source_busy"


@pytest.mark.slow
def test_a_standby_is_refused_with_the_way_out() -> None:
    """It makes no temporary tables, so that no plan can be made on it, whatever the state."""
    with system_server() as server:
        server.create()
        server.start()
        as_owner(server.dsn, "CREATE TABLE people AS SELECT 1 AS id")
        server.stop("fast")
        server.become_standby()
        server.start()
        source = PostgresSource("shop", Dsn(server.dsn))
        for what in (
            lambda: source.check(write=False),
            lambda: source.check(write=True),
            lambda: source.describe("SELECT id FROM people"),
        ):
            error = refused(what)
            assert (error.code, "primary" in error.hint) == ("read_only_source", True)
        assert [t.name for t in source.tables()] == ["people"]
