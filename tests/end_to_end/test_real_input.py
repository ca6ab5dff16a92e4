"""Odd but legitimate rows, from real sources to real tables: none is lost, none sent twice."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from end_to_end.odd_projects import SOURCES, TABLES, Odd, refused, run
from marks import IN_A_SOAK
from mayfly.api import load
from mayfly.config.findings import ConfigProblemsError
from mayfly.domain.errors import ConfigError


@pytest.fixture(
    params=[SOURCES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SOURCES[1:])]
)
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


NAMES = (
    *(
        "k0",
        "x0",
        "f0",
        "v0",
        "n",
        "c",
        "g",
        "m",
        "fp",
        "here",
        "dk",
        "need",
        "redo",
        "batch",
        "pos",
    ),
    *(
        "select",
        "order",
        "at",
        "unfit",
        "with blank",
        ' "q"',
        "😊",
        "{column}",
        "a;b",
        "a--b",
        "/*x*/",
    ),
    *("%s", "$1", "?", "n'x", "Ärger", "y" * 63),
)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("to", TABLES)
def test_columns_of_any_name_arrive(odd: Odd, to: str) -> None:
    """Names that Mayfly's own statements use, reserved words, quotes, blanks and emoji."""
    kinds = ", ".join(f"{_quoted(n)} int" for n in NAMES)
    odd.make(f"CREATE TABLE rows ({kinds})")
    odd.make(
        *(
            f"INSERT INTO rows VALUES ({', '.join(str(row * 100 + i) for i in range(len(NAMES)))})"
            for row in range(3)
        )
    )
    project = odd.write({n: n for n in NAMES}, key=["x0", "k0"], to=to)
    assert run(project)["rows"]["delivered"] == 3
    odd.make('UPDATE rows SET "fp" = 0 WHERE "k0" = 0', 'DELETE FROM rows WHERE "k0" = 100')
    changed = run(project)["rows"]
    assert (changed["delivered"], changed["removed"]) == (1, 1)
    shown = ", ".join(_quoted(n).replace("{", "{{").replace("}", "}}") for n in NAMES)
    at = NAMES.index("fp")
    rows = [[row * 100 + i for i in range(len(NAMES))] for row in (0, 2)]
    rows[0][at] = 0
    assert sorted(odd.ask(to, f"SELECT {shown} FROM {{t}}")) == [tuple(r) for r in rows]


@pytest.mark.parametrize("to", TABLES)
def test_columns_that_differ_only_in_case(odd: Odd, to: str) -> None:
    """They arrive where the destination tells them apart, and are refused by name elsewhere."""
    columns = ("a", "b") if odd.source == "duckdb" else ("Id", "id")
    odd.make(f'CREATE TABLE rows (k int, "{columns[0]}" int, "{columns[1]}" int)')
    odd.make("INSERT INTO rows VALUES (1, 2, 3)")
    project = odd.write({"k": "k", "Id": columns[0], "id": columns[1]}, key=["k"], to=to)
    if to == "postgres":
        assert run(project)["rows"]["delivered"] == 1
        assert odd.ask(to, 'SELECT k, "Id", id FROM {t}') == [(1, 2, 3)]
        return
    error = refused(project)
    assert error["code"] == "column_ambiguous"
    assert error["message"].startswith("Sync out: fields Id and id of the mapping differ only")
    assert "mapping" in error["hint"]


@pytest.mark.parametrize("odd", ["duckdb"], indirect=True)
def test_two_columns_of_one_name_in_duckdb_are_one(odd: Odd) -> None:
    """DuckDB does not tell `Id` from `id`: declaring both is refused."""
    odd.make("CREATE TABLE rows (k int, id int)", "INSERT INTO rows VALUES (1, 2)")
    with pytest.raises(ConfigError, match="column_ambiguous"):
        odd.write({"k": "k", "a": "Id", "b": "id"}, key=["k"], to="sqlite")


