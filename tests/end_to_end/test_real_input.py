"""Odd but legitimate rows, from real sources to real tables: none is lost, none sent twice."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from end_to_end.odd_projects import SOURCES, TABLES, Odd, refused, run
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


LONG = "".join(random.Random(7).choices(string.ascii_letters, k=10_000))
PARTS = [
    *("plain", "it's", '"q"', "\\", "\\N", "''", "%s", "{column}", "NULL", "", " lead", "trail "),
    *("a\nb", "a\r\nb", "\t", "😊", "Ä", "A\u0308", "a|b", "a", LONG),
]
KEYS = [*((part, "c") for part in PARTS), ("a|b", "c|d"), ("a", "b|c"), ("a|b|c", "d"), ("c", "a")]


@pytest.mark.parametrize("to", TABLES)
def test_no_key_is_taken_for_another(odd: Odd, to: str) -> None:
    """Every key arrives as it is, once, and is found again to be changed and to be removed."""
    rows = [(a, b, i) for i, (a, b) in enumerate(KEYS)]
    odd.fill("a text, b text, v int", rows)
    project = odd.write({"a": "a", "b": "b", "v": "v"}, key=["a", "b"], to=to)
    first = run(project)
    too_long = to == "postgres"
    assert first["rows"]["delivered"] == len(rows) - too_long, first
    assert first["rows"]["rejected"] == too_long
    if too_long:
        # An index of PostgreSQL holds no key of 10 kB: that row alone is refused.
        assert project.rejected("out")["reasons"] == [
            {"reason": "batch_refused", "vendor": None, "rows": 1}
        ]
        rows = [r for r in rows if r[0] != LONG]
    assert sorted(odd.ask(to, "SELECT a, b, v FROM {t}")) == sorted(rows)
    assert run(project)["rows"]["planned"] == 0
    odd.make(
        "UPDATE rows SET v = -1 WHERE a = 'a|b' AND b = 'c'", "DELETE FROM rows WHERE b = 'c|d'"
    )
    changed = run(project)["rows"]
    assert (changed["delivered"], changed["removed"]) == (1, 1)
    wanted = [(a, b, -1 if (a, b) == ("a|b", "c") else v) for a, b, v in rows if b != "c|d"]
    assert sorted(odd.ask(to, "SELECT a, b, v FROM {t}")) == sorted(wanted)


def test_keys_that_name_no_row_are_refused(odd: Odd) -> None:
    """A null in any part, or two rows of one key: counted, with what to do, and nothing sent."""
    odd.fill("a text, b text, v int", [("x", None, 1), ("secret", "y", 2), ("z", "z", 3)])
    project = odd.write({"a": "a", "b": "b", "v": "v"}, key=["a", "b"], to="sqlite")
    null = refused(project)
    assert null["code"] == "key_null"
    assert null["message"] == "Sync out: 1 rows have a null in the primary key."
    odd.make("UPDATE rows SET a = 'secret', b = 'y'")
    twice = refused(project)
    assert twice["code"] == "key_duplicate"
    assert twice["message"] == "Sync out: 1 primary keys stand on more than one row."
    assert null["hint"] == twice["hint"]
    assert twice["hint"].startswith("Make the key unique in the model's SQL")
