"""An identifier that is taken out of the mapping is taken out of the audience, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import (
    FILES,
    approved,
    change,
    digests,
    make_project,
    members,
    phones,
    rewritten,
)
from end_to_end.test_runs import verified
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.api import Project, RunRequest, load
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

BOTH, ONE = "mapping: {EMAIL: email, PHONE: phone}", "mapping: {EMAIL: email}"
LOCAL = FILES.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")


@pytest.fixture(params=["source", "local"])
def root(request: pytest.FixtureRequest, tmp_path: Path, sandbox: SandboxServer) -> Path:
    """Ten people, delivered by both identifiers."""
    text = FILES if request.param == "source" else LOCAL
    made = make_project(tmp_path / "shop", sandbox.url, rows=10, text=text)
    assert approved(made).run("to_meta").exit_code == 0
    assert len(phones(sandbox)) == 10
    return made


def mapped(root: Path, old: str, new: str) -> Project:
    """The project with another mapping, approved."""
    rewritten(root, old, new)
    return approved(root)


def run(project: Project) -> dict[str, Any]:
    """How a run of the sync ends."""
    [ended] = project.run("to_meta").to_dict()["syncs"]
    return dict(ended)


def planned(project: Project) -> dict[str, Any]:
    """What a plan of the sync says of it."""
    [plan] = project.plan("to_meta").to_dict()["syncs"]
    return dict(plan["mapped_no_more"])


def addresses(*numbers: int) -> set[str]:
    """Digests of some people's addresses."""
    return digests(*(f"p{n}@example.com" for n in numbers))


def test_nothing_of_it_stays(root: Path, sandbox: SandboxServer) -> None:
    """Of nobody, also of who left the model meanwhile; the others stay by what is still mapped, and
    once it is mapped again they are there by both.
    """
    change(root, "DELETE FROM people WHERE id = 9")
    assert planned(load(root)) == {"identifiers": [], "asks_first": False}
    project = mapped(root, BOTH, ONE)
    assert planned(project) == {
        "identifiers": [{"field": "PHONE", "count": 10}],
        "asks_first": False,
    }
    ended = run(project)
    assert (ended["status"], ended["rows"]["removed"]) == ("succeeded", 11)
    assert (phones(sandbox), members(sandbox)) == (set(), addresses(*range(9)))
    assert run(project)["status"] == "no_changes"
    assert verified(root) == (0, 0, 0)
    assert run(mapped(root, ONE, BOTH))["status"] == "succeeded"
    assert (len(phones(sandbox)), members(sandbox)) == (9, addresses(*range(9)))


def test_a_paused_sync_takes_it_out_of_who_withdraws(root: Path, sandbox: SandboxServer) -> None:
    """And of nobody else, as long as nothing but withdrawals may go."""
    before = phones(sandbox)
    project = mapped(root, BOTH, ONE)
    project.pause("to_meta", actor="tester")
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    ended = run(project)
    assert (ended["error"]["code"], ended["rows"]["removed"]) == ("sync_paused", 2)
    assert (len(before - phones(sandbox)), phones(sandbox) - before) == (1, set())
    assert members(sandbox) == addresses(*range(3), *range(4, 10))


def test_a_run_of_a_part_takes_nothing_out(root: Path, sandbox: SandboxServer) -> None:
    """It cannot send those again who had it; the next whole run does both."""
    before = phones(sandbox)
    project = mapped(root, BOTH, ONE)
    [limited] = project.run("to_meta", request=RunRequest(limit=2)).to_dict()["syncs"]
    assert (limited["rows"]["removed"], phones(sandbox)) == (0, before)
    run(project)
    assert (phones(sandbox), members(sandbox)) == (set(), addresses(*range(10)))


def test_of_many_it_goes_by_a_word(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Until then nothing is sent, and who withdraws is taken out by both."""
    root = make_project(tmp_path / "shop", sandbox.url, rows=150)
    assert approved(root).run("to_meta").exit_code == 0
    before = phones(sandbox)
    rewritten(root, BOTH, ONE)
    # Whoever approves it sees it beforehand.
    said = CliRunner().invoke(app, ["plan", "to_meta", "--project", str(root)]).stdout
    assert "taken out first, mapped no more: PHONE 150;" in said
    assert "--accept removals=150" in said
    project = approved(root)
    asked = run(project)
    assert (asked["error"]["code"], asked["rows"]["removed"]) == ("mass_change", 0)
    assert "accept removals=150" in asked["error"]["hint"]
    change(root, "UPDATE people SET ads = FALSE WHERE id = 3")
    asked = run(project)
    assert (asked["error"]["code"], asked["rows"]["removed"]) == ("mass_change", 2)
    assert (len(phones(sandbox)), phones(sandbox) - before) == (149, set())
    accepted = RunRequest(accept_removals=149)
    [ended] = project.run("to_meta", request=accepted).to_dict()["syncs"]
    assert (ended["status"], phones(sandbox)) == ("succeeded", set())
    assert members(sandbox) == addresses(*range(3), *range(4, 150))
    assert verified(root) == (0, 0, 0)


@pytest.mark.parametrize("step", ["intent", "outcome", "close_with"])
def test_a_run_that_dies_in_between_is_made_good(
    root: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever came of its removals, the next run leaves nothing of the field."""

    def die(*arguments: object, **more: object) -> None:
        raise RuntimeError("dies")

    project = mapped(root, BOTH, ONE)
    with monkeypatch.context() as patched:
        patched.setattr(SourcePlanStore, step, die)
        with pytest.raises(RuntimeError, match="dies"):
            project.run("to_meta")
    assert run(load(root))["status"] == "succeeded"
    assert (phones(sandbox), members(sandbox)) == (set(), addresses(*range(10)))
