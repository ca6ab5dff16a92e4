"""A real MariaDB beyond what every source promises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from mariadb import MariaDB, mariadb_server
from mayfly.connectors.destinations import database_mysql
from mayfly.connectors.mysql_connect import Dsn
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    PolicyError,
    TransientError,
)
from mayfly.planning.sql.mysql import MysqlDialect
from servers import HOST, Authority, make_authority
from tables import context

SQL = MysqlDialect()


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _tls(ours: Authority) -> list[str]:
    return [f"--ssl-cert={ours.certificate}", f"--ssl-key={ours.key}"]


@pytest.fixture
def server(mariadb_session: MariaDB) -> Iterator[MariaDB]:
    """With a table whose texts a collation takes for the same."""
    mariadb_session.query(
        "DROP DATABASE IF EXISTS odd; CREATE DATABASE odd CHARACTER SET utf8mb4 COLLATE "
        "utf8mb4_general_ci; CREATE TABLE odd.t (k varchar(20), yes varchar(20), one decimal(4,2), "
        "flag bit(1)) ENGINE=InnoDB; INSERT INTO odd.t VALUES ('a', 'yes', 1, 1), "
        "('A', 'YES', 1.4, 0), ('a ', '1abc', 0.6, NULL), ('ä', '1', -1, 1)"
    )
    yield mariadb_session
    mariadb_session.query("DROP DATABASE odd")


@pytest.fixture
def source(server: MariaDB) -> MysqlSource:
    """As root."""
    return MysqlSource("odd", _Dsn(server.dsn("odd")))


def test_texts_and_consent_are_told_apart_by_their_bytes(source: MysqlSource) -> None:
    """Case, accents and blanks at an end; a text that begins with a number is none, and a number is
    not one that is rounded to it.
    """
    asked = {
        "keys": f"count(DISTINCT {SQL.key('k', 'varchar', pa.string())})",
        "word": f"sum({SQL.is_one_of('yes', ['yes'])})",
        "number": f"sum({SQL.is_one_of('yes', [1])})",
        "truth": f"sum({SQL.is_one_of('one', [True])})",
        "below": f"sum({SQL.is_one_of('one', [-1])})",
        "bit": f"sum(CASE WHEN flag IS NOT NULL THEN {SQL.is_one_of('flag', [True])} END)",
    }
    shown = ", ".join(f"{SQL.cast(v, 'bigint')} AS {SQL.quote(n)}" for n, v in asked.items())
    with source.session(write=False) as session:
        [row] = session.table(f"SELECT {shown} FROM t").to_pylist()
    assert row == {"keys": 4, "word": 1, "number": 1, "truth": 1, "below": 1, "bit": 2}


def test_no_file_of_this_machine_is_read(source: MysqlSource, tmp_path: Path) -> None:
    """A server may answer any statement with the wish for one."""
    secret = tmp_path / "secret"
    secret.write_text("1\n")
    with source.session(write=True) as session:
        session.execute("CREATE TEMPORARY TABLE taken (a varchar(20))")
        with pytest.raises(ContractError, match="query_failed"):
            session.execute(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE taken")


def test_more_is_loaded_than_a_packet_holds(source: MysqlSource) -> None:
    """The protocol's own limit is 16 MB, and a server may set a lower one."""
    rows = pa.table({"n": range(9_000), "v": ["x" * 1_000] * 9_000})
    with source.session(write=False) as session:
        session.load("mf_wide", rows)
        [found] = session.table(
            "SELECT count(*) AS n, sum(length(v)) AS s FROM mf_wide"
        ).to_pylist()
    assert (found["n"], int(found["s"])) == (9_000, 9_000_000)


def test_a_limit_of_the_server_cuts_no_result(server: MariaDB, source: MysqlSource) -> None:
    """Of rows that a model reads none may be missing."""
    server.query("SET GLOBAL sql_select_limit = 1")
    try:
        with source.session(write=False) as session:
            assert session.table("SELECT k FROM t").num_rows == 4
    finally:
        server.query("SET GLOBAL sql_select_limit = 18446744073709551615")


def test_a_server_that_takes_no_data_is_refused(server: MariaDB, source: MysqlSource) -> None:
    """By name, before a run and in its midst."""
    server.query("SET GLOBAL local_infile = OFF")
    try:
        with pytest.raises(ConfigError, match="local_infile_off"):
            source.check(write=False)
        with (
            source.session(write=False) as session,
            pytest.raises(ConfigError, match="local_infile_off"),
        ):
            session.load("mf_load", pa.table({"n": [1]}))
    finally:
        server.query("SET GLOBAL local_infile = ON")


