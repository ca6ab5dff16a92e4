"""ClickHouse's own engine behind its HTTP interface: what only this source has to withstand."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from clickhouse_server import PASSWORD, USER, ClickHouse, clickhouse_server
from contract.clickhouse_world import Word, clickhouse_source, make_people
from mayfly.bootstrap.guarded_source import GuardedSource
from mayfly.connectors.sources import clickhouse_connect
from mayfly.connectors.sources.clickhouse import ClickhouseSource
from mayfly.connectors.sources.clickhouse_connect import ClickhouseAccess
from mayfly.connectors.sources.clickhouse_types import column
from mayfly.domain.errors import ConfigError, ContractError, PolicyError, TransientError
from mayfly.planning.sql.clickhouse import ClickhouseDialect
from mayfly.privacy.rules.catalogue import RULES
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source
from mayfly.testing.source_contract import MARK
from servers import make_authority

SQL = ClickhouseDialect()
LONG = "SELECT number, toString(number) AS t FROM numbers(500000)"
_FAILS = "SELECT number, throwIf(number = 450000) AS x FROM numbers(500000)"
_BREAKS_OFF = (
    "SELECT number, toInt64(if(number = 450000, 'a value', '1')) AS x FROM numbers(500000)"
)


@pytest.fixture(scope="module")
def people(clickhouse: ClickHouse) -> ClickhouseSource:
    """A source with the people."""
    database = clickhouse.database()
    make_people(clickhouse, database)
    return clickhouse_source(clickhouse, database)


def test_the_vendors_client_is_served_as_by_a_server(clickhouse: ClickHouse) -> None:
    """It logs in, asks in a session of its own, inserts, streams, and reads every error."""
    clickhouse_connect = pytest.importorskip("clickhouse_connect")
    from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

    def client(password: str = PASSWORD) -> object:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=clickhouse.port, username=USER, password=password
        )

    made = client()
    assert made.server_version == clickhouse.query("SELECT version() AS v")[0]["v"]
    made.command("CREATE TEMPORARY TABLE own (a Int64, b String)")
    made.insert("own", [[1, "x"], [2, "é"]], column_names=["a", "b"],
                column_type_names=["Int64", "String"])  # fmt: skip
    assert made.query("SELECT a, b FROM own ORDER BY a").result_rows == [(1, "x"), (2, "é")]
    with made.query_arrow_stream(LONG) as stream:
        assert sum(piece.num_rows for piece in stream) == 500_000
    with pytest.raises(DatabaseError, match="code: 47"):
        made.query("SELECT nope")
    with (
        pytest.raises(StreamFailureError, match="Code: 395"),
        made.query_row_block_stream(_FAILS, settings={"max_block_size": 10_000}) as blocks,
    ):
        list(blocks)
    with pytest.raises(DatabaseError, match="code: 516"):
        client("another")
    made.close()


@pytest.mark.slow
def test_every_rule_is_hashed_in_the_engine(people: ClickhouseSource) -> None:
    """Of every platform: no column is left to the worker."""
    uses = [RuleUse(rule=rule) for rule in RULES.values()]
    uses += [RuleUse(rule=r, default_country="FR") for (_, k), r in RULES.items() if k == "phone"]
    assert len(uses) > 50
    assert probe_source(people, SQL, uses) == frozenset()


def _break_off(source: ClickhouseSource) -> None:
    with source.session(write=False) as session:
        for statement in (_FAILS, _BREAKS_OFF):
            for read in (session.table, lambda sql: list(session.stream(sql))):
                with pytest.raises(ConfigError, match="value_conversion") as caught:
                    read(statement)
                assert "a value" not in str(caught.value) + caught.value.hint
                assert caught.value.__suppress_context__
        assert session.table("SELECT 1 AS a").num_rows == 1


def test_an_error_in_the_midst_of_a_result_is_never_its_end(people: ClickhouseSource) -> None:
    """The status was good, and half of the rows are there: the server's error is told, with no text
    of its own.
    """
    _break_off(people)


@pytest.mark.slow
def test_so_is_one_of_an_older_server() -> None:
    """Before version 25.11 it is marked by a word alone."""
    with clickhouse_server(tagged=False) as server:
        _break_off(clickhouse_source(server, "default"))


@pytest.mark.slow
def test_a_server_that_is_gone_can_be_tried_again() -> None:
    """In the midst of a result, between statements, and for the next session."""
    with clickhouse_server() as server:
        source = clickhouse_source(server, "default")
        with source.session(write=False) as session:
            stream = session.stream("SELECT number FROM numbers(100000000)", rows=1000)
            next(stream)
            server.process.kill()
            server.process.wait()
            with pytest.raises(TransientError, match="connection_lost"):
                list(stream)
            with pytest.raises(TransientError, match="source_away"):
                session.table("SELECT 1 AS a")
        with pytest.raises(TransientError, match="source_away"):
            source.check(write=False)


def test_a_late_error_is_told_though_the_status_was_good(
    people: ClickhouseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a statement works the server says so in headers; its error then comes as one."""
    pinned = {**clickhouse_connect.PINNED, "http_headers_progress_interval_ms": "10"}
    monkeypatch.setattr("mayfly.connectors.sources.clickhouse_session.PINNED", pinned)
    with (
        people.session(write=False) as session,
        pytest.raises(ConfigError, match="value_conversion"),
    ):
        session.table("SELECT throwIf(sleep(0.2) = 0) AS x")


