"""The clock of the whole process moved, both ways, while batches wait sealed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clocks import shifted
from end_to_end.holding import (
    BATCHES,
    HOLD,
    ROWS,
    about_batches,
    come_back,
    leave,
    sealed,
    verified,
    waiting,
)
from end_to_end.projects import approved, get, make_project, members
from mayfly.sandbox.server import SandboxServer

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred people, sealed in four batches; the platform is back since."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    made = make_project(tmp_path / "project", sandbox.url, text=HOLD)
    project = approved(made)
    leave(sandbox)
    assert [s.status for s in project.run("to_meta").syncs] == ["held"]
    assert len(sealed(made)) == len(BATCHES)
    come_back(sandbox)
    return made


def mayfly(root: Path, *words: str, days: float) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command in a process for which it is some days later."""
    before, env = shifted(days)
    command = [*before, sys.executable, "-m", "mayfly", *words]
    done = subprocess.run(
        [*command, "--project", str(root), "--output", "json"],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def sent(sandbox: SandboxServer) -> int:
    """Requests with people."""
    return sum(r["path"].endswith("/users") for r in get(f"{sandbox.url}/_sandbox/requests"))


def test_thirty_one_days_off(root: Path, sandbox: SandboxServer) -> None:
    """Nobody ran anything, nor swept. What waited is ended undelivered, which the ledger calls
    overdue; what the source still has is planned anew.
    """
    before = sent(sandbox)
    code, document = mayfly(root, "sweep", days=31)
    assert (code, {e["reason"] for e in document["purged"]}) == (0, {"expired"})
    assert sum(e["rows"] for e in document["purged"] if e["batches"] == 1) == ROWS
    assert [e["rows"] for e in about_batches(root, "expired")] == BATCHES
    assert (sealed(root), waiting(root)) == ([], [])
    assert sent(sandbox) == before
    code, document = mayfly(root, "run", "to_meta", days=31.01)
    [ended] = document["syncs"]
    assert (code, ended["status"], ended["rows"]["delivered"]) == (0, "succeeded", ROWS)
    assert len(members(sandbox)) == ROWS
    copies = 1
    assert verified(root) == (0, len(BATCHES) + copies, 0)


def test_a_day_less_is_none_too_many(root: Path, sandbox: SandboxServer) -> None:
    """They are sent as they were sealed."""
    code, document = mayfly(root, "run", "to_meta", days=29.9)
    assert (code, document["syncs"][0]["rows"]["delivered"]) == (0, ROWS)
    assert [e["reason"] for e in about_batches(root, "purged")] == ["delivered"] * len(BATCHES)
    assert (sealed(root), verified(root)) == ([], (0, 0, 0))


def test_a_clock_set_back(root: Path, sandbox: SandboxServer) -> None:
    """Runs are refused, nothing is sent, no deadline moves; with the right time all of it goes."""
    deadlines, before = [held.purge_by_ms for held in waiting(root)], sent(sandbox)
    code, document = mayfly(root, "run", "to_meta", days=-31)
    assert (code, document["error"]["code"]) == (3, "clock_backwards")
    code, document = mayfly(root, "sweep", days=-31)
    assert (code, document["purged"]) == (0, [])
    assert sent(sandbox) == before
    assert [held.purge_by_ms for held in waiting(root)] == deadlines
    code, document = mayfly(root, "run", "to_meta", days=0)
    assert (code, document["syncs"][0]["rows"]["delivered"]) == (0, ROWS)
    assert verified(root) == (0, 0, 0)
