"""`mayfly pause` and `resume`: nothing of a paused sync leaves but withdrawals."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, approved, change, make_project
from mayfly.api import load
from mayfly.cli.commands import app
from mayfly.domain.errors import UsageError

SYNC = """
  to_NAME:
    id: to_NAME
    model: people
    destination: NAME
    mode: mirror
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email}
"""
TEXT = (
    SHOP
    + """destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
  erp: {type: sqlite, path: erp.sqlite, kind: internal, owner: care, reason: answers}
syncs:
"""
    + SYNC.replace("NAME", "crm")
    + SYNC.replace("NAME", "erp")
)
LEFT = "UPDATE people SET ads = FALSE WHERE id = 3"
NEW = "INSERT INTO people VALUES (99, 'new@example.com', '06 39 98 99 99', 'Lyon', TRUE)"


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of a command."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return done.exit_code, json.loads(done.stdout)


def of_syncs(document: dict[str, Any], key: str) -> dict[str, Any]:
    """What a document says of each sync."""
    return {s["sync"]: s[key] for s in document["syncs"]}


def people(root: Path) -> set[int]:
    """Who is in the CRM."""
    with sqlite3.connect(root / "crm.sqlite") as crm:
        found = {key for (key,) in crm.execute("SELECT id FROM people")}
    crm.close()
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten people, whom nobody was told of yet."""
    monkeypatch.setenv("MAYFLY_ACTOR", "alice")
    return make_project(tmp_path / "shop", "", rows=10, text=TEXT)


def test_a_paused_sync_sends_withdrawals_and_nothing_else(root: Path) -> None:
    """Its run says so (`sync_paused`, exit 3); other syncs go on; resumed, it sends the rest."""
    assert approved(root).run().exit_code == 0
    assert call(root, "pause", "to_crm")[0] == 0
    change(root, LEFT, NEW)
    code, document = call(root, "run")
    assert (code, of_syncs(document, "status")) == (3, {"to_crm": "refused", "to_erp": "succeeded"})
    [error] = [s["error"] for s in document["syncs"] if "error" in s]
    assert error["code"] == "sync_paused"
    assert of_syncs(document, "rows")["to_erp"]["delivered"] == 1
    assert people(root) == set(range(10)) - {3}
    assert call(root, "run", "to_crm")[0] == 3  # with nobody to take out, too
    assert call(root, "run", "to_crm", "--dry-run")[0] == 0
    assert call(root, "resume", "to_crm")[0] == 0
    assert call(root, "run", "to_crm")[0] == 0
    assert people(root) == (set(range(10)) | {99}) - {3}


def test_who_paused_first_stays_on_record(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, globs and tags are taken as by `run`; pausing or resuming twice changes nothing."""
    code, first = call(root, "pause", "to_*")
    assert (code, of_syncs(first, "changed")) == (0, {"to_erp": True, "to_crm": True})
    monkeypatch.setenv("MAYFLY_ACTOR", "bob")
    code, again = call(root, "pause")
    assert (code, of_syncs(again, "changed")) == (0, {"to_erp": False, "to_crm": False})
    assert of_syncs(again, "actor") == dict.fromkeys(("to_erp", "to_crm"), "alice")
    assert of_syncs(again, "since") == of_syncs(first, "since")
    status = call(root, "status")[1]
    assert of_syncs(status, "paused") == {"to_erp": True, "to_crm": True}
    assert of_syncs(status, "pause")["to_crm"]["actor"] == "alice"
    assert "by alice" in CliRunner().invoke(app, ["status", "--project", str(root)]).stdout
    assert of_syncs(call(root, "resume", "to_crm")[1], "changed") == {"to_crm": True}
    assert of_syncs(call(root, "resume")[1], "changed") == {"to_erp": True, "to_crm": False}
    assert of_syncs(call(root, "status")[1], "pause") == {"to_erp": None, "to_crm": None}
    asked = CliRunner().invoke(app, ["pause", "tag:none", "--project", str(root)])
    assert isinstance(asked.exception, UsageError)


def test_a_pause_needs_neither_source_nor_clock(root: Path) -> None:
    """It is a brake: it works while the warehouse is away and the machine's clock is wrong."""
    project = load(root)
    (root / "shop.duckdb").rename(root / "gone")
    project.app.store.note_time(project.app.clock.now().replace(year=2099))
    assert project.pause("to_crm")["syncs"][0]["changed"]