def test_another_statement_cannot_cut_a_stream_short(people: ClickhouseSource) -> None:
    """The session refuses instead."""
    with people.session(write=False) as session:
        stream = session.stream(LONG, rows=1000)
        next(stream)
        with pytest.raises(ContractError, match="session_busy"):
            session.table("SELECT 1 AS a")
        assert sum(b.num_rows for b in stream) == 499_000


def test_a_session_leaves_no_table_behind(clickhouse: ClickHouse, people: ClickhouseSource) -> None:
    """What it made is dropped when it ends, not when the server forgets the session."""
    with people.session(write=False) as session:
        session.execute(SQL.create_as("`mf_gone`", "SELECT id FROM people", temporary=True))
        session.load("mf_loaded", pa.table({"n": pa.array([1], pa.int64())}))
        there = session.table("SELECT count() AS n FROM system.tables WHERE is_temporary")
        assert there.to_pylist() == [{"n": 2}]
    dropped = [e["query"] for e in clickhouse.log()][-2:]
    assert all(d.startswith("DROP TEMPORARY TABLE IF EXISTS `mf_") for d in dropped)


def test_ordinals_fill_a_column_and_leave_the_rest(people: ClickhouseSource) -> None:
    """Bytes of any kind, and nulls where the worker had none."""
    with people.session(write=False) as session:
        session.execute(
            SQL.create_as(
                "`mf_scan`",
                "SELECT number - 0 AS n, CAST('old' AS Nullable(String)) AS v0 FROM numbers(6)",
                temporary=True,
            )
        )
        values = {"n": pa.array([1, 3, 4], pa.int64()), "d": [b"\xff\0", None, b"\0"]}
        session.load("mf_load_1", pa.table(values))
        session.execute(SQL.filled("`mf_scan`", "v0", "mf_load_1"))
        found = session.table("SELECT v0 FROM mf_scan ORDER BY n").column("v0")
    assert found.cast(pa.binary()).to_pylist() == [
        b"old", b"\xff\0", b"old", None, b"\0", b"old",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        "toUInt64('18446744073709551615')",
        "toInt128('-5')",
        "'é\\'\\\\'",
        "toLowCardinality('x')",
        "toFixedString('FR', 4)",
        "CAST('1.50' AS Decimal(10, 2))",
        "toDate32('1900-01-01')",
        "toDateTime('2026-10-25 00:30:00', 'UTC')",
        "toDateTime('2026-10-25 01:30:00', 'Europe/Paris')",
        "toDateTime64('1960-01-02 03:04:05.123456789', 9, 'Asia/Kathmandu')",
        "toUUID('00000000-0000-0000-0000-000000000001')",
        "toIPv6('2001:db8::1')",
        "CAST('sa\\'d' AS Enum8('ok' = 1, 'sa\\'d' = 2))",
        "true",
    ],
)
def test_a_primary_key_is_known_again_by_its_text(people: ClickhouseSource, key: str) -> None:
    """Of every type that one may have: what was sealed casts back to the same key, and has the same
    digest.
    """
    with people.session(write=False) as session:
        [info] = session.describe(f"SELECT {key} AS k")
        made = SQL.key("k", info.sql_type, info.arrow_type)
        text = SQL.key_text("k0", info.sql_type)
        back = SQL.key_of_text("t0", info.sql_type)
        query = (
            f"SELECT k0 = {back} AS same, "
            f"{SQL.key_digest([SQL.render('k0', info.arrow_type)])} AS a, "
            f"{SQL.key_digest([SQL.render(back, info.arrow_type)])} AS b, "
            f"toTypeName(k0) AS kind FROM (SELECT k0, {text} AS t0 FROM (SELECT {made} AS k0 FROM "
            f"(SELECT {key} AS k)))"
        )
        [row] = session.table(f"SELECT same, a = b AS equal, kind FROM ({query})").to_pylist()
    assert (row["same"], row["equal"]) == (1, 1)
    assert row["kind"] == SQL.key_type(info.sql_type)


