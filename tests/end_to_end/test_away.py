"""A destination that is away is asked seldom, is told of, and goes on when it is back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, SHOP, TO_LOG, approved, get, make_project, members
from mayfly.adapters import clock
from mayfly.api import RunRequest, load
from mayfly.cli.commands import app
from mayfly.cli.options import duration
from mayfly.sandbox.server import SandboxServer
from mayfly.services.circuit import PAUSE_MAX

HOLD = FILES.replace("mode: audience", "mode: audience\n    on_outage: hold")
SECOND = FILES + FILES.split("syncs:\n")[1].split("  to_crm:")[0].replace(
    "to_meta", "also"
).replace("People", "Others")
Fault = Callable[..., None]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)


@pytest.fixture
def fault(sandbox: SandboxServer) -> Fault:
    """Order a fault of the platform; without words call all off."""

    def order(**words: object) -> None:
        data = json.dumps({"path": "/", "kind": "503", "count": 10_000} | words).encode()
        request = urllib.request.Request(
            f"{sandbox.url}/_sandbox/faults",
            data if words else None,
            {"content-type": "application/json"},
            method="POST" if words else "DELETE",
        )
        urllib.request.urlopen(request, timeout=10).read()

    return order


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    assert done.stdout, done.exception
    return done.exit_code, json.loads(done.stdout)


def requests(sandbox: SandboxServer) -> int:
    """How many the platform has had."""
    return len(get(f"{sandbox.url}/_sandbox/requests"))


def shown(root: Path) -> str:
    """`mayfly status`."""
    return CliRunner().invoke(app, ["status", "--project", str(root)]).stdout


def test_an_outage_is_shown_and_over_with_the_first_answer(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault
) -> None:
    """While it goes on each run asks once, and plans nothing."""
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    approved(root)
    fault(path="/")
    assert call(root, "run", "to_meta")[0] == 4
    [found] = call(root, "status")[1]["away"]
    assert (found["destination"], found["code"], found["failures"]) == (
        "meta",
        "destination_busy",
        5,
    )
    assert "meta is away since" in shown(root)
    before = requests(sandbox)
    assert call(root, "run", "to_meta")[1]["syncs"][0]["status"] == "held"
    assert requests(sandbox) == before + 1
    assert call(root, "status")[1]["away"][0]["failures"] == 6
    assert call(root, "status")[1]["away"][0]["since"] == found["since"]
    fault()
    assert call(root, "run", "to_meta")[0] == 0
    assert call(root, "status")[1]["away"] == []
    assert len(members(sandbox)) == 100


def test_a_second_sync_of_the_same_platform_asks_once(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault
) -> None:
    """The first has found out; another destination's goes on."""
    root = make_project(tmp_path / "project", sandbox.url, text=SECOND)
    approved(root)
    fault(path="/")
    before = requests(sandbox)
    code, document = call(root, "run")
    status = {s["sync"]: s["status"] for s in document["syncs"]}
    assert (code, status) == (4, {"to_meta": "held", "also": "held", "to_crm": "succeeded"})
    assert requests(sandbox) == before + 6


