"""What values were found to be enters a sync as one more source of its columns' classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from mayfly.cli.commands import app
from mayfly.services import value_classes

PROJECT = """\
version: 1
workspace: {name: shop}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb%s}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns:
      id: {rule: pseudonym}
      tier: {values: [basic, pro]}
    consent:
      ads: {column: ok, equals: true, lawful_basis: consent}
destinations:
  out: {type: duckdb, path: out.duckdb}
syncs:
  tiers: {id: tiers, model: people, destination: out, mode: append, table: tiers, purpose: ads,
          mapping: {id: id, tier: tier}}
"""
SCHEMA = Path(__file__).parents[2] / "docs/reference/json/discover.schema.json"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two thousand people, one of whom has an address where a tier should be."""
    tmp_path = tmp_path / "shop"
    tmp_path.mkdir()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE people AS SELECT range AS id, CASE WHEN range = 77 THEN "
            "'anna@example.com' ELSE 'pro' END AS tier, range % 3 > 0 AS ok, "
            "'x' AS email FROM range(2000)"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _begin(root: Path, classify: str = "") -> None:
    (root / "mayfly.yml").write_text(PROJECT % classify, encoding="utf-8")
    made = CliRunner().invoke(app, ["init"])
    assert made.exit_code == 0, made.output


def _call(*words: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*words, "--output", "json"])
    assert "anna@" not in result.stdout
    document: dict[str, Any] = json.loads(result.stdout) if result.stdout else {}
    return result.exit_code, document


def _refusals() -> list[tuple[str, str | None]]:
    return [(r["code"], r["column"]) for r in _call("plan")[1]["syncs"][0]["refusals"]]


def test_what_is_found_on_request_stops_a_sync_that_was_approved(shop: Path) -> None:
    """One address among two thousand values: the column leaves no more, and is approved anew."""
    _begin(shop)
    assert _call("approve", "--all")[0] == 0
    assert _refusals() == []
    assert _call("classify", "shop.people")[0] == 0
    assert _refusals() == [("class_undeclared", "tier")]
    pending = _call("approve")[1]["pending"]
    assert [(p["column"], p["change"]) for p in pending] == [
        ("tier", "changed: column tier (found)")
    ]


def test_a_source_that_says_so_is_looked_at_for_an_approval_and_never_by_a_run(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, until the query or a type is another; with `names` no row is read."""
    looked = []
    real = value_classes.classify_rows

    def counted(rows: Any, looks: Any, free_text: Any) -> Any:
        looked.append(looks)
        return real(rows, looks, free_text)

    monkeypatch.setattr(value_classes, "classify_rows", counted)
    _begin(shop, ", classify: counts")
    for words in (("approve",), ("approve", "--all"), ("plan",), ("run",), ("approve",)):
        _call(*words)
    assert looked == ["counts"]
    assert _refusals() == [("class_undeclared", "tier")]
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("UPDATE people SET tier = 'pro'")
        con.execute("ALTER TABLE people ALTER id TYPE INTEGER")
    assert _call("approve", "--all")[0] == 0
    assert looked == ["counts"] * 2
    assert _refusals() == []
    assert _call("run")[0] == 0
    assert looked == ["counts"] * 2


def test_a_source_that_says_nothing_is_counted_where_an_approved_sync_drifts(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read before the first approval, nor by a run, nor where nothing changed; of what
    became another since, values are counted before it is shown. A source that says `names` is not.
    """
    looked = []
    real = value_classes.classify_rows

    def counted(rows: Any, looks: Any, free_text: Any) -> Any:
        looked.append(looks)
        return real(rows, looks, free_text)

    monkeypatch.setattr(value_classes, "classify_rows", counted)
    _begin(shop)
    for words in (("approve",), ("approve", "--all"), ("plan",), ("run",), ("approve",)):
        _call(*words)
    assert looked == []
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("ALTER TABLE people ALTER id TYPE INTEGER")
    for silent in (", classify: names", ""):
        (shop / "mayfly.yml").write_text(PROJECT % silent, encoding="utf-8")
        _call("run")
        assert looked == []
        pending = _call("approve")[1]["pending"]
        if silent:
            assert looked == []
    assert looked == ["counts"]
    assert {p["change"] for p in pending} == {
        "changed: column id (type)", "changed: column tier (found)",
    }  # fmt: skip
    _call("approve")
    _call("run")
    assert looked == ["counts"]


def test_discovery_tells_names_types_and_where_columns_stand(shop: Path) -> None:
    """And what names suggest: `email` holds none, and no row was read to find that out."""
    _begin(shop)

    def columns() -> dict[str, tuple[str, str]]:
        document = _call("discover", "shop")[1]
        Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
        [table] = document["tables"]
        return {c["name"]: (c["state"], c["class"]) for c in table["columns"]}

    assert columns() == {
        "id": ("pending", "opaque_id"),
        "tier": ("pending", "none"),
        "ok": ("blocked", "none"),
        "email": ("blocked", "email"),
    }
    assert _call("approve", "--all")[0] == 0
    assert {name: state for name, (state, _) in columns().items()} == {
        "id": "approved", "tier": "approved", "ok": "blocked", "email": "blocked",
    }  # fmt: skip
    shown = CliRunner().invoke(app, ["discover", "shop"]).stdout
    assert "  id     BIGINT   approved    opaque_id?\n  tier   VARCHAR  approved\n" in shown