def test_a_nested_key_is_refused(people: ClickhouseSource) -> None:
    """It has no plain equality."""
    info = column("tags", "Array(LowCardinality(String))")
    with pytest.raises(PolicyError, match="key_type"):
        SQL.key("tags", info.sql_type, info.arrow_type)


# -- the role --------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_stands_nowhere(clickhouse: ClickHouse) -> None:
    """Nor does the right one: it is in no address that a server or a proxy would log."""
    access = ClickhouseAccess(
        endpoint=clickhouse.endpoint, user=USER, password=lambda: Word("another"), database="x"
    )
    with pytest.raises(ConfigError, match="source_refused") as caught:
        ClickhouseSource("shop", access).check(write=False)
    assert "another" not in str(caught.value) + caught.value.hint + repr(access)
    clickhouse_source(clickhouse, "default").check(write=False)
    [asked, *_] = clickhouse.log()[-1:]
    assert "Authorization" in asked["headers"]
    for entry in clickhouse.log():
        assert "password" not in entry["url"].lower()
        assert USER not in entry["url"]


def test_a_database_that_is_not_there_is_told(clickhouse: ClickHouse) -> None:
    """By its name in the settings."""
    with pytest.raises(ConfigError, match="database_missing"):
        clickhouse_source(clickhouse, "no_such").check(write=False)


_MANY = "SELECT number FROM numbers(1000)"


@pytest.mark.parametrize(
    ("settings", "statement", "code"),
    [
        ({"readonly": "1"}, _MANY, "settings_refused"),
        ({"max_result_rows": "100", "result_overflow_mode": "break"}, _MANY, "source_limit"),
        ({"max_rows_to_read": "100", "read_overflow_mode": "break"}, _MANY, "source_limit"),
        (
            {"max_memory_usage": "30000000"},
            "SELECT groupArray(toString(number)) AS a FROM numbers(3000000)",
            "memory_limit",
        ),
    ],
)
def test_limits_of_a_role_stop_a_statement_and_never_shorten_it(
    clickhouse: ClickHouse, settings: dict[str, str], statement: str, code: str
) -> None:
    """Whether or not the role would have it cut."""
    source = clickhouse_source(clickhouse, "default")
    with (
        clickhouse.other_settings(settings),
        pytest.raises(ConfigError, match=code),
        source.session(write=False) as session,
    ):
        session.table(statement)


def test_a_role_that_only_reads_is_enough(clickhouse: ClickHouse) -> None:
    """Its profile says `readonly = 2`, which may not be taken back, and plans are made by it."""
    source = clickhouse_source(clickhouse, "default")
    with clickhouse.other_settings({"readonly": "2"}):
        source.check(write=False)
        with source.session(write=False) as session:
            session.load("mf_a", pa.table({"n": pa.array([1, 2], pa.int64())}))
            assert session.table("SELECT sum(n) AS s FROM mf_a").to_pylist() == [{"s": 3}]


