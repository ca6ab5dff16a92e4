"""States that follow their syncs, and those made of what another tool delivered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import (
    FILES,
    SHOP,
    approved,
    change,
    digests,
    make_project,
    members,
    rewritten,
)
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import EngineError
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import SandboxServer

ROWS = 20
CRM = (
    SHOP
    + """destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: mirror
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, city: city}
"""
)
LOCAL = FILES.replace(
    "{type: duckdb, path: shop.duckdb}", "{type: duckdb, path: shop.duckdb, state: local}"
)


def shop(root: Path, url: str, text: str) -> Project:
    """Twenty people, of whom nobody was delivered from here."""
    return approved(make_project(root, url, rows=ROWS, text=text))


def approved_anew(root: Path, old: str, new: str) -> Project:
    """The project with other files, approved."""
    rewritten(root, old, new)
    return approved(root)


def sent(project: Project, name: str) -> tuple[str, int, int]:
    """Status, delivered and removed rows of a run."""
    [ended] = project.run(name).to_dict()["syncs"]
    return ended["status"], ended["rows"]["delivered"], ended["rows"]["removed"]


def command(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `mayfly state`."""
    done = CliRunner().invoke(app, ["state", *words, "--project", str(root), "--output", "json"])
    if isinstance(done.exception, EngineError):
        return type(done.exception).exit_code, done.exception.to_dict()
    return done.exit_code, json.loads(done.stdout)


def whole(root: Path) -> bool:
    """Whether the ledger is consistent, and nothing waits."""
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
    return bool(report["ok"]) and report["held"] == 0


def filled_elsewhere(root: Path, sandbox: SandboxServer, text: str) -> Project:
    """The destinations hold what another tool sent: an installation that is gone by now."""
    shop(root, sandbox.url, text).run()
    shutil.rmtree(root / ".mayfly")
    change(root, "DROP SCHEMA IF EXISTS _mayfly CASCADE")
    initialise(root)
    return approved(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [pytest.param(FILES, id="source"), pytest.param(LOCAL, id="local")]
)
def test_what_another_tool_delivered_is_not_sent_again(
    tmp_path: Path, sandbox: SandboxServer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an audience also who leaves later is known; who is suppressed was never taken."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    root = tmp_path / "shop"
    project = filled_elsewhere(root, sandbox, text)
    project.suppress("add", [b'{"kind": "email", "value": "p5@example.com"}'])
    before = members(sandbox)
    code, asked = command(root, "adopt", "to_meta", "--as-delivered")
    assert (code, "Take 19 rows" in asked["message"]) == (64, True)
    code, document = command(root, "adopt", "to_meta", "--as-delivered", "--yes")
    [state] = document["states"]
    assert (code, state["rows"], state["identifiers"]) == (0, ROWS - 1, 2 * (ROWS - 1))
    assert members(sandbox) == before
    [found] = [r for r in project.app.ledger.recipients() if r.sync == "to_meta"]
    assert found.destination == "meta"
    assert sent(project, "to_meta") == ("no_changes", 0, 0)
    change(
        root,
        "DELETE FROM people WHERE id = 3",
        "UPDATE people SET email = 'new@example.com' WHERE id = 4",
    )
    assert sent(project, "to_meta")[0] == "succeeded"
    gone = digests("p3@example.com", "p4@example.com")
    assert members(sandbox) == (before - gone) | digests("new@example.com")
    assert command(root, "adopt", "to_meta", "--as-delivered", "--yes") == (
        3,
        {
            "code": "state_exists",
            "message": "The sync has a state that holds rows already.",
            "hint": "Keep it, or forget it first with `mayfly state drop`.",
        },
    )
    assert whole(root)


def test_what_was_not_approved_is_not_taken(tmp_path: Path) -> None:
    """Nor what has no row, nor beside a state of another name; the state stays empty."""
    project = load(make_project(tmp_path, "", rows=ROWS, text=CRM))
    assert command(tmp_path, "adopt", "to_crm", "--as-delivered", "--yes")[1]["code"] == (
        "not_approved"
    )
    project.approve(actor="tester")
    change(tmp_path, "UPDATE people SET ads = FALSE")
    found = command(tmp_path, "adopt", "to_crm", "--as-delivered", "--yes")
    assert (found[0], found[1]["code"]) == (3, "nothing_to_take")
    assert whole(tmp_path)


def test_a_failure_in_between_leaves_nothing_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is looked at before the first batch is entered, and the plan is closed."""
    project = shop(tmp_path, "", CRM)

    def fails(*given: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("mayfly.services.as_delivered.pass_gate", fails)
        with pytest.raises(RuntimeError):
            project.take_as_delivered("to_crm")
    assert project.state("to_crm")["states"][0]["rows"] == 0
    assert whole(tmp_path)
    assert project.take_as_delivered("to_crm")["states"][0]["rows"] == ROWS


def test_a_state_follows_its_sync(tmp_path: Path) -> None:
    """To another id; not where that has delivered itself, and none that is somebody else's."""
    project = shop(tmp_path, "", CRM)
    assert project.run().exit_code == 0
    old = project.state("to_crm")["states"][0]["state"]
    assert (
        command(tmp_path, "move", "to_crm", "--from", old, "--yes")[1]["code"] == "nothing_to_move"
    )
    project = approved_anew(tmp_path, "id: to_crm", "id: people_to_crm")
    code, asked = command(tmp_path, "move", "to_crm", "--from", old)
    assert (code, "Take 20 rows" in asked["message"]) == (64, True)
    code, document = command(tmp_path, "move", "to_crm", "--from", old, "--yes")
    assert (code, document["act"]) == (0, "move")
    assert [s["state"] for s in project.states()["states"] if s["sync"] == "to_crm"] == []
    change(tmp_path, "DELETE FROM people WHERE id = 3")
    assert sent(project, "to_crm") == ("succeeded", 0, 1)
    new = project.state("to_crm")["states"][0]["state"]
    project = approved_anew(tmp_path, "id: people_to_crm", "id: third")
    assert sent(project, "to_crm")[1] == ROWS - 1
    refused = command(tmp_path, "move", "to_crm", "--from", new, "--yes")
    assert (refused[0], refused[1]["code"]) == (3, "state_exists")
    change(tmp_path, "UPDATE _mayfly.states SET owner = 'another'")
    refused = command(tmp_path, "move", "to_crm", "--from", new, "--yes")
    assert (refused[0], refused[1]["code"]) == (3, "foreign_state")
    assert whole(tmp_path)
