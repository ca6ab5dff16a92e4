"""From an SQLite file to the sandbox and to a table."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from end_to_end.projects import FILES, approved, members
from mayfly.api import Project
from mayfly.api.examine import examine
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from sqlite_files import as_owner

_FILES = FILES.replace("{type: duckdb, path: shop.duckdb}", "{type: sqlite, path: shop.db STATE}")
_MARK = "zqmark"


def _digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def _make(root: Path, url: str, *, state: str = "source", wal: bool = False) -> Path:
    file = root / "shop.db"
    with as_owner(file) as owner:
        if wal:
            owner.execute("PRAGMA journal_mode = WAL")
        owner.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, phone TEXT, "
            "city VARCHAR(40), ads BOOLEAN)"
        )
        rows = [
            (
                i,
                f" {_MARK}{i}@Example.com",
                f"06 39 98 {i // 100:02} {i % 100:02}",
                "Lyon",
                i % 10 > 0,
            )
            for i in range(1, 301)
        ]
        owner.execute("BEGIN")
        owner.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", rows)
        owner.execute("COMMIT")
        owner.execute("UPDATE people SET email = NULL WHERE id = 3")
        owner.execute("UPDATE people SET email = 'Zoë@example.com' WHERE id = 4")
    text = _FILES.replace("STATE", f", state: {state}").replace("URL", url).replace(" ,", ",")
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    initialise(root)
    return file


def _run(project: Project) -> dict[str, dict[str, int]]:
    syncs = project.run().to_dict()["syncs"]
    assert {s["status"] for s in syncs} <= {"succeeded", "no_changes"}, syncs
    return {s["sync"]: s["rows"] for s in syncs}


@pytest.mark.parametrize(
    ("state", "wal"),
    [
        ("source", False),
        pytest.param("source", True, marks=pytest.mark.slow),
        pytest.param("local", False, marks=pytest.mark.slow),
    ],
)
def test_sqlite_to_meta_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, wal: bool
) -> None:
    """First everything, then nothing, then what changed; who withdraws is taken back. No clear
    value and no working copy stays in the file beside the model's own.
    """
    monkeypatch.setenv("META_TOKEN", "t0ken")
    with SandboxServer(port=0) as sandbox:
        file = _make(tmp_path, sandbox.url, state=state, wal=wal)
        project = approved(tmp_path)
        plan = {s["sync"]: s for s in project.plan().to_dict()["syncs"]}
        assert {c["where"] for c in plan["to_meta"]["columns"]} == {"warehouse"}
        first = _run(project)
        assert {n: r["delivered"] for n, r in first.items()} == {"to_meta": 270, "to_crm": 270}
        assert len(members(sandbox)) == 269
        assert _digest(f"{_MARK}1@example.com") in members(sandbox)
        assert {r["delivered"] for r in _run(project).values()} == {0}
        with as_owner(file) as owner:
            owner.execute("UPDATE people SET email = 'new@example.com' WHERE id = 5")
            owner.execute("UPDATE people SET ads = 0 WHERE id = 7")
            owner.execute("DELETE FROM people WHERE id = 8")
        again = _run(project)
        assert (again["to_crm"]["delivered"], again["to_crm"]["removed"]) == (1, 2)
        assert again["to_meta"]["delivered"] == 1
        assert _digest("new@example.com") in members(sandbox)
        assert not {_digest(f"{_MARK}{i}@example.com") for i in (5, 7, 8)} & members(sandbox)
    with as_owner(file) as owner:
        owner.execute("DELETE FROM people")
        found = owner.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        kinds = {name.rpartition("_")[0].removeprefix("_mayfly.") for (name,) in found}
        assert kinds <= {"", "state", "pairs", "rejected"}, kinds
    assert not [name for name in os.listdir(tmp_path) if name.startswith("shop.db-")]


def test_a_missing_column_is_not_taken_for_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes a name in double quotes that is no column for a text: it would be sent."""
    monkeypatch.setenv("META_TOKEN", "t0ken")
    _make(tmp_path, "http://127.0.0.1:9")
    path = tmp_path / "mayfly.yml"
    query = """'SELECT id, "emial" AS email, phone, city, ads FROM people'"""
    path.write_text(
        path.read_text().replace("table: people\n    primary", f"sql: {query}\n    primary")
    )
    found = [p["code"] for p in examine(tmp_path, target="dev")]
    assert "column_missing" in found


_KINDS = {
    "EMAIL": "{class: email}",
    "PHONE": "{class: phone, default_country: FR}",
    **dict.fromkeys(("FN", "LN", "FI", "CT", "ST", "ZIP", "COUNTRY", "GEN"), "{}"),
    **dict.fromkeys(("DOBY", "DOBM", "DOBD"), "{}"),
}


_SLOW = [("NUMERIC", "local"), ("", "source"), ("INTEGER", "local"), ("TEXT", "local")]


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("TEXT COLLATE NOCASE", "source"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in _SLOW),
    ],
)
def test_every_field_and_any_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, state: str
) -> None:
    """The parser's stack has room for all fields of a platform; a row is known again by a key of
    whatever type, which a query computes, too.
    """
    monkeypatch.setenv("META_TOKEN", "t0ken")
    with SandboxServer(port=0) as sandbox:
        file = tmp_path / "shop.db"
        names = [n.lower() for n in _KINDS]
        with as_owner(file) as owner:
            owner.execute(f"CREATE TABLE base (k {key}, n INTEGER, {', '.join(names)})")
            rows = [
                [i, i, f"p{i}@example.com", f"06 39 98 00 {i:02}", *["1"] * 11] for i in range(50)
            ]
            marks = ", ".join("?" * len(rows[0]))
            owner.executemany(f"INSERT INTO base VALUES ({marks})", rows)
        (tmp_path / "mayfly.yml").write_text(_every_field(sandbox.url, state), encoding="utf-8")
        initialise(tmp_path)
        project = approved(tmp_path)
        assert _run(project)["to_meta"]["delivered"] == 50
        assert _run(project)["to_meta"]["delivered"] == 0
        with as_owner(file) as owner:
            owner.execute("UPDATE base SET email = 'new@example.com' WHERE n = 5")
            owner.execute("DELETE FROM base WHERE n = 6")
        assert _run(project)["to_meta"]["delivered"] == 1
        assert _digest("new@example.com") in members(sandbox)
        assert not {_digest(f"p{i}@example.com") for i in (5, 6)} & members(sandbox)


def _every_field(url: str, state: str) -> str:
    columns = ", ".join(f"{n.lower()}: {c}" for n, c in _KINDS.items())
    mapping = ", ".join(f"{n}: {n.lower()}" for n in _KINDS)
    shown = ", ".join(n.lower() for n in _KINDS)
    return f"""
version: 1
workspace: {{name: shop}}
sources:
  shop: {{type: sqlite, path: shop.db, state: {state}}}
models:
  people:
    source: shop
    sql: SELECT k, n + 0 AS line, TRUE AS ads, {shown} FROM base
    primary_key: [k, line]
    columns: {{k: {{}}, line: {{}}, {columns}}}
    consent:
      ads: {{column: ads, equals: true, lawful_basis: consent, constant: all agreed}}
destinations:
  meta: {{type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "{url}"}}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {{{mapping}}}
"""
