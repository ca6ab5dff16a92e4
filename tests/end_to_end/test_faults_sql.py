"""Model SQL and names that would do more than read: refused, and nothing of them is executed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest

from end_to_end.batches import (
    LOG,
    PEOPLE,
    POSTGRES,
    ROWS,
    Change,
    in_duckdb,
    in_postgres,
    logged,
    run,
)
from end_to_end.projects import SHOP, approved
from mayfly.bootstrap import initialise
from mayfly.cli.entry import main

SECRET = "in-the-environment-only"
COLUMNS = "id, email, phone, city, ads"
HOSTILE = "x */ ; drop table customers; --"
ENVIRON = "/proc/self/environ"
IN_DUCKDB = {
    f"SELECT 1 AS id, content AS email FROM read_text('{ENVIRON}')": "the table function read_text",
    f"SELECT * FROM read_csv('{ENVIRON}', header = false)": "the table function read_csv",
    f"SELECT *, (SELECT content FROM read_blob('{ENVIRON}')) FROM people": "read_blob",
    f"FROM '{ENVIRON}'": "a file in place of a table",
    f"SELECT {COLUMNS} FROM people; DROP TABLE customers": "2 came",
    "ATTACH 'other.duckdb' AS other": "must be one query",
    "INSTALL httpfs": "must be one query",
    "LOAD httpfs": "must be one query",
    "SET memory_limit = '1GB'": "must be one query",
    "PRAGMA database_list": "must be one query",
    "COPY customers TO 'out.csv'": "must be one query",
    "DROP TABLE customers": "must be one query",
    f"/* {HOSTILE} */ DROP TABLE customers": "must be one query",
}
IN_POSTGRES = {
    f"SELECT 1 AS id, pg_read_file('{ENVIRON}') AS email": "the function pg_read_file",
    f"SELECT {COLUMNS} FROM people WHERE lo_import('{ENVIRON}') > 0": "the function lo_import",
    "COPY customers TO '/tmp/out.csv'": "must be one query",
    "COPY customers TO PROGRAM 'cat'": "must be one query",
    f"SELECT {COLUMNS} FROM people; DROP TABLE customers": "2 came",
    "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone": "DELETE",
    f"SELECT {COLUMNS} FROM people FOR UPDATE": "LOCK",
    "SELECT set_config('role', 'postgres', false)": "set_config",
    "SET ROLE postgres": "must be one query",
    "DO 'BEGIN DROP TABLE customers; END'": "must be one query",
    "ATTACH 'other.duckdb' AS other": "cannot be parsed",
    "PRAGMA database_list": "must be one query",
}
Count = Callable[[], int]


def prepare(root: Path, text: str, change: Change) -> None:
    """People, and customers that nothing may touch."""
    change(PEOPLE)
    change("CREATE TABLE customers AS SELECT * FROM people")
    (root / "mayfly.yml").write_text(text)
    initialise(root)


@pytest.fixture
def of_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Count:
    """A project of a DuckDB file; how many customers it has."""
    monkeypatch.setenv("MARKED", SECRET)
    path = tmp_path / "shop.duckdb"
    prepare(tmp_path, SHOP + LOG, in_duckdb(path))

    def count() -> int:
        with duckdb.connect(str(path)) as connection:
            return len(connection.execute("SELECT id FROM customers").fetchall())

    return count


@pytest.fixture
def of_postgres(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Count:
    """A project of a PostgreSQL database; how many customers it has."""
    monkeypatch.setenv("SHOP", postgres_database)
    prepare(tmp_path, POSTGRES + LOG, in_postgres(postgres_database))

    def count() -> int:
        with psycopg.connect(postgres_database) as connection:
            return len(connection.execute("SELECT id FROM customers").fetchall())

    return count


def mayfly(*words: str) -> int:
    """Exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(str(ended.value.code))


def asks(root: Path, sql: str) -> None:
    """The model asks this in place of its table."""
    path = root / "mayfly.yml"
    lines = path.read_text().splitlines()
    line = next(x for x in lines if x.startswith(("    table: people", "    sql:")))
    quoted = sql.replace("'", "''")
    path.write_text(path.read_text().replace(line, f"    sql: '{quoted}'", 1))


def refuse_all(root: Path, capsys: pytest.CaptureFixture[str], refused: dict[str, str]) -> None:
    """Plan, approval and run refuse each with exit 3, saying why; nothing arrives anywhere."""
    for sql, said in refused.items():
        asks(root, sql)
        for words in (["plan"], ["approve", "--all"], ["run"]):
            assert mayfly(*words, "--project", str(root)) == 3, (words, sql)
            shown = capsys.readouterr()
            told = " ".join((shown.out + shown.err).split())
            assert "Model people: " in told
            assert said in told, (words, sql, told)
            assert SECRET not in told
    assert not (root / "log.sqlite").exists()
    assert not list(root.glob("out*")) + list(root.glob("other*"))


