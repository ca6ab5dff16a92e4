"""Sources and destinations that fail while a run is under way, and the run that makes up for it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from end_to_end.projects import SHOP, approved
from mayfly.api import Project, RunRequest, load
from mayfly.bootstrap import initialise
from mayfly.cli.entry import main
from mayfly.services import advance_run

BATCH = 1_000
ROWS = 3 * BATCH
POSTGRES = SHOP.replace("{type: duckdb, path: shop.duckdb}", '{type: postgres, dsn: "env:SHOP"}')
LOG = """
destinations:
  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_log:
    id: to_log
    model: people
    destination: log
    mode: append
    table: people
    purpose: ads
    batch_rows: 1000
    mapping: {id: id, email: email}
"""
PEOPLE = (
    "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
    "'0639980000' AS phone, 'Lyon' AS city, TRUE AS ads "
    f"FROM generate_series(0, {ROWS - 1}) AS r(i)"
)
Change = Callable[[str], None]


def in_duckdb(path: Path) -> Change:
    """Statements on a DuckDB file."""

    def change(sql: str) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(sql)

    return change


def in_postgres(dsn: str) -> Change:
    """Statements on a PostgreSQL database."""

    def change(sql: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.encode())

    return change


@pytest.fixture(autouse=True)
def _a_read_for_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches are otherwise read many at a time."""
    monkeypatch.setattr(advance_run, "READ_ROWS", BATCH)


@pytest.fixture(params=["duckdb", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """A project of three batches; what changes its warehouse."""
    text, change = SHOP, in_duckdb(tmp_path / "shop.duckdb")
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("SHOP", dsn)
        text, change = POSTGRES, in_postgres(dsn)
    make(tmp_path, text + LOG, change)
    return change


def make(root: Path, text: str, change: Change) -> None:
    """A project with its table of people."""
    (root / "mayfly.yml").write_text(text)
    change(PEOPLE)
    initialise(root)


def run(project: Project, *, after_first: Callable[[], object] | None = None) -> dict[str, Any]:
    """How the one sync ended; something may happen once its first batch is there."""
    request = RunRequest()
    waiting = [after_first] if after_first is not None else []

    def progress(sync: str, rows: int, planned: int) -> None:
        if waiting:
            waiting.pop()()

    request.progress = progress
    result = project.run(request=request)
    [ended] = result.to_dict()["syncs"]
    return {**ended, "exit": result.exit_code}


def logged(root: Path) -> Counter[int]:
    """How often each id was appended."""
    with sqlite3.connect(root / "log.sqlite") as log:
        return Counter(i for (i,) in log.execute("SELECT id FROM people"))


def test_a_table_dropped_while_it_is_read_ends_the_run(tmp_path: Path, shop: Change) -> None:
    """What was read by then is delivered and counted, and what is missing follows once: in the
    run after the table is back.
    """
    project = approved(tmp_path)
    failed = run(project, after_first=lambda: shop("DROP TABLE people"))
    assert (failed["status"], failed["exit"]) == ("failed", 1)
    assert failed["error"]["code"] == "table_missing"
    assert (failed["batches"], failed["rows"]["planned"]) == (2, ROWS)
    assert failed["rows"]["delivered"] == sum(logged(tmp_path).values()) == 2 * BATCH
    assert project.runs(1)["runs"][0]["rows"]["delivered"] == 2 * BATCH
    still = run(project)
    assert (still["status"], still["rows"]["planned"]) == ("failed", 0)
    shop(PEOPLE)
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", BATCH)
    assert logged(tmp_path) == Counter(range(ROWS))


def test_a_column_dropped_between_two_runs_is_named(tmp_path: Path, shop: Change) -> None:
    """Neither plan nor run sends anything; the message names model and column. Put back with
    other values for some, those alone are sent.
    """
    project = approved(tmp_path)
    run(project)
    shop("ALTER TABLE people DROP COLUMN city")
    failed = run(project)
    assert (failed["status"], failed["exit"]) == ("failed", 1)
    assert failed["error"]["code"] == "column_missing"
    assert failed["error"]["message"] == "Model people: Table people has no column city."
    assert "mayfly discover" in failed["error"]["hint"]
    shop("ALTER TABLE people ADD COLUMN city varchar")
    assert run(project)["status"] == "no_changes"
    assert logged(tmp_path) == Counter(range(ROWS))


def test_a_column_renamed_while_it_is_read_ends_the_run(tmp_path: Path, shop: Change) -> None:
    """As a table that is gone; and a model that says the new name is approved anew and goes on."""
    project = approved(tmp_path)
    rename = "ALTER TABLE people RENAME COLUMN email TO mail"
    failed = run(project, after_first=lambda: shop(rename))
    assert (failed["status"], failed["error"]["code"]) == ("failed", "column_missing")
    assert failed["rows"]["delivered"] == sum(logged(tmp_path).values()) == 2 * BATCH
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text().replace("email: {class: email}", "mail: {class: email}"))
    path.write_text(path.read_text().replace("email: email", "email: mail"))
    refused = run(load(tmp_path))
    assert (refused["status"], refused["error"]["code"]) == ("refused", "approval_changed")
    done = run(approved(tmp_path))
    assert done["status"] == "succeeded"
    assert logged(tmp_path) == Counter(range(ROWS))


@pytest.mark.parametrize("said", ["DROP TABLE people", "ALTER TABLE people DROP COLUMN ads"])
def test_a_plan_names_the_model_that_has_no_rows_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: Change, said: str
) -> None:
    """One line and a hint, exit 1."""
    approved(tmp_path)
    shop(said)
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--project", str(tmp_path)])
    assert ended.value.code == 1
    line, hint = capsys.readouterr().err.splitlines()
    assert line.startswith("mayfly: Model people: ")
    assert hint.startswith("  → ")
