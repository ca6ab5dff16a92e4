"""`mayfly serve --worker-only`: what is due runs, in one process, and its journal is disposable."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from end_to_end.serving import due, has_run, last, wait_for, working
from mayfly.api import Project, load
from mayfly.api.examine import examine
from mayfly.api.serving import Worker
from mayfly.cli.commands import app
from mayfly.domain.errors import PolicyError
from mayfly.services.scan_paths import scan_paths

DAILY = "0 6 * * * Europe/Paris"
TEXT = SHOP + TO_LOG + f"    schedule: {DAILY}\n"
JOURNAL = ".mayfly/journal.sqlite"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Ten people and one sync with a schedule, approved."""
    make_project(tmp_path, "", rows=10, text=TEXT)
    return approved(tmp_path)


def sent(root: Path) -> int:
    """How many rows the log has."""
    with sqlite3.connect(root / "log.sqlite") as log:
        return int(log.execute("SELECT COUNT(*) FROM people").fetchone()[0])


def workflows(root: Path) -> int:
    """How many the journal has."""
    with sqlite3.connect(root / JOURNAL) as journal:
        return int(journal.execute("SELECT COUNT(*) FROM workflow_status").fetchone()[0])


def test_what_is_due_runs_once_and_leaves_no_journal(project: Project, tmp_path: Path) -> None:
    """The run is in the store, the next one in `status`, and of the journal nothing is left."""
    due(tmp_path, "to_log", DAILY)
    with working(tmp_path):
        wait_for(lambda: has_run(project, "to_log"), "a run")
        wait_for(lambda: workflows(tmp_path) == 0, "an empty journal")
        codes = {found["code"] for found in examine(tmp_path, target="dev")}
        assert "no_worker" not in codes
    found = last(project, "to_log")
    assert found is not None
    assert (found.status, sent(tmp_path)) == ("succeeded", 10)
    [shown] = load(tmp_path).status()["syncs"]
    assert datetime.fromisoformat(shown["next_run"]) > datetime.now(UTC)
    assert shown["dropped"] == 0
    assert "next run" in CliRunner().invoke(app, ["status", "--project", str(tmp_path)]).stdout
    for file in (tmp_path / ".mayfly").glob("journal.sqlite*"):
        assert file.stat().st_mode & 0o777 == 0o600
        assert scan_paths([file], known_values=["p1@example.com"]) == []


def test_a_journal_that_is_gone_costs_nothing(project: Project, tmp_path: Path) -> None:
    """What was asked for stands in the store, and is done from there."""
    with working(tmp_path):
        wait_for(lambda: load(tmp_path).app.store.ticks("dev"), "a look")
    for file in (tmp_path / ".mayfly").glob("journal.sqlite*"):
        file.unlink()
    due(tmp_path, "to_log", DAILY, asked=True)
    with working(tmp_path):
        wait_for(lambda: has_run(project, "to_log"), "a run")
        wait_for(lambda: load(tmp_path).app.store.ticks("dev")[0].asked_at is None, "its end")
    assert sent(tmp_path) == 10
    assert len(project.app.store.runs(10)) == 1


def test_a_paused_sync_is_not_asked_for(project: Project, tmp_path: Path) -> None:
    """Its tick passes; `status` names no next run."""
    project.pause("to_log", actor="alice")
    before = due(tmp_path, "to_log", DAILY)
    with working(tmp_path):
        store = load(tmp_path).app.store
        wait_for(lambda: store.ticks("dev")[0].next_at > before.next_at, "the tick to pass")
    assert project.app.store.runs(10) == []
    assert load(tmp_path).status()["syncs"][0]["next_run"] is None


def test_a_worker_wants_a_store_that_several_may_share(project: Project, tmp_path: Path) -> None:
    """A file of this machine is for `serve`, and for one of them."""
    with pytest.raises(PolicyError) as caught:
        Worker(root=tmp_path, region="europe-west1")
    assert caught.value.code == "worker_needs_postgres"
    with working(tmp_path):
        wait_for(load(tmp_path).app.store.workers, "a worker")
        with pytest.raises(PolicyError) as caught:
            Worker(root=tmp_path).serve()
        assert caught.value.code == "worker_running"


def test_doctor_says_that_nobody_keeps_the_schedule(project: Project, tmp_path: Path) -> None:
    """By the names of the syncs; it is a warning."""
    found = [f for f in examine(tmp_path, target="dev") if f["code"] == "no_worker"]
    assert len(found) == 1
    assert "to_log" in found[0]["message"]


def test_a_signal_ends_it(project: Project, tmp_path: Path) -> None:
    """With exit code 0, once it has said what it does."""
    words = ["-m", "mayfly", "serve", "--worker-only", "--project", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Runs what is due under target dev: to_log.\n"
        wait_for(load(tmp_path).app.store.workers, "a worker")
        process.send_signal(signal.SIGTERM)
        assert (process.wait(timeout=60), process.stdout.read()) == (0, "")
    assert [w.ended for w in load(tmp_path).app.store.workers()] == [True]