def test_a_pause_the_platform_asks_for_is_kept(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an hour at most, whatever it says."""
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    approved(root)
    fault(path="/", kind="429", retry_after_seconds=86_400)
    assert call(root, "run", "to_meta")[0] == 4
    assert call(root, "status")[1]["away"][0]["asked_again_at"] is not None
    assert "asked again from" in shown(root)
    fault()
    before = requests(sandbox)
    [held] = call(root, "run", "to_meta")[1]["syncs"]
    assert (held["status"], held["error"]["code"]) == ("held", "destination_away")
    assert requests(sandbox) == before
    real, ahead = clock._system_ms, round(PAUSE_MAX.total_seconds() * 1000) + 1_000
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + ahead)
    assert call(root, "run", "to_meta")[0] == 0
    assert len(members(sandbox)) == 100


def test_rows_are_sealed_though_it_was_away_from_the_beginning(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault
) -> None:
    """They may be gone from the source when it is back."""
    root = make_project(tmp_path / "project", sandbox.url, text=HOLD)
    approved(root)
    fault(path="/")
    assert call(root, "run", "to_meta")[1]["syncs"][0]["rows"]["held"] == 100
    [held] = [h for h in call(root, "status")[1]["held"] if h["class"] == "customer_data"]
    assert held["rows"] == 100
    assert call(root, "run", "to_meta")[1]["syncs"][0]["rows"]["held"] == 100
    fault()
    assert call(root, "run", "to_meta")[1]["syncs"][0]["rows"]["delivered"] == 100
    assert call(root, "status")[1]["held"] == []
    assert len(members(sandbox)) == 100


def test_events_wait_sealed_without_being_told_to(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Appends, and what is read from a source that is not written; whatever else is kept equal is
    planned anew.
    """
    root = make_project(tmp_path / "project", sandbox.url, text=SHOP + TO_LOG)
    assert load(root).app.project.syncs["to_log"].on_outage == "hold"
    local = SHOP.replace("shop.duckdb}", "shop.duckdb, state: local}")
    beside = make_project(tmp_path / "beside", sandbox.url, text=local + FILES[len(SHOP) :])
    assert {s.on_outage for s in load(beside).app.project.syncs.values()} == {"hold"}
    other = make_project(tmp_path / "other", sandbox.url, text=FILES)
    assert {s.on_outage for s in load(other).app.project.syncs.values()} == {"replan"}


@pytest.mark.parametrize("text", [FILES, HOLD], ids=["replan", "hold"])
def test_a_run_that_waits_goes_on_when_the_platform_is_back(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault, text: str
) -> None:
    """It asks with longer and longer pauses, and nobody has to come back."""
    root = make_project(tmp_path / "project", sandbox.url, text=text)
    project = approved(root)
    fault(path="/")
    pauses: list[float] = []

    def waiting(syncs: object, seconds: float) -> None:
        assert syncs == ["to_meta"]
        pauses.append(seconds)
        if len(pauses) == 3:
            fault()

    request = RunRequest(wait=duration("1h"), waiting=waiting)
    result = project.run(request=request)
    assert {s.sync: s.status for s in result.syncs} == {
        "to_meta": "succeeded",
        "to_crm": "succeeded",
    }
    assert pauses == [5.0, 10.0, 20.0]
    assert len(members(sandbox)) == 100


def test_waiting_ends_and_what_is_held_stays_held(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault
) -> None:
    """After as long as was said, or once somebody interrupts."""
    root = make_project(tmp_path / "project", sandbox.url, text=FILES)
    project = approved(root)
    fault(path="/")
    pauses: list[float] = []
    request = RunRequest(wait=duration("40s"), waiting=lambda _, seconds: pauses.append(seconds))
    assert project.run("to_meta", request=request).exit_code == 4
    assert pauses == [5.0, 10.0, 20.0]
    pauses.clear()
    stopped = RunRequest(wait=duration("1d"))
    stopped.waiting = lambda *_: (pauses.append(0.0), stopped.stop.set())
    assert project.run("to_meta", request=stopped).exit_code == 4
    assert len(pauses) == 1


def test_what_is_past_its_deadline_ends_though_a_run_waits(
    tmp_path: Path, sandbox: SandboxServer, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that waits is no excuse."""
    root = make_project(tmp_path / "project", sandbox.url, text=HOLD)
    project = approved(root)
    fault(path="/")
    project.run("to_meta")
    real = clock._system_ms

    def waiting(*_: object) -> None:
        monkeypatch.setattr(clock, "_system_ms", lambda: real() + 31 * 86_400_000)

    project.run("to_meta", request=RunRequest(wait=duration("9s"), waiting=waiting))
    assert {e.reason for e in project.swept.ended} == {"expired"}


@pytest.mark.parametrize("text", ["", "30", "m", "-1m", "1w", "31d", "1.5h", " 1m", "1m\n"])
def test_a_duration_is_a_number_and_a_unit(text: str) -> None:
    """Anything else is refused with what is wanted."""
    done = CliRunner().invoke(app, ["run", "--wait", text])
    assert done.exit_code == 2
    assert "30m" in done.stderr
