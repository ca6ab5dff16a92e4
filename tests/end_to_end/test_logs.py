"""`mayfly logs RUN`: what a run told, kept in the store for a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.api import RunRequest
from mayfly.cli.commands import app
from mayfly.domain.errors import TransientError
from mayfly.services.events import Event, RunEnded, RunStarted, Waiting, ignore
from mayfly.services.run_log import EVENTS_MAX, RunLog, left_out

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_a_run_told_is_kept_without_values(tmp_path: Path) -> None:
    """In its order, whatever is logged elsewhere; a dry run, which leaves nothing, has no log."""
    root = make_project(tmp_path / "shop", "", rows=5, text=SHOP + TO_LOG)
    project = approved(root)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET email = 'marked' || id || '@example.com'")
    project.run(request=RunRequest(dry_run=True))
    [ended] = project.run().to_dict()["syncs"]
    told = project.logs(ended["run"])
    assert [e["event"] + "/" + e.get("act", "") for e in told["events"]] == [
        "run_started/",
        "recorded/created",
        "run_planned/",
        "recorded/delivered",
        "recorded/dropped",
        "run_ended/",
    ]
    assert (told["sync"], told["left_out"], told["events"][3]["rows"]) == ("to_log", 0, 5)
    assert {e["run"] for e in told["events"]} == {ended["run"]}
    words = ["logs", ended["run"], "--project", str(root)]
    printed = CliRunner().invoke(app, words).stdout
    assert "run_ended  sync=to_log target=dev status=succeeded batches=1" in printed
    assert "marked" not in printed
    assert b"marked" not in (root / ".mayfly/store.sqlite").read_bytes()


def started(run: str, sync: str) -> RunStarted:
    """The beginning of a run."""
    return RunStarted(sync=sync, target="dev", run=run, mode="append", dry=False)


def ended(run: str, sync: str) -> RunEnded:
    """Its end."""
    return RunEnded(
        sync=sync,
        target="dev",
        run=run,
        status="succeeded",
        code="",
        batches=0,
        planned=0,
        delivered=0,
        rejected=0,
        held=0,
        seconds=0.0,
    )


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """A store in which two runs began."""
    made = SqlStore("sqlite", tmp_path)
    made.create(workspace_id="w", name="w", installation_id="i", now=NOW)
    for run in ("r1", "r2"):
        made.start_run(
            run_id=run, sync=run, target="dev", mode="append", started_at=NOW, holder="h/1/0"
        )
    return made


def test_too_many_events_are_counted_and_the_end_is_kept(store: SqlStore) -> None:
    """A run that waits and waits fills no disk."""
    log = RunLog(store=store, now=lambda: NOW, then=ignore)
    log(started("r1", "a"))
    for _ in range(EVENTS_MAX + 5):
        log(Waiting(sync="a", run="r1", seconds=1.0))
    log(ended("r1", "a"))
    kept = store.events("r1")
    assert (len(kept), left_out(kept)) == (EVENTS_MAX + 1, 6)
    assert '"run_ended"' in kept[-1][1]


def test_runs_at_once_keep_their_own(store: SqlStore) -> None:
    """What a run does to the plan of an earlier one stands in its own log; the rest in none."""
    heard: list[Event] = []
    log = RunLog(store=store, now=lambda: NOW, then=heard.append)
    for run, sync in (("r1", "a"), ("r2", "b")):
        log(started(run, sync))
    for run, sync in (("r2", "b"), ("old", "a"), ("other", "c")):
        log(Waiting(sync=sync, run=run, seconds=1.0))
    for run, sync in (("r2", "b"), ("r1", "a")):
        log(ended(run, sync))
    assert [len(store.events(run)) for run in ("r1", "r2", "other")] == [3, 3, 0]
    assert len(heard) == 7


def test_events_are_written_while_a_run_goes_on(store: SqlStore) -> None:
    """About once a second, so that another process sees them."""
    times = iter([NOW, NOW, NOW + timedelta(seconds=1), NOW + timedelta(seconds=1)])
    log = RunLog(store=store, now=lambda: next(times), then=ignore)
    log(started("r1", "a"))
    log(Waiting(sync="a", run="r1", seconds=1.0))
    assert store.events("r1") == []
    log(Waiting(sync="a", run="r1", seconds=1.0))
    assert len(store.events("r1")) == 3


def test_no_run_ends_for_want_of_its_log(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away takes no event, and everybody else is told all the same."""

    def away(run_id: str, lines: object) -> None:
        raise TransientError("store_unavailable", "It is away.")

    monkeypatch.setattr(store, "note_events", away)
    heard: list[Event] = []
    log = RunLog(store=store, now=lambda: NOW, then=heard.append)
    log(started("r1", "a"))
    log(ended("r1", "a"))
    assert len(heard) == 2
