"""Columns that are hashed in part: value by value, and counted."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, approved, make_project, members
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer


def sha256(text: str) -> str:
    """What the platform matches on."""
    return hashlib.sha256(text.encode()).hexdigest()


VALUES = [
    *(f"p{n}@example.com" for n in range(4)),
    sha256("a@example.com"),
    f" {sha256('b@example.com').upper()}\t",
    base64.b64encode(bytes.fromhex(sha256("c@example.com"))).decode(),
    sha256(""),
    hashlib.md5(b"d@example.com", usedforsecurity=False).hexdigest(),
    hashlib.sha512(b"e@example.com").hexdigest(),
    "nobody",
    "",
    None,
]
SENT = {sha256(f"p{n}@example.com") for n in range(4)} | {sha256(f"{c}@example.com") for c in "abc"}
POSTGRES = FILES.replace("{type: duckdb, path: shop.duckdb}", "{type: postgres, dsn: env:SHOP_DSN}")


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.slow)])
def root(request: pytest.FixtureRequest, tmp_path: Path, sandbox: SandboxServer) -> Path:
    """A shop with one e-mail of each kind, and phones that are all right."""
    text = FILES if request.param == "duckdb" else POSTGRES
    rows = [(n, v, f"06 39 98 00 {n:02d}", "Lyon", True) for n, v in enumerate(VALUES)]
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_database")
        request.getfixturevalue("monkeypatch").setenv("SHOP_DSN", dsn)
        with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE people (id int, email text, phone text, city text, ads boolean)"
            )
            cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s, %s)", rows)
    made = make_project(tmp_path / "project", sandbox.url, rows=0, text=text)
    with duckdb.connect(str(made / "shop.duckdb")) as connection:
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", rows)
    return made


def test_each_value_is_hashed_or_passed_on_and_counted(root: Path, sandbox: SandboxServer) -> None:
    """A digest goes as it is, unless it is of another algorithm or of nothing."""
    project = approved(root)
    [to_meta, to_crm] = project.plan().to_dict()["syncs"]
    shown = {c["to"]: (c.get("already_hashed"), c.get("unusable")) for c in to_meta["columns"]}
    assert shown == {"EMAIL": (4, 4), "PHONE": (0, 0)}
    assert all("unusable" not in c for c in to_crm["columns"])
    ended = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
    none = {"already_hashed": 0, "unusable": 0, "outside_repertoire": 0}
    found = {"already_hashed": 4, "unusable": 4, "outside_repertoire": 1}
    assert ended["to_meta"]["values"] == found
    # Nothing is hashed to leave, but what the suppression list is compared with.
    assert ended["to_crm"]["values"] == {**none, "outside_repertoire": 1}
    assert ended["to_meta"]["rows"]["delivered"] == len(VALUES)
    assert members(sandbox) == SENT
    again = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
    assert again["to_meta"]["values"] == none


def test_a_person_is_told(root: Path) -> None:
    """With what cannot be known; no value is shown."""
    approved(root)
    text = CliRunner().invoke(app, ["plan", "--project", str(root)]).output
    assert re.search(r"EMAIL: values hashed already, .*: 4\n", text)
    assert re.search(r"EMAIL: values without a digest .*: 4\n", text)
    assert re.search(r"\nvalues hashed in the worker.*: 1\n", text)
    text = CliRunner().invoke(app, ["run", "to_meta", "--project", str(root)]).output
    assert re.search(r"  values hashed already, .*: 4\n", text)
    assert "example.com" not in text
