"""What the table destinations say when a database is not as they need it; no value is in it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pymysql
import pytest

from mayfly.connectors.destinations.database_duckdb import DuckdbEngine
from mayfly.connectors.destinations.database_mysql import MysqlEngine
from mayfly.connectors.destinations.database_postgres import PostgresEngine, PostgresTableSession
from mayfly.connectors.destinations.database_sqlite import SqliteEngine
from mayfly.connectors.destinations.databases import STAGE, Cursor, Engine, TableDestination
from mayfly.connectors.private_files import as_private_as
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import Done
from tables import ENGINES, ROWS, Bench, Dsn, batch, bench_of, context, in_mariadb, write

MARK = "marked-7f3a"
MARKED = pa.table({"id": pa.array([1], pa.int64()), "name": [MARK]})
TWICE = (sqlite3.IntegrityError, duckdb.ConstraintException, psycopg.Error, pymysql.Error)
HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Each engine in turn."""
    return bench_of(request, request.param, tmp_path)


def impatient(bench: Bench) -> TableDestination:
    """A destination that waits for a lock no longer than it must."""
    made = context()
    engine: Engine
    if bench.kind == "postgres":
        engine = PostgresEngine(Dsn(bench.dsn), "public", made, lock_wait_seconds=0.05)
    elif bench.kind == "mysql":
        engine = MysqlEngine(Dsn(bench.dsn), made, lock_wait_seconds=0)
    elif bench.kind == "duckdb":
        engine = DuckdbEngine(bench.path, made.object_name, lock_wait_seconds=0.0)
    else:
        engine = SqliteEngine(bench.path, made.object_name, busy_seconds=0.0)
    return TableDestination(engine, made)


@contextmanager
def locked(bench: Bench) -> Iterator[None]:
    """Another program holds the table or the file."""
    if bench.kind == "postgres":
        with psycopg.connect(bench.dsn) as holder:
            holder.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
            yield
            holder.rollback()
    elif bench.kind == "mysql":
        with in_mariadb(bench.dsn) as holding, holding.cursor() as holder:
            holder.execute("LOCK TABLES people WRITE")
            yield
    elif bench.kind == "sqlite":
        holding = sqlite3.connect(bench.path, isolation_level=None)
        holding.execute("BEGIN IMMEDIATE")
        yield
        holding.close()
    else:
        command = [sys.executable, "-c", HOLD, str(bench.path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield
            other.communicate("")


def refused(destination: Any, given: Any, kind: type[EngineError]) -> EngineError:
    """The error of a write; it names no value."""
    with pytest.raises(kind) as caught:
        write(destination, given)
    error = caught.value
    assert MARK not in f"{error}{error.hint}{error.__cause__}"
    return error


def test_a_locked_database_is_told_and_written_to_afterwards(bench: Bench) -> None:
    """It may be tried again; nothing of the batch is there before."""
    write(bench.make(context()), batch())
    with locked(bench):
        error = refused(impatient(bench), batch(MARKED, number=1), TransientError)
    assert error.code == "database_locked"
    assert error.hint
    assert bench.ask("SELECT count(*) FROM people") == [(3,)]
    done = write(bench.make(context()), batch(MARKED, number=1))
    assert isinstance(done, Done)
    assert bench.ask("SELECT name FROM people WHERE id = 1") == [(MARK,)]


def test_a_missing_table_is_made_with_its_key(bench: Bench) -> None:
    """Once, and the next batch takes the one that is there."""
    for number in range(2):
        write(bench.make(context()), batch(number=number))
    assert bench.ask("SELECT count(*) FROM people") == [(3,)]
    with pytest.raises(TWICE):
        bench.ask("INSERT INTO people VALUES (1, 'twice')")


def test_a_missing_column_is_named(bench: Bench) -> None:
    """By the mapping's own name of it, with what to do."""
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY)")
    error = refused(bench.make(context()), batch(MARKED), ConfigError)
    assert error.code == "column_missing"
    assert "no column name." in error.message
    assert "mapping" in error.hint


def test_another_type_refuses_the_batch_and_tells_no_value(bench: Bench) -> None:
    """All or nothing, marker and rows of the same batch before it included."""
    strict = " STRICT" if bench.kind == "sqlite" else ""
    bench.ask(f"CREATE TABLE people (id INTEGER PRIMARY KEY, name INTEGER){strict}")
    destination = bench.make(context())
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["7", MARK]})
    error = refused(destination, batch(rows), ContractError)
    assert error.code == "batch_refused"
    assert "types" in error.hint
    assert bench.ask("SELECT count(*) FROM people") == [(0,)]
    if ("_mayfly_batches",) in bench.ask(bench.names):  # In MariaDB a table that is made stays.
        assert bench.ask("SELECT count(*) FROM _mayfly_batches") == [(0,)]