def test_model_sql_of_duckdb_that_does_more(
    tmp_path: Path, of_duckdb: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files, other databases, settings, extensions and second statements."""
    refuse_all(tmp_path, capsys, IN_DUCKDB)
    assert of_duckdb() == ROWS


def test_model_sql_of_postgres_that_does_more(
    tmp_path: Path, of_postgres: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """Likewise, and statements that change hidden in a query."""
    refuse_all(tmp_path, capsys, IN_POSTGRES)
    assert of_postgres() == ROWS


def test_a_view_that_reads_a_file_is_stopped_by_the_engine(
    tmp_path: Path, of_duckdb: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the model's SQL does not show, the engine's own lock stops."""
    change = in_duckdb(tmp_path / "shop.duckdb")
    change("ALTER TABLE people RENAME TO everyone")
    change(
        f"CREATE VIEW people AS SELECT e.*, length(content) > 0 AS x FROM everyone e, "
        f"read_text('{ENVIRON}')"
    )
    for words in (["plan"], ["run"]):
        assert mayfly(*words, "--project", str(tmp_path)) == 1
        shown = capsys.readouterr()
        assert "access_refused" in shown.out + shown.err
        assert SECRET not in shown.out + shown.err
    assert not (tmp_path / "log.sqlite").exists()


def test_a_function_of_postgres_that_may_write(
    tmp_path: Path, of_postgres: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server does not say what a volatile one does; a stable one it lets only read."""
    change = in_postgres(os.environ["SHOP"])
    body = "LANGUAGE sql AS 'DELETE FROM customers; SELECT i'"
    change(f"CREATE FUNCTION wipe(i int) RETURNS int {body}")
    query = "SELECT wipe(id) AS id, email, phone, city, ads FROM people WHERE id < 5"
    refuse_all(tmp_path, capsys, {query: "the function wipe, which may write"})
    change("ALTER FUNCTION wipe STABLE")
    assert mayfly("approve", "--all", "--project", str(tmp_path)) == 0
    assert mayfly("run", "--project", str(tmp_path)) == 1
    assert of_postgres() == ROWS
    change("CREATE OR REPLACE FUNCTION wipe(i int) RETURNS int STABLE LANGUAGE sql AS 'SELECT i'")
    assert mayfly("run", "--project", str(tmp_path)) == 0
    assert logged(tmp_path) == Counter(range(5))


@pytest.mark.parametrize("kind", ["of_duckdb", "of_postgres"])
def test_a_hostile_name_is_refused_where_it_is_a_name(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Of a sync in the files, on the command line, of a target, of its id, of a table."""
    count: Count = request.getfixturevalue(kind)
    approved(tmp_path)
    here = ("--project", str(tmp_path))
    assert mayfly("run", HOSTILE, *here) == 64
    assert "unknown_sync" in capsys.readouterr().err
    assert mayfly("run", "--target", HOSTILE, *here) in (1, 64)
    assert mayfly("state", "drop", HOSTILE, *here) in (1, 64)
    path = tmp_path / "mayfly.yml"
    right = path.read_text()
    capsys.readouterr()
    for old, code in (("  to_log:\n", "bad_name"), ("id: to_log", "bad_name")):
        path.write_text(right.replace(old, old.replace("to_log", f'"{HOSTILE}"')))
        assert mayfly("run", *here) == 1
        assert code in capsys.readouterr().err
    path.write_text(right.replace("    table: people", f'    table: "{HOSTILE}"', 1))
    assert mayfly("run", *here) == 1
    assert "table_missing" in capsys.readouterr().out
    assert count() == ROWS
    path.write_text(right)
    assert mayfly("run", *here) == 0
    assert len(logged(tmp_path)) == ROWS


@pytest.mark.parametrize("kind", ["of_duckdb", "of_postgres"])
def test_a_hostile_name_of_a_column_is_only_a_name(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """A column may be called anything: it is read, written and compared under its name."""
    count: Count = request.getfixturevalue(kind)
    change = in_duckdb(tmp_path / "shop.duckdb")
    if kind == "of_postgres":
        change = in_postgres(os.environ["SHOP"])
    change(f'ALTER TABLE people RENAME COLUMN email TO "{HOSTILE}"')
    path = tmp_path / "mayfly.yml"
    path.write_text(
        path.read_text()
        .replace("email: {class: email}", f'"{HOSTILE}": {{class: email}}')
        .replace("email: email", f'"{HOSTILE}": "{HOSTILE}"')
    )
    project = approved(tmp_path)
    assert run(project)["status"] == "succeeded"
    change(f'UPDATE people SET "{HOSTILE}" = NULL WHERE id = 7')
    assert run(project)["exit"] == 0
    assert len(logged(tmp_path)) == ROWS
    assert count() == ROWS
