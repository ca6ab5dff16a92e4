"""Plans that an earlier release left open: this one closes them, and nothing is lost or doubled."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from mayfly.api import Project, load
from mayfly.api.upgrading import upgrade
from mayfly.domain.version import VERSION
from mayfly.ledger.verify import verify_ledger
from releases import FOLDER, MADE_MS, ROWS, SYNCS, at, restored

RELEASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
HOUR_MS = 3_600_000


@pytest.fixture(params=RELEASES)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project in which two runs were killed: of three batches of each, two were written, and for
    one of those no answer was kept.
    """
    return restored(request.param, tmp_path / "shop", Path(os.environ["MAYFLY_KEYS_DIR"]))


def written(root: Path, name: str) -> list[int]:
    """Keys at a destination, in order, each as often as it is there."""
    with sqlite3.connect(root / f"{name}.sqlite") as there:
        found = [key for (key,) in there.execute("SELECT id FROM people ORDER BY id")]
    there.close()
    return found


def problems(root: Path) -> set[str]:
    """What is wrong with the ledger, in which each plan has ended."""
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
    assert (report["held"], report["unpaired"]) == (0, 0)
    return {problem["code"] for problem in report["problems"]}


def open_runs(project: Project) -> list[str]:
    """Syncs of which a plan is open."""
    states = project.states()["states"]
    assert {s["used_by"] for s in states} == set(SYNCS)
    return sorted(s["sync"] for s in states if s["open_run"])


def test_this_release_has_its_own() -> None:
    """So that the next one is held to it."""
    assert VERSION in RELEASES


def test_the_next_run_closes_what_was_left_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour later: who was written is known, appended or not, and the others follow."""
    at(MADE_MS + HOUR_MS, monkeypatch)
    assert upgrade(root, check=True)["ok"] is False
    assert [written(root, name) for name in ("log", "crm")] == [list(range(8))] * 2
    project = load(root)
    assert open_runs(project) == ["to_crm", "to_log"]
    assert [r["status"] for r in project.runs()["runs"]] == ["running"] * 2
    ended = project.run().to_dict()["syncs"]
    assert [(s["status"], s.get("error")) for s in ended] == [("succeeded", None)] * 2
    assert [written(root, name) for name in ("log", "crm")] == [list(range(ROWS))] * 2
    assert open_runs(project) == []
    assert problems(root) == set()
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["no_changes"] * 2
    assert upgrade(root, check=True)["ok"] is True


def test_what_is_past_its_deadline_is_ended_first(root: Path) -> None:
    """Today: both plans are swept; what was begun of the append counts as there, and the ledger
    says that it was late.
    """
    project = load(root)
    assert not project.sweep()["left"]
    assert open_runs(project) == []
    ended = project.run().to_dict()["syncs"]
    assert [s["status"] for s in ended] == ["succeeded"] * 2
    assert [written(root, name) for name in ("log", "crm")] == [list(range(ROWS))] * 2
    assert problems(root) == {"closed_beyond_cap"}
