"""Tables of a real MariaDB beyond what every database as a destination promises."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymysql
import pytest

from mariadb import MariaDB, mariadb_server
from mayfly.connectors.destinations.database_mysql import MysqlEngine, MysqlTableSession
from mayfly.connectors.destinations.databases import STAGE, TableDestination
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Done
from tables import ROWS, Bench, Dsn, batch, context, in_mariadb, write

MARK = "marked-7f3a"
SMILE = "\N{SMILING FACE WITH SMILING EYES}"


@pytest.fixture
def bench(mariadb_database: str) -> Bench:
    """An empty database whose own texts are latin1, and take case and accents for the same."""
    return Bench("mysql", Path(), mariadb_database)


def texts(keys: list[str], name: str = "new") -> pa.Table:
    """Rows with a text as key."""
    return pa.table({"id": keys, "name": [name] * len(keys)})


def refused(destination: Any, given: Any, kind: type[EngineError]) -> EngineError:
    """The error of a write; it names no value."""
    with pytest.raises(kind) as caught:
        write(destination, given)
    error = caught.value
    assert MARK not in f"{error}{error.hint}{error.__cause__}"
    return error


ALIKE = [
    "a",
    "A",
    "a ",
    "ä",
    "a\x00",
    "\x00",
    "",
    " ",
    "ss",
    "ß",
    SMILE,
    SMILE + " ",
    "\\N",
    "NULL",
]


def test_keys_that_a_collation_takes_for_the_same_are_several(bench: Bench) -> None:
    """Case, accents, blanks at an end, NUL and what has four bytes: each is written, changed and
    taken out by itself.
    """
    made = context(texts(ALIKE))
    write(bench.make(made), batch(texts(ALIKE, "old")))
    for number, some in enumerate((ALIKE[::2], ALIKE[::3])):
        write(bench.make(made), batch(texts(some, f"new{number}"), number=1 + number))
        found = bench.ask(f"SELECT id FROM people WHERE name = 'new{number}'")
        assert {k for (k,) in found} == set(some)
    gone = pa.table({"id": ALIKE[::2]})
    write(bench.make(made), batch(gone, number=5, operation=Operation.REMOVE))
    assert {k for (k,) in bench.ask("SELECT id FROM people")} == set(ALIKE[1::2])


def test_a_table_that_takes_two_keys_for_one_refuses_the_second(bench: Bench) -> None:
    """It is one of the customer's; nobody's row is written over or taken out for another's."""
    bench.ask(
        "CREATE TABLE people (id varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci "
        "PRIMARY KEY, name varchar(20))"
    )
    made = context(texts(["a"]))
    write(bench.make(made), batch(texts(["a"], "first")))
    for number, key in enumerate(["A", "a ", "ä"]):
        given = batch(texts([key]), number=1 + number)
        assert refused(bench.make(made), given, ContractError).code == "batch_refused"
        gone = batch(pa.table({"id": [key]}), number=50 + number, operation=Operation.REMOVE)
        write(bench.make(made), gone)
    assert bench.ask("SELECT id, name FROM people") == [("a", "first")]
    write(bench.make(made), batch(texts(["a"], "second"), number=9))
    assert bench.ask("SELECT id, name FROM people") == [("a", "second")]


