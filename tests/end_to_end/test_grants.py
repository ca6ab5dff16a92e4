"""`mayfly doctor --grants`: what is printed is enough, and no more than needed."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, _no_sleep
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

_TEXT = """
version: 1
workspace: {name: shop}
sources:
  warehouse: SOURCE
models:
  people:
    source: warehouse
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
  buyers:
    source: warehouse
    sql: SELECT p.id, o.total FROM people p JOIN shop."Orders" o ON o.pid = p.id WHERE p.ads
    primary_key: [id]
    columns: {id: {}, total: {}}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}
anchors:
  own: {type: source, source: warehouse}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email}
  to_log:
    id: to_log
    model: buyers
    destination: log
    mode: upsert
    table: buyers
    key: [id]
    mapping: {id: id, total: total}
"""
_TABLES = (
    "CREATE SCHEMA shop",
    "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, TRUE AS ads, "
    "'1990-01-01'::date AS born FROM generate_series(1, 20) AS i",
    "CREATE TABLE shop.\"Orders\" AS SELECT i AS pid, i * 2 AS total, 'x' AS note "
    "FROM generate_series(1, 20) AS i",
    "CREATE TABLE salaries AS SELECT 1 AS id",
)


def _printed(root: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["doctor", "--project", str(root), *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("state", ["source", pytest.param("local", marks=pytest.mark.slow)])
def test_the_printed_grants_are_enough_and_no_more(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A new role with exactly these rights plans, runs and runs again; it reads no other table and
    no other column, and makes no other schema.
    """
    role = f"mayfly_{psycopg.conninfo.conninfo_to_dict(postgres_database)['dbname']}"
    own = postgres_database.replace("postgres:@", f"{role}:@")
    monkeypatch.setenv("WAREHOUSE_DSN", own)
    source = f'{{type: postgres, dsn: "env:WAREHOUSE_DSN", state: {state}}}'
    text = _TEXT.replace("SOURCE", source)
    if state == "local":
        text = text.replace("anchors:\n  own: {type: source, source: warehouse}\n", "")
    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
        script = _printed(tmp_path, "--grants", "warehouse")
        assert ("_mayfly" in script) == (state == "source")
        with psycopg.connect(postgres_database, autocommit=True) as owner:
            for statement in _TABLES:
                owner.execute(statement.encode())
            base = owner.info.dbname
            owner.execute(f'REVOKE ALL ON DATABASE "{base}" FROM PUBLIC'.encode())
            owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            for _ in range(2):
                owner.execute(script.encode())
        initialise(tmp_path)
        findings = json.loads(_printed_any(tmp_path, "--output", "json"))["problems"]
        codes = {f["code"] for f in findings}
        assert not codes & {"missing_grant", "schema_missing", "anchor_failed"}, findings
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        assert project.plan().ok
        first = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
        assert {s["status"] for s in first.values()} == {"succeeded"}, first
        assert {s["rows"]["delivered"] for s in first.values()} == {20}
        assert not project.unanchored
        with psycopg.connect(postgres_database, autocommit=True) as owner:
            owner.execute("DELETE FROM people WHERE id = 7")
        again = {s["sync"]: s for s in load(tmp_path).run().to_dict()["syncs"]}
        assert again["to_meta"]["rows"]["removed"] == 1, again
    with psycopg.connect(own, autocommit=True) as limited:
        for statement in (
            "SELECT id FROM salaries",
            "SELECT born FROM people",
            'SELECT note FROM shop."Orders"',
            "DELETE FROM people",
            "CREATE SCHEMA more",
            "CREATE TABLE public.more (id int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                limited.execute(statement.encode())


def _printed_any(root: Path, *words: str) -> str:
    return CliRunner().invoke(app, ["doctor", "--project", str(root), *words]).stdout


def test_discovery_shows_what_the_role_may_select(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a table of which some columns are granted, these."""
    role = f"mayfly_{psycopg.conninfo.conninfo_to_dict(postgres_database)['dbname']}"
    monkeypatch.setenv("WAREHOUSE_DSN", postgres_database.replace("postgres:@", f"{role}:@"))
    source = '{type: postgres, dsn: "env:WAREHOUSE_DSN"}'
    text = _TEXT.replace("SOURCE", source).replace("URL", "sandbox")
    (tmp_path / "mayfly.yml").write_text(text)
    with psycopg.connect(postgres_database, autocommit=True) as owner:
        for statement in (*_TABLES, _printed(tmp_path, "--grants", "warehouse")):
            owner.execute(statement.encode())
    words = ["discover", "warehouse", "--project", str(tmp_path), "--output", "json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)["tables"]
    assert {t["name"]: [c["name"] for c in t["columns"]] for t in found} == {
        "people": ["id", "email", "ads"],
        "Orders": ["pid", "total"],
    }


def test_grants_of_a_file_are_one_line_and_take_no_store(tmp_path: Path) -> None:
    """Neither `mayfly init` nor the file itself is needed to ask."""
    (tmp_path / "mayfly.yml").write_text(SHOP)
    document = json.loads(_printed(tmp_path, "--grants", "shop", "--output", "json"))
    line = "-- The user of Mayfly needs read and write permission on shop.duckdb and its folder."
    assert document["grants"] == [line]
    assert list(tmp_path.iterdir()) == [tmp_path / "mayfly.yml"]


def test_grants_of_an_unknown_source_are_refused(tmp_path: Path) -> None:
    """With the names there are."""
    (tmp_path / "mayfly.yml").write_text(SHOP)
    result = CliRunner().invoke(app, ["doctor", "--project", str(tmp_path), "--grants", "shpo"])
    assert result.exit_code != 0
    assert getattr(result.exception, "code", "") == "unknown_source"
