"""`mayfly test` sends people who do not exist the way every row goes, and takes them back."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, get, make_project, members
from mayfly.api import load
from mayfly.cli.commands import app
from mayfly.domain.errors import PolicyError, UsageError
from mayfly.sandbox.server import SandboxServer


def test_people_who_do_not_exist_come_and_go(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Those who are there stay; state, store and runs of the real sync know nothing of it."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_meta")
    before, runs = members(sandbox), project.runs()["runs"]
    states = project.states()
    document = project.test("meta", rows=2)
    assert document["ok"]
    assert document["sent"]["rows"]["delivered"] == 2
    assert document["taken_back"]["rows"]["removed"] == 4  # an e-mail and a phone of each
    assert document["left"] == 0
    assert members(sandbox) == before
    assert project.runs()["runs"] == runs
    assert project.states() == states
    sent = [r["body"] for r in get(f"{sandbox.url}/_sandbox/requests") if "/users" in r["path"]]
    digest = hashlib.sha256(b"mayfly-test-0@example.com").hexdigest()
    assert sum(digest in body for body in sent) == 2
    assert not list(tmp_path.glob("**/people.duckdb"))


def test_a_table_is_left_as_it_was(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Keys below zero meet nobody's, and go again."""
    project = approved(make_project(tmp_path, sandbox.url))
    project.run("to_crm")
    assert project.test("crm")["ok"]
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        found = crm.execute("SELECT count(*), min(id) FROM people").fetchone()
    assert found == (100, 0)


def test_what_cannot_be_taken_back_is_told(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Appended rows stay; the command says how many, and how they are known."""
    root = make_project(tmp_path, sandbox.url)
    text = (root / "mayfly.yml").read_text(encoding="utf-8")
    text = text.replace("mode: mirror", "mode: append").replace("    key: [id]\n", "")
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    approved(root)
    words = ["test", "crm", "--rows", "2", "--project", str(root)]
    result = CliRunner().invoke(app, [*words, "--output", "json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["left"], document["taken_back"]) == (2, None)
    shown = " ".join(CliRunner().invoke(app, words).output.split())
    assert "2 people who do not exist are at the destination still" in shown


def test_nobody_is_sent_where_nobody_approved(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The address is part of what is approved."""
    project = approved(make_project(tmp_path, sandbox.url))
    text = (tmp_path / "mayfly.yml").read_text(encoding="utf-8").replace('"123"', '"124"')
    (tmp_path / "mayfly.yml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match="approv"):
        load(tmp_path).test("meta")
    assert not [r for r in get(f"{sandbox.url}/_sandbox/requests") if r["method"] != "GET"]
    with pytest.raises(UsageError, match="unknown_destination"):
        project.test("mta")
    with pytest.raises(UsageError, match="unknown_sync"):
        project.test("meta", sync="to_crm")


def test_a_destination_that_is_away_is_told(tmp_path: Path, sandbox: SandboxServer) -> None:
    """With the code of the run."""
    project = approved(make_project(tmp_path, sandbox.url))
    sandbox.app.faults.add({"path": "/", "kind": "401", "count": 99})
    document = project.test("meta")
    assert not document["ok"]
    assert document["sent"]["error"]["code"] == "reauthorise"
    assert document["left"] == 0