UNFIT: dict[str, tuple[str, pa.Array]] = {
    "number too large": ("int", pa.array([2**31], pa.int64())),
    "negative": ("int unsigned", pa.array([-1], pa.int64())),
    "text too long": ("varchar(3)", pa.array([MARK])),
    "bytes too long": ("varbinary(3)", pa.array([MARK.encode()], pa.binary())),
    "another character set": ("varchar(20) CHARACTER SET latin1", pa.array([SMILE])),
    "begins with a number": ("int", pa.array([f"7{MARK}"])),
    "empty for a number": ("int", pa.array([""])),
    "zero date": ("date", pa.array(["0000-00-00"])),
    "no such day": ("date", pa.array(["2026-02-30"])),
    "after 2038": ("timestamp NULL", pa.array([dt.datetime(2050, 1, 1)], pa.timestamp("us"))),
    "null": ("varchar(9) NOT NULL", pa.array([None], pa.string())),
    "null for a default": ("varchar(9) NOT NULL DEFAULT 'x'", pa.array([None], pa.string())),
    "too many digits": ("decimal(4,2)", pa.array([decimal.Decimal(100)], pa.decimal128(9, 2))),
    "not of the set": ("enum('a', 'b')", pa.array([MARK])),
    "place of a member": ("enum('a', 'b')", pa.array(["1"])),
    "number for a member": ("enum('a', 'b')", pa.array([1], pa.int64())),
    "case of a member": ("enum('a', 'b')", pa.array(["A"])),
    "places in a set": ("set('a', 'b')", pa.array(["3"])),
    "no JSON": ("json", pa.array([MARK])),
    "no UUID": ("char(36) CHECK (length(name) = 36)", pa.array([MARK])),
    "not checked": ("int CHECK (name < 5)", pa.array([7], pa.int64())),
    "unique": ("int UNIQUE", pa.array([0], pa.int64())),
    "no such parent": ("int REFERENCES parents (id)", pa.array([7], pa.int64())),
}


def test_what_does_not_fit_is_refused_and_never_made_to_fit(bench: Bench) -> None:
    """A LOAD DATA LOCAL would cut, round to the nearest or leave out, and only warn. An append and
    a first load go straight to the table, an upsert by the stage.
    """
    bench.ask("CREATE TABLE parents (id int PRIMARY KEY) ENGINE=InnoDB")
    bench.ask("INSERT INTO parents VALUES (0)")
    for number, (kind, (column, values)) in enumerate(UNFIT.items()):
        table = f"people{number}"
        bench.ask(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, name {column}) ENGINE=InnoDB")
        rows = pa.table({"id": pa.array([1], pa.int64()), "name": values})
        if kind == "unique":
            rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": [0, 0]})
        for mode, how in ((SyncMode.APPEND, Operation.INSERT), (SyncMode.MIRROR, Operation.WRITE)):
            destination = bench.make(context(rows, mode=mode, object_name=table))
            error = refused(destination, batch(rows, operation=how), ContractError)
            assert error.code == "batch_refused", kind
            assert "types" in error.hint
        assert bench.ask(f"SELECT count(*) FROM {table}") == [(0,)], kind
    assert bench.ask("SELECT count(*) FROM _mayfly_batches") == [(0,)]


KEPT = {
    "text": pa.array(
        ["NULL", "\\N", 'a"b\n,"",\t\\"', "\x00", f"e\u0301{SMILE}", "", " \r\n", None]
    ),
    "big": pa.array([2**64 - 1, 0, 1, None, 5, 6, 7, 8], pa.uint64()),
    "exact": pa.array(
        [decimal.Decimal(9 * 10**35 + 1), decimal.Decimal("-0.01"), *[None] * 6],
        pa.decimal128(38, 2),
    ),
    "wide": pa.array([decimal.Decimal(10**69), *[None] * 7], pa.decimal256(76, 2)),
    "number": pa.array([0.1, -1.7e308, 5e-324, 1 / 3, -0.0, 16777217.0, 1e22, None], pa.float64()),
    "small": pa.array([0.1, 16777216.0, *[None] * 6], pa.float32()),
    "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2024, 2, 29), *[None] * 5]),
    "seen": pa.array(
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), *[None] * 6],
        pa.timestamp("us"),
    ),
    "zoned": pa.array(
        [dt.datetime(2026, 3, 29, 0, 30, tzinfo=dt.UTC), *[None] * 7],
        pa.timestamp("us", tz="Europe/Paris"),
    ),
    "time": pa.array([dt.time(23, 59, 59, 999999), *[None] * 7], pa.time64("us")),
    "raw": pa.array([bytes(range(256)), b"", b'"\n,', *[None] * 5], pa.binary()),
    "flag": pa.array([True, False, None, *[None] * 5]),
    "list": pa.array([[1, None, 2**53 + 1], [], *[None] * 6], pa.list_(pa.int64())),
}