def test_a_broken_constraint_refuses_the_batch_and_tells_no_value(bench: Bench) -> None:
    """All or nothing."""
    bench.ask(
        "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(50) CHECK (length(name) < 5))"
    )
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", MARK]})
    error = refused(bench.make(context()), batch(rows), ContractError)
    assert error.code == "batch_refused"
    assert bench.ask("SELECT count(*) FROM people") == [(0,)]


@pytest.mark.parametrize("granted", [None, "GRANT SELECT ON people TO weak"])
def test_a_missing_grant_is_named(postgres_database: str, granted: str | None) -> None:
    """The hint is the statement that gives it."""
    bench = Bench("postgres", Path(), postgres_database)
    bench.ask("DROP ROLE IF EXISTS weak")
    bench.ask("CREATE ROLE weak LOGIN")
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(50))")
    if granted is not None:
        bench.ask(granted)
    weak = Bench("postgres", Path(), postgres_database.replace("postgres:@", "weak:@"))
    try:
        error = refused(weak.make(context()), batch(MARKED), ConfigError)
    finally:
        bench.ask("DROP OWNED BY weak")
        bench.ask("DROP ROLE weak")
    assert error.code == "missing_grant"
    assert "schema public" in error.message
    assert "GRANT SELECT, INSERT, UPDATE, DELETE" in error.hint


def test_a_missing_schema_is_named(postgres_database: str) -> None:
    """With the statement that makes it."""
    made = context()
    destination = TableDestination(PostgresEngine(Dsn(postgres_database), "crm", made), made)
    error = refused(destination, batch(MARKED), ConfigError)
    assert (error.code, error.hint.split(";")[0]) == ("schema_missing", 'CREATE SCHEMA "crm"')


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_folder_that_is_missing_or_a_link_is_told(tmp_path: Path, kind: str) -> None:
    """No folder is made, and no link is followed."""
    error = refused(Bench(kind, tmp_path / "no", "").make(context()), batch(MARKED), ConfigError)
    assert error.code == "folder_missing"
    bench = Bench(kind, tmp_path, "")
    bench.path.symlink_to(tmp_path / "elsewhere")
    assert refused(bench.make(context()), batch(MARKED), ConfigError).code == "folder_missing"


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, kind: str) -> None:
    """And is not written over."""
    bench = Bench(kind, tmp_path, "")
    bench.path.write_bytes(MARK.encode() * 1000)
    assert refused(impatient(bench), batch(MARKED), ConfigError).code == "database_unreadable"
    assert bench.path.read_bytes() == MARK.encode() * 1000


def mode_of(path: Path) -> int:
    """Its rights."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_no_file_beside_a_duckdb_file_is_more_open_than_it(tmp_path: Path, mode: int) -> None:
    """The write-ahead log holds rows. A new database is its owner's alone."""
    path, before = tmp_path / "crm.duckdb", os.umask(0o002)
    try:
        engine = DuckdbEngine(path, "people")
        with engine.session() as session:
            session.execute("CREATE TABLE people (id BIGINT)")
            session.commit()
            assert (mode_of(path), mode_of(tmp_path / "crm.duckdb.wal")) == (0o600, 0o600)
        path.chmod(mode)
        with engine.session() as session:
            session.execute("INSERT INTO people VALUES (1)")
            session.commit()
            assert mode_of(tmp_path / "crm.duckdb.wal") == mode
        assert os.umask(0o002) == 0o002
    finally:
        os.umask(before)


def test_a_new_sqlite_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    """From its first moment; SQLite gives its journal the same rights."""
    bench = Bench("sqlite", tmp_path, "")
    write(bench.make(context()), batch())
    assert mode_of(bench.path) == 0o600


