"""Which columns and rows of a model leave: policies, blocked columns, a filter, all approved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import PolicyError

PROJECT = """\
version: 1
workspace: {name: shop}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    policy: allow_all
    blocked: [ssn]
    columns: {id: {}, mail: {%s}}
    %s
destinations:
  own: {type: duckdb, path: own.duckdb, kind: internal, owner: Data, reason: ours}
syncs:
  s: {id: s, model: people, destination: own, mode: upsert, table: people, key: [id],
      mapping: {id: id, town: city}}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four people of two countries."""
    root = tmp_path / "shop"
    root.mkdir()
    with duckdb.connect(str(root / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE people AS SELECT range AS id, 'a' || range || '@example.com' AS mail, "
            "'x' AS ssn, 'Lyon' AS city, CASE WHEN range < 3 THEN 'FR' ELSE 'DE' END AS country "
            "FROM range(4)"
        )
    monkeypatch.chdir(root)
    return root


def _write(root: Path, where: str = "", mail: str = "rule: pseudonym") -> None:
    (root / "mayfly.yml").write_text(PROJECT % (mail, where), encoding="utf-8")


def _call(*words: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*words, "--output", "json"])
    document: dict[str, Any] = json.loads(result.stdout) if result.stdout else {}
    return result.exit_code, document


def _arrived(root: Path) -> tuple[list[str], int]:
    with duckdb.connect(str(root / "own.duckdb"), read_only=True) as con:
        table = con.sql("SELECT * FROM people").to_arrow_table()
    return sorted(table.column_names), table.num_rows


def _changes() -> list[str]:
    return [p["change"] for p in _call("approve")[1]["pending"]]


def test_all_columns_go_out_but_those_that_are_blocked_and_new_ones_once_approved(
    shop: Path,
) -> None:
    """Under their own names, where the mapping has no other; a rule holds of its column."""
    _write(shop)
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    assert _call("approve", "--all")[0] == 0
    assert _call("run")[0] == 0
    assert _arrived(shop) == (["country", "id", "mail", "town"], 4)
    with duckdb.connect(str(shop / "own.duckdb"), read_only=True) as con:
        mails = [str(m) for (m,) in con.execute("SELECT mail FROM people").fetchall()]
    assert not any("@" in mail for mail in mails)
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("ALTER TABLE people ADD COLUMN points INTEGER")
    assert _call("run")[0] == 3
    assert _changes() == ["changed: column points added"]
    assert _call("approve", "--all")[0] == 0
    assert _changes() == []


def test_a_filter_leaves_rows_out_and_is_pinned(shop: Path) -> None:
    """Another filter is another approval; its layout and comments are not."""
    _write(shop, "where: \"country = 'FR'\"")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    assert _call("approve", "--all")[0] == 0
    assert _call("run")[0] == 0
    assert _arrived(shop)[1] == 3
    _write(shop, "where: \"country='FR' -- only\"")
    assert _changes() == []
    _write(shop, "where: \"country in ('FR', 'DE')\"")
    assert _changes() == ["changed: where_sha256"]
    assert _call("run")[0] == 3
    _write(shop, 'where: "id in (select id from people)"')
    refused = CliRunner().invoke(app, ["plan"]).exception
    assert isinstance(refused, PolicyError)
    assert refused.code == "model_sql_where"


def test_a_column_leaves_hashed_where_its_class_has_a_match_hash(shop: Path) -> None:
    """As SHA-256 of what is normalised; a class that has none is refused, not sent in clear."""
    _write(shop, mail="class: email, rule: match")
    text = (shop / "mayfly.yml").read_text(encoding="utf-8")
    (shop / "mayfly.yml").write_text(text.replace("id: {}", "id: {rule: match}"), "utf-8")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    refusals = _call("plan")[1]["syncs"][0]["refusals"]
    assert ("match_without_class", "id") in [(r["code"], r["column"]) for r in refusals]
    _write(shop, mail="class: email, rule: match")
    assert _call("approve", "--all")[0] == 0
    assert _call("run")[0] == 0
    with duckdb.connect(str(shop / "own.duckdb"), read_only=True) as con:
        rows = dict(con.sql("SELECT id, mail FROM people").fetchall())
    wanted = {n: hashlib.sha256(f"a{n}@example.com".encode()) for n in range(4)}
    for n, digest in wanted.items():
        assert rows[n] in (digest.hexdigest(), digest.digest())


@pytest.mark.parametrize(
    ("key", "columns", "mapping"),
    [
        ("id", "id: {rule: pseudonym}", "id: id"),
        ("mail", "mail: {class: email, rule: match}", "mail: mail, town: city"),
    ],
)
def test_a_key_leaves_as_any_column_does(shop: Path, key: str, columns: str, mapping: str) -> None:
    """Under a pseudonym, hashed, or not at all: rows are told apart by it all the same."""
    text = PROJECT % ("rule: pseudonym", "")
    policy = "    policy: allow_all\n    blocked: [ssn]\n"
    assert policy in text
    text = text.replace(policy, "").replace(
        "columns: {id: {}, mail: {rule: pseudonym}}", f"columns: {{{columns}, city: {{}}}}"
    )
    text = text.replace("key: [id]", f"key: [{key}]").replace(
        "{id: id, town: city}", f"{{{mapping}}}"
    )
    (shop / "mayfly.yml").write_text(text, encoding="utf-8")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    assert _call("approve", "--all")[0] == 0
    assert _call("run")[0] == 0
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("DELETE FROM people WHERE id = 0")
    assert _call("run")[0] == 0
    with duckdb.connect(str(shop / "own.duckdb"), read_only=True) as con:
        rows = con.sql("SELECT * FROM people").to_arrow_table()
    assert len(set(rows.column(key).to_pylist())) == 4
    left = {str(value) for row in rows.to_pylist() for value in row.values()}
    assert not left & {"0", "1", "2", "3"}
    assert not any("@" in value for value in left)


def test_without_a_column_that_is_gone_the_others_still_go_by_the_policy(shop: Path) -> None:
    """Under their own names, as when all were there: who withdrew is taken out by them."""
    _write(shop)
    initialise(shop)
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("ALTER TABLE people DROP COLUMN mail")
    found = load(shop).app
    made = found.compile_present(found.project.syncs["s"], run="r", limit=None, full_refresh=False)
    assert made is not None
    assert made.spec is not None
    assert sorted(f.name for f in made.spec.fields) == ["country", "id", "town"]