@pytest.mark.parametrize("staged", [False, True])
def test_every_value_arrives_as_it_is(bench: Bench, staged: bool) -> None:
    """By a first load and by a stage; in a table of types that MariaDB has for them."""
    rows = pa.table({"id": pa.array(range(8), pa.int64()), **KEPT})
    if staged:
        write(bench.make(context(rows)), batch(rows.slice(0, 0)))
        bench.ask("INSERT INTO people (id) VALUES (99)")
    write(bench.make(context(rows)), batch(rows, number=1))
    found = bench.ask(f"SELECT {', '.join(KEPT)} FROM people WHERE id < 9 ORDER BY id")
    for number, name in enumerate(KEPT):
        given = rows.column(name).to_pylist()
        if name == "zoned":
            given = [v and v.astimezone(dt.UTC).replace(tzinfo=None) for v in given]
        if name == "time":
            given = [dt.timedelta(days=1, microseconds=-1), *given[1:]]
        if name == "wide":
            given = [f"{10**69}.00", *given[1:]]
        if name == "list":
            found_lists = [row[number] and json.loads(row[number]) for row in found]
            assert found_lists == given
            continue
        assert [row[number] for row in found] == given, name


def test_a_float_that_is_not_finite_refuses_its_row_alone(bench: Bench) -> None:
    """MariaDB has none, in any type."""
    values = pa.array([math.inf, -math.inf, math.nan, 1.0, None], pa.float64())
    rows = pa.table({"id": pa.array(range(5), pa.int64()), "name": values})
    done = write(bench.make(context(rows)), batch(rows))
    assert isinstance(done, Done)
    assert done.outcomes.rows_of(OutcomeCode.REJECTED) == [0, 1, 2]
    assert {done.outcomes.reasons[n].code for n in range(3)} == {"not_a_finite_number"}
    assert bench.ask("SELECT id FROM people ORDER BY id") == [(3,), (4,)]


def test_a_truth_and_a_number_fit_bits(bench: Bench) -> None:
    """Of a BIT column a LOAD DATA would take the digit for a byte."""
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY, name bit(1)) ENGINE=InnoDB")
    rows = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": [True, False, None]})
    for number in range(2):
        write(bench.make(context(rows)), batch(rows, number=number))
    assert bench.ask("SELECT id, name + 0 FROM people ORDER BY id") == [(1, 1), (2, 0), (3, None)]


def test_members_of_enums_and_sets_arrive(bench: Bench) -> None:
    """Those that look like numbers, have quotes in them or are empty, too."""
    bench.ask(
        "CREATE TABLE people (id BIGINT PRIMARY KEY, name enum('2', 'it''s', '', '1'), "
        "tags set('1', 'b', 'c')) ENGINE=InnoDB"
    )
    rows = pa.table(
        {
            "id": pa.array(range(5), pa.int64()),
            "name": ["1", "it's", "", "2", None],
            "tags": ["1", "b,c", "", None, "c"],
        }
    )
    for number in range(2):
        write(bench.make(context(rows)), batch(rows, number=number))
    found = bench.ask("SELECT id, name, tags FROM people ORDER BY id")
    assert found == list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def test_a_key_of_many_texts_fits_an_index(bench: Bench) -> None:
    """Four texts and bytes, and a key without any other column."""
    keys = {f"k{n}": ["x" * 100, "y"] for n in range(4)}
    rows = pa.table({**keys, "raw": pa.array([b"\xff", b"\x00"], pa.binary())})
    made = context(rows, key=tuple(rows.column_names))
    for number in range(2):
        write(bench.make(made), batch(rows, number=number))
    assert bench.ask("SELECT count(*), count(DISTINCT k0, raw) FROM people") == [(2, 2)]


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE people (id BIGINT PRIMARY KEY, name varchar(50)) ENGINE=MyISAM",
        "CREATE VIEW people AS SELECT 1 AS id, 'a' AS name",
    ],
)
def test_what_cannot_undo_half_a_batch_is_refused(bench: Bench, made: str) -> None:
    """Before a row is written, and by the check."""
    bench.ask(made)
    destination = bench.make(context(mode=SyncMode.APPEND, key=()))
    error = refused(destination, batch(operation=Operation.INSERT), ConfigError)
    assert (error.code, "ENGINE=InnoDB" in error.hint) == ("table_not_transactional", True)
    with pytest.raises(ConfigError, match="table_not_transactional"):
        asyncio.run(destination.check())


