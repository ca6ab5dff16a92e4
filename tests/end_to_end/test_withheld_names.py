"""A name of a column that is itself personal is printed nowhere, whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError, EngineError

SCHEMAS = Path(__file__).parents[2] / "docs/reference/json"
BEGIN = """\
version: 1
workspace: {name: shop}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
"""
PIVOTED = """\
models:
  visits:
    source: shop
    table: visits
    primary_key: [day]
    policy: allow_all
    columns: {day: {}}
destinations:
  own: {type: duckdb, path: own.duckdb, kind: internal, owner: Data, reason: ours}
syncs:
  s: {id: s, model: visits, destination: own, mode: upsert, table: visits, key: [day],
      mapping: {day: day}}
"""
WRITTEN = """\
models:
  visits:
    source: shop
    sql: SELECT day, "anna@example.com" AS mail, "bo@example.com" FROM visits
    primary_key: [day]
    columns: {day: {}, mail: {}, bo@example.com: {minimum: 0}}
    consent:
      ads: {column: bo@example.com, equals: 1, constant: all agreed}
destinations:
  theirs: {type: duckdb, path: own.duckdb}
syncs:
  s: {id: s, model: visits, destination: theirs, mode: upsert, table: visits, key: [day],
      purpose: ads, mapping: {day: day, mail: mail, bo: bo@example.com}}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with two people for columns, and one within a third."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            'CREATE TABLE visits AS SELECT range AS day, 1 AS "anna@example.com", '
            "2 AS \"bo@example.com\", {'cy@example.com': 1} AS others FROM range(3)"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(root: Path, text: str) -> None:
    """Write the project, and make its store."""
    (root / "mayfly.yml").write_text(BEGIN + text, encoding="utf-8")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0


def said(*words: str, read: bool = False) -> dict[str, Any]:
    """What a command prints as JSON, by its schema; `read` by a person, too."""
    for output in ("text", "json")[not read :]:
        result = CliRunner().invoke(app, [*words, "--output", output])
        assert "example.com" not in f"{result.output}{result.exception}", output
        if isinstance(result.exception, EngineError):
            assert "example.com" not in result.exception.hint
    document: dict[str, Any] = json.loads(result.stdout)
    schema = (SCHEMAS / f"{words[0]}.schema.json").read_text(encoding="utf-8")
    Draft202012Validator(json.loads(schema)).validate(document)
    return document


def test_columns_of_a_pivoted_table_are_told_apart_and_not_named(shop: Path) -> None:
    """By plan and approval, before and after one more comes, which is asked for like any other."""
    begin(shop, PIVOTED)
    columns = said("plan", read=True)["syncs"][0]["columns"]
    assert [(c["from"], c["to"]) for c in columns] == [
        ("day", "day"), ("(withheld)",) * 2, ("(withheld 2)",) * 2, ("others", "others"),
    ]  # fmt: skip
    asked = said("approve", read=True)["columns"]
    assert [c["column"] for c in asked] == ["day", "(withheld)", "(withheld 2)", "others"]
    [table] = said("discover", "shop")["tables"]
    assert [c["name"] for c in table["columns"]] == [c["column"] for c in asked]
    assert list(said("classify", "shop.visits")["tables"]["shop.visits"]) == [
        c["column"] for c in asked
    ]
    said("approve", "--all")
    assert said("run")["syncs"][0]["status"] == "succeeded"
    files = [f for f in shop.rglob("*") if f.is_file() and f.suffix != ".duckdb"]
    assert len(files) > 3
    assert not any(b"anna@example.com" in f.read_bytes() for f in files)
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute('ALTER TABLE visits ADD COLUMN "cy@example.com" INTEGER')
        con.execute('ALTER TABLE visits DROP COLUMN "anna@example.com"')
    [refused] = said("run")["syncs"]
    assert refused["error"]["code"] == "approval_changed"
    assert "column (withheld 2) added" in refused["error"]["message"]
    assert [
        (p["change"], p["column"], p["suggested"]) for p in said("approve", read=True)["pending"]
    ] == [
        ("changed: column (withheld 3) removed", "(withheld 3)", None),
        ("changed: column (withheld 2) added", "(withheld 2)", "clear"),
    ]


def test_a_name_that_the_project_writes_is_withheld_too(shop: Path) -> None:
    """In the bill, its refusals, what consent is bound to, reasons, and what is proposed."""
    begin(shop, WRITTEN)
    [plan] = said("plan", read=True)["syncs"]
    assert plan["consent"]["column"] == "(withheld)"
    assert ("free_form", "(withheld)") in [(r["code"], r["column"]) for r in plan["refusals"]]
    [mail] = [c for c in said("approve")["columns"] if c["column"] == "mail"]
    assert mail["made_of"] == ["visits.(withheld 2)"]
    assert said("map", "s")["mapping"][2] == {
        "field": "bo",
        "column": "(withheld)",
        "why": "mapped",
    }


def test_a_message_about_the_files_has_no_such_name(shop: Path) -> None:
    """Its line tells which key is meant."""
    (shop / "mayfly.yml").write_text(
        BEGIN + WRITTEN.replace("{minimum: 0}", "{minimum: 1, maximum: 0}"), encoding="utf-8"
    )
    error = CliRunner().invoke(app, ["plan"]).exception
    assert isinstance(error, ConfigError)
    assert "example.com" not in f"{error}"