def test_the_umask_is_the_strictest_of_those_within(tmp_path: Path) -> None:
    """Whoever leaves first opens nothing that another wants closed, and the last restores it."""
    shared, before = tmp_path / "shared", os.umask(0o022)
    shared.touch(0o644)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with as_private_as(tmp_path / "not there yet"):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    try:
        with as_private_as(shared):
            thread.start()
            assert inside.wait(60)
        (tmp_path / "made").touch()
        assert mode_of(tmp_path / "made") == 0o600
        leave.set()
        thread.join()
        (tmp_path / "later").touch()
        assert mode_of(tmp_path / "later") == 0o644
    finally:
        os.umask(before)


def test_a_row_the_database_cannot_hold_is_rejected_alone(postgres_database: str) -> None:
    """PostgreSQL has no NUL character in texts; the reason names no value."""
    bench = Bench("postgres", Path(), postgres_database)
    rows = pa.table({"id": ROWS.column("id"), "name": [f"{MARK}\x00", "b", None]})
    done = write(bench.make(context()), batch(rows))
    assert isinstance(done, Done)
    assert done.outcomes.rows_of(OutcomeCode.REJECTED) == [0]
    assert MARK not in repr(done)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mysql"])
def test_a_nested_value_without_json_refuses_the_batch(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """By a code: the engine's own text could hold the value."""
    numbers = pa.array([[Decimal(7)]], pa.list_(pa.decimal256(60, 2)))
    rows = pa.table({"id": pa.array([1], pa.int64()), "name": numbers})
    error = refused(
        bench_of(request, kind, tmp_path).make(context(rows)), batch(rows), ContractError
    )
    assert error.code == "batch_refused"
    assert error.__cause__ is None


def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements of destinations from here on."""
    seen: list[str] = []
    run = PostgresTableSession.run

    def noted(self: PostgresTableSession, sql: str, values: Sequence[object] = ()) -> Cursor:
        seen.append(sql)
        return run(self, sql, values)

    monkeypatch.setattr(PostgresTableSession, "run", noted)
    return seen


def test_a_first_load_needs_no_stage(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an append; a later run does, since a row of it may be there."""
    bench, seen = Bench("postgres", Path(), postgres_database), statements(monkeypatch)
    destination = bench.make(context())
    more = pa.table({"id": pa.array([4, 5], pa.int64()), "name": ["d", "e"]})
    for number, rows in enumerate([ROWS, more]):
        write(destination, batch(rows, number=number))
    appended = context(mode=SyncMode.APPEND, key=(), object_name="log")
    for number in range(2):
        write(bench.make(appended), batch(number=10 + number, operation=Operation.INSERT))
    assert not any(STAGE in sql for sql in seen)
    assert bench.ask("SELECT count(*) FROM people") == [(5,)]
    assert bench.ask("SELECT count(*) FROM log") == [(6,)]
    write(bench.make(context()), batch(more, number=2))
    assert any(STAGE in sql for sql in seen)


def test_a_first_load_meets_a_row_of_somebody_else(postgres_database: str) -> None:
    """It is written over, as in any other run, and nothing is there twice or lost."""
    bench = Bench("postgres", Path(), postgres_database)
    destination = bench.make(context())
    write(destination, batch())
    bench.ask("INSERT INTO people VALUES (5, 'theirs')")
    more = pa.table({"id": pa.array([4, 5], pa.int64()), "name": ["d", "e"]})
    write(destination, batch(more, number=1))
    write(destination, batch(more, number=1))
    found = bench.ask("SELECT id, name FROM people ORDER BY id")
    assert found == [(1, "a"), (2, 'q"uote'), (3, None), (4, "d"), (5, "e")]


def test_a_table_that_takes_no_copy_is_loaded_by_a_stage(postgres_database: str) -> None:
    """PostgreSQL knows no COPY into a table with row-level security."""
    bench = Bench("postgres", Path(), postgres_database)
    bench.ask("DROP ROLE IF EXISTS guarded")
    bench.ask("CREATE ROLE guarded LOGIN")
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(50))")
    bench.ask("ALTER TABLE people ENABLE ROW LEVEL SECURITY")
    bench.ask("CREATE POLICY all_rows ON people USING (true)")
    bench.ask("GRANT USAGE, CREATE ON SCHEMA public TO guarded")
    bench.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON people TO guarded")
    weak = Bench("postgres", Path(), postgres_database.replace("postgres:@", "guarded:@"))
    try:
        write(weak.make(context()), batch())
        assert bench.ask("SELECT count(*) FROM people") == [(3,)]
    finally:
        bench.ask("DROP OWNED BY guarded")
        bench.ask("DROP ROLE guarded")