def test_an_index_over_the_beginnings_of_texts_is_no_key(bench: Bench) -> None:
    """It would refuse the second of two people whose keys begin alike."""
    bench.ask("CREATE TABLE people (id varchar(50), name varchar(50), UNIQUE (id(3)))")
    error = refused(bench.make(context(texts(["a"]))), batch(texts(["a"])), ConfigError)
    assert error.code == "key_not_unique"


def test_no_statement_holds_a_value(bench: Bench, mariadb_session: MariaDB) -> None:
    """The server's own log of statements has none: neither of a first load nor of an upsert or a
    removal.
    """
    mariadb_session.query("SET GLOBAL log_output = 'TABLE', general_log = ON")
    try:
        rows = texts([MARK, f"{MARK}2"], MARK)
        made = context(rows)
        write(bench.make(made), batch(rows))
        write(bench.make(made), batch(rows, number=1))
        gone = pa.table({"id": [MARK]})
        write(bench.make(made), batch(gone, number=2, operation=Operation.REMOVE))
        [[seen]] = mariadb_session.query(
            f"SELECT count(*) FROM general_log WHERE argument LIKE '%{STAGE}%'"
        )
        [[held]] = mariadb_session.query(
            "SELECT count(*) FROM general_log WHERE argument LIKE '%marked%' AND "
            "argument NOT LIKE 'SELECT count%'"
        )
    finally:
        mariadb_session.query("SET GLOBAL general_log = OFF; TRUNCATE TABLE general_log")
    assert int(seen) > 3
    assert held == "0"


@contextmanager
def globally(server: MariaDB, **settings: str) -> Iterator[None]:
    """Settings of the server that its owner may have chosen."""
    before = {k: server.query(f"SELECT @@global.{k}")[0][0] for k in settings}
    server.query("; ".join(f"SET GLOBAL {k} = {v}" for k, v in settings.items()))
    try:
        yield
    finally:
        back = {k: v if v.isdigit() else f"'{v}'" for k, v in before.items()}
        server.query("; ".join(f"SET GLOBAL {k} = {v}" for k, v in back.items()))


