"""A sync or destination that is taken out of the project leaves people behind, and this is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, change, make_project, members
from mayfly.api import RunRequest, load
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

LEFT = [{"sync": "to_meta", "target": "dev", "destination": "meta"}]


def call(root: Path, *words: str) -> tuple[int, Any]:
    """A command's end, and its document."""
    found = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return found.exit_code, json.loads(found.stdout)


def without_meta(root: Path) -> None:
    """The sync that goes there is taken out of the files."""
    path = root / "mayfly.yml"
    text = path.read_text()
    begin, end = text.index("  to_meta:"), text.index("  to_crm:")
    path.write_text(text[:begin] + text[end:])


def test_every_command_names_a_recipient_that_is_left(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """`validate` refuses, plan, run and status tell it, until the state is dropped."""
    root = make_project(tmp_path, sandbox.url, rows=5)
    assert approved(root).run().exit_code == 0
    assert call(root, "validate") == (
        0,
        {"schema": "mayfly/validate/1", "ok": True, "problems": []},
    )
    assert call(root, "status")[1]["left_behind"] == []
    without_meta(root)
    code, document = call(root, "validate")
    assert (code, [p["code"] for p in document["problems"]]) == (1, ["left_behind"])
    assert "to_meta delivered to meta" in document["problems"][0]["message"]
    assert "mayfly state drop" in document["problems"][0]["hint"]
    for command in ("plan", "run", "status"):
        code, document = call(root, command)
        assert (code, document["left_behind"]) == (0, LEFT), command
        shown = CliRunner().invoke(app, [command, "--project", str(root)]).stdout
        assert "to_meta delivered to meta" in " ".join(shown.split()), command
    [state] = [s for s in load(root).states()["states"] if s["used_by"] is None]
    load(root).drop_state(state["state"])
    assert call(root, "validate")[0] == 0
    assert call(root, "run")[1]["left_behind"] == []


@pytest.mark.slow
def test_who_empties_the_sync_first_leaves_nobody(tmp_path: Path, sandbox: SandboxServer) -> None:
    """The way that the hint names: no row, a run, the state, the files."""
    root = make_project(tmp_path, sandbox.url, rows=5)
    approved(root).run()
    change(root, "DELETE FROM people")
    load(root).run("to_meta", request=RunRequest(accept_removals=5))
    assert members(sandbox) == set()
    load(root).drop_state("to_meta")
    without_meta(root)
    assert call(root, "validate")[0] == 0


@pytest.mark.parametrize("what", ["destination: meta\n", "id: to_meta\n"])
def test_another_destination_or_id_is_another_state(
    tmp_path: Path, sandbox: SandboxServer, what: str
) -> None:
    """What was delivered under the old name stays where it is."""
    root = make_project(tmp_path, sandbox.url, rows=5)
    approved(root).run()
    path = root / "mayfly.yml"
    text = path.read_text().replace(what, what.replace("meta", "meta2"))
    meta = next(line for line in text.splitlines() if line.startswith("  meta:"))
    other = meta.replace("  meta:", "  meta2:").replace('"123"', '"456"')
    path.write_text(text.replace(meta, f"{meta}\n{other}"))
    assert call(root, "status")[1]["left_behind"] == LEFT


def test_a_trial_leaves_nobody(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Its people do not exist."""
    root = make_project(tmp_path, sandbox.url, rows=5)
    approved(root)
    assert call(root, "test", "meta")[0] == 0
    assert call(root, "status")[1]["left_behind"] == []