def test_a_locked_row_is_waited_for_and_then_told(source: MysqlSource) -> None:
    """It may be tried again."""
    with source.session(write=True) as first, source.session(write=True) as second:
        first.begin()
        first.execute("UPDATE t SET one = 2")
        second.execute("SET SESSION innodb_lock_wait_timeout = 1")
        with pytest.raises(TransientError, match="source_busy"):
            second.execute("UPDATE t SET one = 3")
        first.rollback()


def test_reading_for_a_plan_locks_nothing(source: MysqlSource) -> None:
    """Whoever writes the tables of a model need not wait for one."""
    with source.session(write=True) as plan, source.session(write=True) as owner:
        plan.begin()
        plan.execute("CREATE TEMPORARY TABLE copied AS SELECT * FROM t")
        plan.execute("INSERT INTO copied SELECT * FROM t")
        owner.execute("SET SESSION innodb_lock_wait_timeout = 1")
        assert owner.execute("UPDATE t SET one = 3") == 4
        plan.rollback()


def test_a_stream_left_early_leaves_what_the_session_has(source: MysqlSource) -> None:
    """Its temporary tables and its next statement."""
    with source.session(write=False) as session:
        session.load("mf_kept", pa.table({"n": [1, 2]}))
        for _ in range(5):
            stream = session.stream("SELECT seq FROM seq_1_to_1000000", rows=10)
            assert next(stream).num_rows == 10
            del stream
            assert session.table("SELECT count(*) AS n FROM mf_kept").to_pylist() == [{"n": 2}]


def test_a_stored_function_is_refused(server: MariaDB, source: MysqlSource) -> None:
    """It may write, and nobody would hold it to reading."""
    server.query("CREATE FUNCTION odd.sneaky() RETURNS int RETURN 1", "odd")
    for call in ("sneaky()", "odd . `sneaky` ()"):
        with pytest.raises(PolicyError, match="model_sql_forbidden"):
            source.describe(f"SELECT {call} AS a")


def test_a_database_with_something_in_it_is_not_dropped(
    server: MariaDB, source: MysqlSource
) -> None:
    """DROP DATABASE would take all of it."""
    server.query("CREATE DATABASE full; CREATE TABLE full.kept (a int)")
    with source.session(write=True) as session:
        with pytest.raises(EngineError):
            session.execute(SQL.drop_schema("full"))
        session.execute(SQL.drop_table("`full`.`kept`"))
        session.execute(SQL.drop_schema("full"))
        found = session.table(SQL.has_schema("full")).to_pylist()
    assert found == [{"n": 0}]


def test_refusals_on_connecting_have_their_codes(server: MariaDB) -> None:
    """A wrong password, another database, nobody there."""
    server.query("CREATE OR REPLACE USER known@'%' IDENTIFIED BY 'other'")
    for dsn in (server.dsn("odd", "known", tcp=True), server.dsn("nowhere")):
        with pytest.raises(ConfigError, match="source_refused"):
            MysqlSource("odd", _Dsn(dsn)).check(write=False)
    with pytest.raises(TransientError, match="source_away"):
        MysqlSource("odd", _Dsn("mysql://u@127.0.0.1:9/odd")).check(write=False)


def _check_source(dsn: str) -> None:
    MysqlSource("far", _Dsn(dsn)).check(write=True)


def _check_destination(dsn: str) -> None:
    asyncio.run(database_mysql.make(dsn=_Dsn(dsn), context=context()).check())


ENDS = (_check_source, _check_destination)


@pytest.mark.slow
def test_off_this_machine_the_server_is_verified(tmp_path: Path) -> None:
    """At both ends: by an authority of one's own; another, none, or a server without TLS is
    refused.
    """
    assert not Dsn(
        host=HOST, port=1, socket="", user="u", password="", database="d", ssl_ca=""
    ).is_local
    ours = make_authority(tmp_path / "ours", HOST)
    other = make_authority(tmp_path / "other", "127.0.0.9")
    with mariadb_server("--bind-address=0.0.0.0", *_tls(ours)) as server:
        server.query("CREATE DATABASE d; CREATE USER far@'%' IDENTIFIED BY 'secret'")
        server.query("GRANT ALL ON *.* TO far@'%'")
        dsn = f"mysql://far:secret@{HOST}:{server.port}/d"
        for check in ENDS:
            check(f"{dsn}?ssl_ca={ours.root}")
            for weak in (dsn, f"{dsn}?ssl_ca={other.root}"):
                with pytest.raises(ConfigError, match="tls_not_verified"):
                    check(weak)
    with mariadb_server("--bind-address=0.0.0.0") as plain:
        dsn = f"mysql://far:secret@{HOST}:{plain.port}/d?ssl_ca={ours.root}"
        for check in ENDS:
            with pytest.raises(ConfigError, match="tls_not_verified"):
                check(dsn)