def test_what_the_server_is_set_to_changes_no_value(bench: Bench, mariadb_session: MariaDB) -> None:
    """Quotes, escapes, zones, a mode that takes anything, checks that are off, numbers that count
    up.
    """
    bench.ask(
        "CREATE TABLE people (id BIGINT AUTO_INCREMENT PRIMARY KEY, name varchar(5), "
        "seen timestamp NULL, less int CHECK (less < 5)) ENGINE=InnoDB"
    )
    at = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
    rows = pa.table(
        {
            "id": pa.array([0, 7], pa.int64()),
            "name": ['a\\"', "'b"],
            "seen": pa.array([at, None], pa.timestamp("us", tz="UTC")),
            "less": pa.array([1, 2], pa.int64()),
        }
    )
    odd = {"time_zone": "'+05:30'", "sql_mode": "'ANSI,NO_BACKSLASH_ESCAPES'", "sql_notes": "1"}
    with globally(mariadb_session, **odd, check_constraint_checks="0", sql_select_limit="1"):
        for number in range(2):
            write(bench.make(context(rows)), batch(rows, number=number))
        long = rows.set_column(1, "name", pa.array(["too long", "b"]))
        refused(bench.make(context(rows)), batch(long, number=2), ContractError)
        more = rows.set_column(3, "less", pa.array([1, 9], pa.int64()))
        refused(bench.make(context(rows)), batch(more, number=3), ContractError)
    found = bench.ask("SELECT id, name, seen, less FROM people ORDER BY id")
    assert found == [(0, 'a\\"', at.replace(tzinfo=None), 1), (7, "'b", None, 2)]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [("local_infile", "0", "local_infile_off"), ("read_only", "1", "database_unwritable")],
)
def test_a_server_that_takes_no_rows_is_told(
    bench: Bench, mariadb_session: MariaDB, setting: str, value: str, code: str
) -> None:
    """With what to set there."""
    write(bench.make(context()), batch())
    role = _role(bench, mariadb_session, "SELECT, INSERT, UPDATE, DELETE, CREATE")
    with globally(mariadb_session, **{setting: value}):
        error = refused(role.make(context()), batch(number=1), ConfigError)
        assert error.code == code
        if setting == "local_infile":
            with pytest.raises(ConfigError, match=code):
                asyncio.run(role.make(context()).check())
    assert bench.ask("SELECT count(*) FROM people") == [(3,)]


def _role(bench: Bench, server: MariaDB, rights: str) -> Bench:
    """A role that may do some things in the database."""
    [(name,)] = bench.ask("SELECT DATABASE()")
    server.query(
        f"CREATE OR REPLACE USER weak@'%' IDENTIFIED BY 'secret'; GRANT {rights}, CREATE TEMPORARY "
        f"TABLES ON {name}.* TO weak@'%'"
    )
    return Bench("mysql", Path(), server.dsn(name, "weak", tcp=True))


