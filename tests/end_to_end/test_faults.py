"""What a source lacks of a sudden: a clear message, and nothing lost or sent twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from end_to_end.batches import (
    BATCH,
    LOG,
    PEOPLE,
    POSTGRES,
    ROWS,
    Change,
    in_duckdb,
    in_postgres,
    logged,
    make,
    run,
)
from end_to_end.projects import SHOP, approved
from mayfly.api import load
from mayfly.cli.entry import main

pytestmark = pytest.mark.usefixtures("a_read_for_each_batch")


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.slow)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """A project of three batches; what changes its warehouse."""
    text, change = SHOP, in_duckdb(tmp_path / "shop.duckdb")
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("SHOP", dsn)
        text, change = POSTGRES, in_postgres(dsn)
    make(tmp_path, text + LOG, change)
    return change


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
