"""An append whose answer was lost, at a destination that keeps no marker of batches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from mayfly.bootstrap import app as wiring
from mayfly.bootstrap import registry
from mayfly.cli.commands import app
from mayfly.cli.entry import main
from mayfly.domain.settings import DestinationSettings, Project, SyncSettings
from mayfly.ports.destination import Destination, DestinationContext
from mayfly.services.limited import AccountGate
from mayfly.testing.fake_destination import FakeDestination, FakeWorld

FILES = SHOP + TO_LOG


@pytest.fixture(params=["replan", "hold"])
def on_outage(request: pytest.FixtureRequest) -> str:
    """Whether what is in doubt waits sealed, too; the choice is the same."""
    return str(request.param)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_outage: str) -> FakeWorld:
    """A project that appends ten rows to a destination which is not idempotent, and whose first
    answer gets lost.
    """
    world = FakeWorld()

    def make(
        project: Project,
        settings: DestinationSettings,
        context: DestinationContext,
        sync: SyncSettings,
        gate: AccountGate | None,
    ) -> Destination:
        return FakeDestination(world, context)

    monkeypatch.setattr(wiring, "make_destination", make)
    known = registry.SPECS["sqlite"]
    monkeypatch.setitem(registry.SPECS, "sqlite", replace(known, batch_marker=False))
    approved(make_project(tmp_path, "", rows=10, text=FILES + f"    on_outage: {on_outage}\n"))
    world.fail_after()
    return world


def mayfly(root: Path, *words: str) -> Result:
    """A command in the project."""
    return CliRunner().invoke(app, [*words, "--project", str(root)])


def status(result: Result) -> str:
    """Status of the one sync."""
    [sync] = json.loads(result.stdout)["syncs"]
    return str(sync["status"])


def ids(world: FakeWorld) -> list[int]:
    """What was appended, in order of ids."""
    return sorted(row["id"] for row in world.inserted)


def test_an_append_in_doubt_stops_until_somebody_chooses(
    tmp_path: Path, log: FakeWorld, on_outage: str
) -> None:
    """The request is not repeated, the run is held (4); each later run stops in doubt (4), names
    both ways out, and sends nothing; the ledger calls it held, and knows of what is sealed.
    """
    lost = mayfly(tmp_path, "run", "--output", "json")
    assert (lost.exit_code, status(lost)) == (4, "held")
    assert ids(log) == list(range(10))
    for _ in range(2):
        stopped = mayfly(tmp_path, "run", "--output", "json")
        assert (stopped.exit_code, status(stopped)) == (4, "in_doubt")
    text = mayfly(tmp_path, "run")
    assert text.exit_code == 4
    assert "--resend (rows may double) or --skip (rows may be missing)" in text.output
    assert "example.com" not in text.output
    assert ids(log) == list(range(10))
    ledger = tmp_path / ".mayfly" / "ledger"
    words = ["verify", str(ledger), "--key", str(ledger / "key.pub"), "--output", "json"]
    verified = CliRunner().invoke(app, words)
    report = json.loads(verified.stdout)
    sealed = int(on_outage == "hold")
    assert (verified.exit_code, report["held"], report["unpaired"]) == (sealed, 1, sealed)


@pytest.mark.parametrize(
    ("choice", "expected", "times"), [("--skip", "no_changes", 1), ("--resend", "succeeded", 2)]
)
def test_the_choice_ends_the_doubt(
    tmp_path: Path, log: FakeWorld, choice: str, expected: str, times: int
) -> None:
    """Skipped, the rows count as there; sent again, they are there twice. Then all is done (0)."""
    assert mayfly(tmp_path, "run").exit_code == 4
    assert mayfly(tmp_path, "run").exit_code == 4
    chosen = mayfly(tmp_path, "run", choice, "--output", "json")
    assert (chosen.exit_code, status(chosen)) == (0, expected)
    assert ids(log) == sorted(list(range(10)) * times)
    after = mayfly(tmp_path, "run", "--output", "json")
    assert (after.exit_code, status(after)) == (0, "no_changes")
    assert not list((tmp_path / ".mayfly" / "spool").glob("*"))


def test_one_choice_only(tmp_path: Path, log: FakeWorld) -> None:
    """Both at once is wrong usage (64), and nothing runs."""
    with pytest.raises(SystemExit) as caught:
        main(["run", "--resend", "--skip", "--project", str(tmp_path)])
    assert caught.value.code == 64
    assert log.inserted == []