@pytest.mark.parametrize("rights", ["SELECT", "SELECT, INSERT, CREATE"])
def test_a_missing_right_is_named(bench: Bench, mariadb_session: MariaDB, rights: str) -> None:
    """The hint is the statement that gives it; nothing is written."""
    write(bench.make(context()), batch())
    weak = _role(bench, mariadb_session, rights)
    error = refused(weak.make(context()), batch(number=1), ConfigError)
    assert error.code == "missing_grant"
    assert (
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON `t" in error.hint
    )
    assert bench.ask("SELECT count(*) FROM _mayfly_batches") == [(1,)]


@pytest.mark.parametrize(
    ("dsn", "kind", "code"),
    [
        ("mysql://weak:wrong@127.0.0.1:{port}/{name}", ConfigError, "login_refused"),
        ("mysql://root@127.0.0.1:{port}/nowhere", ConfigError, "login_refused"),
        ("mysql://root@127.0.0.1:9/{name}", TransientError, "database_unavailable"),
        ("mysql://root@db.example.com/{name}?ssl_mode=DISABLED", ConfigError, "tls_required"),
        ("postgresql://root:hunter2@db.example.com/{name}", ConfigError, "dsn_invalid"),
    ],
)
def test_refusals_on_connecting_have_their_codes(
    mariadb_session: MariaDB, dsn: str, kind: type[EngineError], code: str
) -> None:
    """A wrong password, another database, nobody there, no TLS, another kind of server."""
    given = dsn.format(port=mariadb_session.port, name="mysql")
    error = refused(Bench("mysql", Path(), given).make(context()), batch(), kind)
    assert error.code == code
    assert "hunter2" not in str(error) + error.hint


@pytest.mark.parametrize(
    ("greeting", "code"),
    [("8.0.36", "server_not_supported"), ("5.5.5-10.5.23-MariaDB", "server_too_old")],
)
def test_mysql_and_old_servers_are_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, greeting: str, code: str
) -> None:
    """By what they greet with, before a statement."""
    monkeypatch.setattr(pymysql.connections.Connection, "get_server_info", lambda _: greeting)
    assert refused(bench.make(context()), batch(), ConfigError).code == code


@pytest.mark.parametrize("name", ["blank ", SMILE, "nul\x00"])
def test_a_name_that_mariadb_cannot_have_is_refused(bench: Bench, name: str) -> None:
    """Before it is connected to."""
    with pytest.raises(ConfigError, match="name_invalid"):
        bench.make(context(object_name=name))


def test_long_names_and_those_that_differ_in_case_are_refused(bench: Bench) -> None:
    """64 characters are the most, however many bytes they have."""
    bench.make(context(object_name="é" * 64))
    with pytest.raises(ConfigError, match="name_too_long"):
        bench.make(context(object_name="é" * 65))
    rows = pa.table({"id": pa.array([1], pa.int64()), "Id": ["a"]})
    with pytest.raises(ConfigError, match="column_ambiguous"):
        bench.make(context(rows))


def test_tables_whose_names_differ_in_case_are_two(bench: Bench) -> None:
    """As the file system has them."""
    write(bench.make(context(object_name="People")), batch())
    write(bench.make(context(object_name="people")), batch(ROWS.slice(0, 1), number=1))
    assert bench.ask("SELECT count(*) FROM people") == [(1,)]
    assert bench.ask('SELECT count(*) FROM "People"') == [(3,)]


def test_rows_too_wide_for_a_table_are_refused(bench: Bench) -> None:
    """InnoDB has room for some 200 long texts in a row."""
    rows = pa.table({"id": pa.array([1], pa.int64()), **{f"c{n}": ["x"] for n in range(500)}})
    assert refused(bench.make(context(rows)), batch(rows), ConfigError).code == "too_many_columns"


def test_somebody_elses_row_is_waited_for(bench: Bench) -> None:
    """One that is not committed has the key of ours: neither a duplicate nor lost."""
    write(bench.make(context()), batch())
    made = context()
    engine = MysqlEngine(Dsn(bench.dsn), made, lock_wait_seconds=0)
    new = pa.table({"id": pa.array([4], pa.int64()), "name": ["ours"]})
    with in_mariadb(bench.dsn) as other, other.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("INSERT INTO people VALUES (4, 'theirs')")
        error = refused(TableDestination(engine, made), batch(new, number=1), TransientError)
        assert error.code == "database_locked"
        cursor.execute("COMMIT")
    write(TableDestination(engine, made), batch(new, number=1))
    assert bench.ask("SELECT name FROM people WHERE id = 4") == [("ours",)]


@pytest.mark.parametrize("moment", ["stage", "statements", "mark_batch", "commit"])
def test_a_connection_that_is_lost_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """At any step of a batch; the next try writes it once, and its marker answers."""
    write(bench.make(context()), batch())
    real = getattr(MysqlTableSession, moment)

    def cut(self: MysqlTableSession, *given: Any) -> Any:
        bench.ask(f"KILL {self._connection.thread_id()}")
        return real(self, *given)

    new = pa.table({"id": pa.array([3, 4], pa.int64()), "name": ["c", "d"]})
    with monkeypatch.context() as patched:
        patched.setattr(MysqlTableSession, moment, cut)
        error = refused(bench.make(context()), batch(new, number=1), TransientError)
    assert error.code == "database_unavailable"
    destination = bench.make(context())
    assert asyncio.run(destination.applied(batch(new, number=1).head)) is False
    write(destination, batch(new, number=1))
    assert bench.ask("SELECT id, name FROM people WHERE id > 2") == [(3, "c"), (4, "d")]
    assert bench.ask("SELECT count(*) FROM _mayfly_batches") == [(2,)]


def test_a_first_load_and_an_append_need_no_stage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later run does, since a row of it may be there; somebody else's is met, not left out."""
    seen: list[str] = []
    run = MysqlTableSession.run
    monkeypatch.setattr(
        MysqlTableSession,
        "run",
        lambda self, sql, values=(): seen.append(sql) or run(self, sql, values),
    )
    destination = bench.make(context())
    write(destination, batch())
    appended = context(mode=SyncMode.APPEND, key=(), object_name="log")
    for number in range(2):
        write(bench.make(appended), batch(number=10 + number, operation=Operation.INSERT))
    assert bench.ask("SELECT count(*) FROM log") == [(6,)]
    assert not any(STAGE in sql for sql in seen)
    bench.ask("INSERT INTO people VALUES (5, 'theirs')")
    more = pa.table({"id": pa.array([4, 5], pa.int64()), "name": ["d", "e"]})
    write(destination, batch(more, number=1))
    assert any(STAGE in sql for sql in seen)
    found = bench.ask("SELECT id, name FROM people WHERE id > 3 ORDER BY id")
    assert found == [(4, "d"), (5, "e")]


def wide(rows: int, changed: str = "") -> tuple[pa.Table, DestinationContext]:
    """People with a text as key."""
    made = pa.table(
        {
            "id": [f"customer-{n}" for n in range(rows)],
            "email": [f"p{n}{changed}@example.com" for n in range(rows)],
            "name": [f"Name {n} {SMILE}" for n in range(rows)],
            "points": pa.array(range(rows), pa.int64()),
        }
    )
    return made, context(made)


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_little_of_the_worker(bench: Bench) -> None:
    """A first load, an upsert that changes each, and their removal: whole columns, each by the
    index of the table.
    """
    rows, made = wide(100_000)
    again, _ = wide(100_000, "x")
    begun = time.process_time()
    for number, given in enumerate((rows, again)):
        destination = bench.make(made)
        for part in range(2):
            part_rows = given.slice(part * 50_000, 50_000)
            write(destination, batch(part_rows, number=2 * number + part))
    assert bench.ask("SELECT count(*), sum(email LIKE '%x@%') FROM people") == [(100_000, 100_000)]
    for part in range(2):
        gone = again.select(["id"]).slice(part * 50_000, 50_000)
        write(bench.make(made), batch(gone, number=10 + part, operation=Operation.REMOVE))
    spent = time.process_time() - begun
    assert bench.ask("SELECT count(*) FROM people") == [(0,)]
    assert spent / 300_000 < 5e-6


def test_a_value_larger_than_a_packet_arrives(bench: Bench) -> None:
    """By a first load, and by a stage."""
    rows = pa.table({"id": pa.array([1], pa.int64()), "name": ["ä\n" * 400_000]})
    for number in range(2):
        write(bench.make(context(rows)), batch(rows, number=number))
    assert bench.ask("SELECT sha1(name), length(name) FROM people") == [
        (hashlib.sha1(rows["name"][0].as_py().encode()).hexdigest(), 1_200_000)
    ]


@pytest.mark.slow
def test_a_server_without_room_is_told_and_written_to_afterwards() -> None:
    """Its space for temporary tables is used up: transient, and nothing of the batch is there."""
    rows, made = wide(20_000)
    with mariadb_server("--innodb-temp-data-file-path=ibtmp1:12M:autoextend:max:12M") as server:
        server.query("CREATE DATABASE d")
        bench = Bench("mysql", Path(), server.dsn("d"))
        write(bench.make(made), batch(rows.slice(0, 1)))
        big = rows.set_column(2, "name", pa.array(["x" * 2_000] * 20_000))
        error = refused(bench.make(made), batch(big, number=1), TransientError)
        assert error.code == "disk_full"
        assert bench.ask("SELECT count(*) FROM people") == [(1,)]
        write(bench.make(made), batch(rows, number=1))
        assert bench.ask("SELECT count(*) FROM people") == [(20_000,)]