def test_rows_that_a_policy_hides_are_refused(clickhouse: ClickHouse) -> None:
    """A row that it hides later would look as if it had left; tables without one are read."""
    database = clickhouse.database()
    make_people(clickhouse, database)
    clickhouse.query(
        f"CREATE TABLE {database}.other ENGINE = MergeTree ORDER BY id AS SELECT 1 AS id"
    )
    clickhouse.query(f"CREATE VIEW {database}.seen AS SELECT id FROM {database}.people")
    source = clickhouse_source(clickhouse, database)
    with clickhouse.hidden({(database, "people"): "id < 10"}):
        assert source.describe("SELECT id FROM other")
        for query in (
            "SELECT id FROM people",
            "SELECT id FROM people WHERE name != '' AND id > 1",
            "SELECT id FROM seen",
            "SELECT o.id FROM other o JOIN people p USING id",
            "SELECT id FROM other UNION ALL SELECT id FROM people",
        ):
            with pytest.raises(ConfigError, match="row_security"):
                source.describe(query)
    assert source.describe("SELECT id FROM people")


# -- the way to it ---------------------------------------------------------------------------------


def _https(server: ClickHouse, ca: Path | None, host: str = "127.0.0.1") -> ClickhouseSource:
    access = ClickhouseAccess(
        endpoint=f"https://{host}:{server.port}",
        user=USER,
        password=Word,
        database="default",
        ca=ca,
    )
    return ClickhouseSource("shop", access)


def test_tls_is_verified(tmp_path: Path) -> None:
    """By an authority that is named, for the host that is asked; results come compressed."""
    ours = make_authority(tmp_path / "ours", "127.0.0.1")
    theirs = make_authority(tmp_path / "theirs", "127.0.0.1")
    with clickhouse_server(certificate=(ours.certificate, ours.key)) as server:
        with _https(server, ours.root).session(write=False) as session:
            assert session.table(LONG).num_rows == 500_000
        for source in (
            _https(server, None),
            _https(server, theirs.root),
            _https(server, ours.root, "localhost"),
        ):
            with pytest.raises(ConfigError, match="tls_not_verified"):
                source.check(write=False)
        with pytest.raises(ConfigError, match="ca_invalid"):
            _https(server, tmp_path / "none").check(write=False)


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/other")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextmanager
def _redirecting() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_no_redirect_is_followed_and_no_proxy_heeded(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers otherwise gets the password once, and no second request."""
    with _redirecting() as port:
        access = ClickhouseAccess(
            endpoint=f"http://127.0.0.1:{port}", user=USER, password=Word, database="x"
        )
        with pytest.raises(ConfigError, match="source_refused"):
            ClickhouseSource("shop", access).check(write=False)
        assert len(_Elsewhere.seen) == 1
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        clickhouse_source(clickhouse, "default").check(write=False)
        assert len(_Elsewhere.seen) == 1


def test_the_guard_of_sockets_sees_every_connection(people: ClickhouseSource) -> None:
    """A source whose list names another host cannot connect."""
    guarded = GuardedSource(people, frozenset({"192.0.2.1"}))
    with pytest.raises(PolicyError, match="host_not_allowed"):
        guarded.check(write=False)
    GuardedSource(people, frozenset({"127.0.0.1"})).check(write=False)


def test_no_row_stands_in_a_statement_or_an_address(
    clickhouse: ClickHouse, people: ClickhouseSource
) -> None:
    """What is loaded is the body of an INSERT whose text names the table."""
    with people.session(write=False) as session:
        session.load("mf_load_9", pa.table({"s": pa.array([MARK, "canary"], pa.string())}))
        assert session.table("SELECT s FROM mf_load_9 ORDER BY s").to_pylist() == [
            {"s": "canary"},
            {"s": MARK},
        ]
    said = str(clickhouse.log()[-6:])
    assert "INSERT INTO `mf_load_9` (`s`) FORMAT ArrowStream" in said
    assert MARK not in said
    assert "canary" not in said


def test_the_server_tells_its_version_and_time(people: ClickhouseSource) -> None:
    """In UTC."""
    facts = people.facts()
    assert facts.engine.startswith("ClickHouse 2")
    assert facts.clock is not None
    assert abs((facts.clock - datetime.now(UTC)).total_seconds()) < 60


def test_who_waits_for_an_abandoned_statement_is_served_in_the_end(
    people: ClickhouseSource,
) -> None:
    """The server has one statement at a time for a session; it is asked again until it is free."""
    with people.session(write=False) as session:
        for _ in range(3):
            stream = session.stream(f"{LONG.replace('500000', '50000000')}", rows=10)
            next(stream)
            stream.close()
            begun = time.monotonic()
            assert session.table("SELECT 1 AS a").num_rows == 1
            assert time.monotonic() - begun < 20