@pytest.mark.parametrize("to", ["postgres", "sqlite"])
def test_names_and_widths_beyond_a_table_are_refused(odd: Odd, to: str) -> None:
    """What PostgreSQL would cut, and more columns than a table can have."""
    odd.make("CREATE TABLE rows (k int)", "INSERT INTO rows VALUES (1)")
    long = odd.write({"k": "k", "n" * 70: "k"}, key=["k"], to=to)
    if to == "postgres":
        error = refused(long)
        assert error["code"] == "name_too_long"
        assert "70 bytes" in error["message"]
    wide = odd.write({"k": "k", **{f"f{i}": "k" for i in range(2_000)}}, key=["k"], to=to)
    error = refused(wide)
    assert error["code"] == "too_many_columns"
    assert "2001 fields" in error["message"]


@pytest.mark.parametrize(
    ("width", "kind"),
    [
        (600, "int"),
        pytest.param(2_000, "int", marks=IN_A_SOAK),
        pytest.param(2_000, "text", marks=IN_A_SOAK),
    ],
)
def test_a_wide_table_arrives_whole_and_in_part(odd: Odd, width: int, kind: str) -> None:
    """All of its columns, and three of them: the least change of the last one is seen.

    An expression of DuckDB may be 1,000 operators deep; a table of PostgreSQL has 1,600 columns.
    """
    width = min(width, 2_000 if odd.source == "duckdb" else 1_600)
    names = ["id", *(f"c{i}" for i in range(1, width))]
    to, value = odd.source, {"int": int, "text": str}[kind]
    odd.make(
        f"CREATE TABLE rows (id int, {', '.join(f'{n} {kind}' for n in names[1:])})",
        f"INSERT INTO rows VALUES ({', '.join(map(str, range(width)))})",
        f"INSERT INTO rows VALUES (1{', NULL' * (width - 1)})",
    )
    project = odd.write({n: n for n in names}, key=["id"], to=to)
    assert run(project)["rows"]["delivered"] == 2
    odd.make(f"UPDATE rows SET {names[-1]} = -1 WHERE id = 0")
    assert run(project)["rows"]["delivered"] == 1
    assert run(project)["rows"]["planned"] == 0
    first = (0, *(value(i) for i in range(1, width - 1)), value(-1))
    wanted = [first, (1, *[None] * (width - 1))]
    assert odd.ask(to, "SELECT * FROM {t} ORDER BY id") == wanted
    three = odd.write({n: n for n in (names[0], names[1], names[-1])}, key=["id"], to="sqlite")
    assert run(three)["rows"]["delivered"] == 2
    assert odd.ask("sqlite", "SELECT * FROM {t} ORDER BY id") == [
        (0, value(1), value(-1)),
        (1, None, None),
    ]


@pytest.mark.parametrize("odd", ["duckdb"], indirect=True)
def test_rows_beyond_the_memory_limit_are_refused(odd: Odd) -> None:
    """Three times the limit of a DuckDB source: nothing is sent, nothing spilled, and what to do
    is said.
    """
    odd.settings = {"memory_limit": "100MB"}
    odd.make(
        "CREATE TABLE rows AS SELECT i AS id, repeat(chr(97 + (i % 26)::int), 3000000) AS doc "
        "FROM range(100) AS r(i)"
    )
    project = odd.write({"id": "id", "doc": "doc"}, key=["id"], to="sqlite", batch_rows=4)
    before = sorted(p.name for p in odd.root.iterdir())
    error = refused(project)
    assert error["code"] == "memory_limit"
    assert "memory_limit" in error["hint"]
    assert sorted(p.name for p in odd.root.iterdir()) == before


@pytest.mark.slow
def test_wide_rows_go_in_batches_that_fit(odd: Odd) -> None:
    """Two hundred megabytes, of which no more than a third is read at once."""
    odd.settings = {"memory_limit": "1GB"} if odd.source == "duckdb" else {}
    odd.make(
        "CREATE TABLE rows AS SELECT i AS id, repeat(chr(97 + CAST(i % 26 AS int)), 2000000) "
        "AS doc FROM generate_series(0, 99) AS r(i)"
    )
    project = odd.write({"id": "id", "doc": "doc"}, key=["id"], to="sqlite")
    [ended] = project.run().to_dict()["syncs"]
    assert (ended["status"], ended["batches"], ended["rows"]["delivered"]) == ("succeeded", 4, 100)
    assert ended["rows"]["planned"] == 100
