"""A store from an older backup lacks people who are suppressed: nothing leaves by its list."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.projects import approved, make_project, members
from mayfly.cli.entry import main
from mayfly.sandbox.server import SandboxServer

LINES = [b'{"kind": "primary_key", "value": %d}' % n for n in (3, 7, 9)]
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Exit code and output of a command."""

    def call(*words: str, given: bytes = b"") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return call


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer) -> Path:
    """A project whose list was shorter when its store was last copied."""
    made = make_project(tmp_path / "project", sandbox.url, rows=20)
    project = approved(made)
    project.suppress("add", LINES[:1])
    project.run()
    project.app.store.close()
    shutil.copytree(made / ".mayfly", tmp_path / "backup")
    project.suppress("add", LINES[1:2])
    project.app.store.close()
    restore(made)
    return made


def restore(root: Path) -> None:
    """The store as it was; the ledger stays."""
    for file in (root / ".mayfly").glob("store.sqlite*"):
        file.unlink()
    for file in (root.parent / "backup").glob("store.sqlite*"):
        shutil.copy(file, root / ".mayfly")


def test_nothing_leaves_by_an_older_list(
    root: Path, sandbox: SandboxServer, command: Command
) -> None:
    """Neither a plan nor a run goes on; whoever was added since is added again, and both do."""
    sent = len(members(sandbox))
    of_it = ("--project", str(root), "--output", "json")

    code, text = command("plan", *of_it)
    plan: dict[str, Any] = json.loads(text)
    refused = {r["code"] for s in plan["syncs"] for r in s["refusals"]}
    assert (code, refused) == (3, {"suppression_outdated"})
    for words in (("run",), ("run", "--dry-run"), ("run", "--full-refresh", "to_meta")):
        assert command(*words, *of_it)[0] == 3
    code, text = command("suppress", "remove", *of_it, given=LINES[0])
    assert (code, json.loads(text)["error"]["code"]) == (3, "suppression_outdated")
    assert len(members(sandbox)) == sent

    _, text = command("suppress", "add", *of_it, given=LINES[2])
    assert json.loads(text)["up_to_date"] is False
    assert command("plan", *of_it)[0] == 3
    restore(root)
    code, text = command("suppress", "add", *of_it, given=LINES[1])
    assert (code, "up_to_date" in json.loads(text)) == (0, False)
    assert command("run", *of_it)[0] == 0
    assert len(members(sandbox)) == sent - 1


def test_who_withdrew_is_taken_out_all_the_same(
    root: Path, sandbox: SandboxServer, command: Command
) -> None:
    """An older list holds back nobody's withdrawal; nobody comes in beside it."""
    before = members(sandbox)
    with duckdb.connect(str(root / "shop.duckdb")) as warehouse:
        warehouse.execute("UPDATE people SET ads = FALSE WHERE id = 11")
        warehouse.execute("UPDATE people SET email = 'new@example.com' WHERE id = 12")
    code, text = command("run", "to_meta", "--project", str(root), "--output", "json")
    [done] = json.loads(text)["syncs"]
    assert (code, done["status"], done["rows"]["delivered"]) == (3, "refused", 0)
    gone = {hashlib.sha256(b"p11@example.com").hexdigest()}
    assert before - members(sandbox) == gone
    assert members(sandbox) < before


def test_an_older_list_is_told_of_in_words(root: Path, command: Command) -> None:
    """What to do, and that the list is still not the one on record."""
    code, text = command("run", "--project", str(root))
    assert code == 3
    assert "mayfly suppress add" in text
    _, text = command("suppress", "add", "--project", str(root), given=LINES[2])
    assert "still lacks people" in text
