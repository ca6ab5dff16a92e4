"""Odd but legitimate rows, from real sources to real tables: none is lost, none sent twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.odd_projects import SOURCES, Odd, refused, run
from mayfly.api import load
from mayfly.config.findings import ConfigProblemsError


@pytest.fixture(params=SOURCES)
def odd(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Odd:
    """A source of each kind, with tables of one's own to send to."""
    monkeypatch.setenv("ODD_DSN", postgres_database)
    return Odd(root=tmp_path, source=request.param, dsn=postgres_database)


IDS = {"id": "id", "name": "name"}


def test_an_empty_table_fills_and_empties_again(odd: Odd) -> None:
    """No row is a success; one row is sent; a table that is suddenly empty takes nothing back
    unasked.
    """
    odd.fill("id int, name text", [])
    project = odd.write(IDS, key=["id"], to="sqlite")
    empty = run(project)
    assert (empty["status"], empty["rows"]["delivered"]) == ("no_changes", 0)
    odd.fill("id int, name text", [(1, "a")])
    assert (run(project)["status"], run(project)["status"]) == ("succeeded", "no_changes")
    assert odd.ask("sqlite", "SELECT id, name FROM {t}") == [(1, "a")]
    odd.fill("id int, name text", [(i, "a") for i in range(150)])
    assert run(project)["rows"]["delivered"] == 149
    odd.fill("id int, name text", [])
    error = refused(project)
    assert error["code"] == "mass_change"
    assert "150 left the model" in error["message"]
    assert "--accept removals=150" in error["hint"]
    assert odd.ask("sqlite", "SELECT count(*) FROM {t}") == [(150,)]
    emptied = run(project, accept_removals=150)
    assert (emptied["status"], emptied["rows"]["removed"]) == ("succeeded", 150)
    assert odd.ask("sqlite", "SELECT count(*) FROM {t}") == [(0,)]
    assert run(project)["status"] == "no_changes"


def test_a_mapping_without_fields_is_refused_where_it_stands(odd: Odd) -> None:
    """File and line, what was expected and what to write; nothing runs."""
    odd.write(IDS, key=["id"], to="sqlite", approve=False)
    path = odd.root / "mayfly.yml"
    before, _, after = path.read_text(encoding="utf-8").partition('"mapping": {')
    path.write_text(before + '"mapping": {' + after[after.index("}") :], encoding="utf-8")
    with pytest.raises(ConfigProblemsError) as caught:
        load(odd.root)
    [found] = [p for p in caught.value.problems if p.code == "empty"]
    assert (found.file, found.line) == ("mayfly.yml", 1 + before.count("\n"))
    assert found.message == "syncs.out.mapping: expected at least one member"
    assert found.hint == "Destination field: model column."
