"""What ends a run at its next batch: `mayfly cancel`, a pause, and whatever became stricter."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from end_to_end.batches import BATCH, LOG, ROWS, in_duckdb, logged, make, run
from end_to_end.projects import SHOP, approved, change, rewritten
from mayfly.api import Project, RunRequest, load
from mayfly.domain.errors import PolicyError, TransientError, UsageError
from mayfly.services.approvals_lock import LOCK_FILE

MIRROR = LOG.replace("mode: append", "mode: mirror\n    key: [id]")
Act = Callable[[Path], object]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three batches of an append, approved."""
    make(tmp_path, SHOP + LOG, in_duckdb(tmp_path / "shop.duckdb"))
    return approved(tmp_path)


def other(root: Path) -> Project:
    """The project as another process opens it."""
    return load(root)


def without(root: Path, name: str) -> None:
    """The project files without what follows `name`."""
    path = root / "mayfly.yml"
    path.write_text(path.read_text("utf-8").partition(name)[0], "utf-8")


def some_in_every_run(names: Iterable[str], *always: str) -> list[Any]:
    """The others only where all tests run: each is a run of its own."""
    marks = {True: (), False: pytest.mark.slow}
    return [pytest.param(name, id=name, marks=marks[name in always]) for name in names]


def at_time(project: Project, told: int, act: Callable[[], object]) -> dict[str, Any]:
    """How the one sync ended; `act` comes once the run has told so often how far it is."""
    seen = 0

    def progress(sync: str, rows: int, planned: int) -> None:
        nonlocal seen
        seen += 1
        if seen == told:
            act()

    [ended] = project.run(request=RunRequest(progress=progress)).to_dict()["syncs"]
    return dict(ended)


@pytest.mark.slow
def test_a_run_is_cancelled_from_another_process(project: Project, tmp_path: Path) -> None:
    """It ends after the batch in hand, exit 4, and the next run goes on from there."""

    def cancel() -> None:
        [running] = project.runs()["runs"]
        subprocess.run(
            [sys.executable, "-m", "mayfly", "cancel", running["run"], "--project", str(tmp_path)],
            env=os.environ,
            check=True,
            capture_output=True,
        )

    ended = run(project, after_first=cancel)
    assert (ended["status"], ended["exit"], ended["batches"]) == ("cancelled", 4, 1)
    [known] = project.runs()["runs"]
    assert (known["status"], known["run"]) == ("cancelled", ended["run"])
    assert len(logged(tmp_path)) == BATCH
    assert project.status()["held"] == []  # its plan is closed
    again = run(project)
    assert (again["status"], again["rows"]["delivered"]) == ("succeeded", ROWS - BATCH)
    assert set(logged(tmp_path).values()) == {1}


def test_a_cancelled_run_ends_after_the_batch_in_hand(project: Project, tmp_path: Path) -> None:
    """By whatever store is open on the same place; who asks twice asks once."""

    def cancel() -> None:
        [running] = project.runs()["runs"]
        for _ in range(2):
            assert other(tmp_path).cancel(running["run"], actor="alice")["sync"] == "to_log"

    ended = run(project, after_first=cancel)
    assert (ended["status"], ended["exit"], ended["batches"]) == ("cancelled", 4, 1)
    assert "error" not in ended


def test_what_does_not_run_is_not_cancelled(project: Project) -> None:
    """Neither a run that nobody knows, nor one that has ended, nor one whose process is gone."""
    with pytest.raises(UsageError) as unknown:
        project.cancel("nothing")
    ended = run(project)
    with pytest.raises(PolicyError) as over:
        project.cancel(ended["run"])
    host = subprocess.run(["hostname"], check=True, capture_output=True, text=True).stdout.strip()
    project.app.store.start_run(
        run_id="gone",
        sync="to_log",
        target="dev",
        mode="append",
        started_at=project.app.clock.now(),
        holder=f"{host}/1/0",
    )
    codes = [unknown.value.code, over.value.code]
    assert codes == ["unknown_run", "run_not_running"]
    with pytest.raises(PolicyError) as gone:
        project.cancel("gone")
    assert gone.value.code == "run_not_running"


STRICTER: dict[str, tuple[Act, str]] = {
    "a pause": (lambda root: other(root).pause("to_log"), "sync_paused"),
    "a rejection": (lambda root: other(root).reject("to_log"), "configuration_stricter"),
    "a suppression": (
        lambda root: other(root).suppress("add", [b'{"kind": "email", "value": "x@example.com"}']),
        "configuration_stricter",
    ),
    "no approval in the file": (
        lambda root: (root / LOCK_FILE).write_text("version: 1\n", "utf-8"),
        "configuration_stricter",
    ),
    "a column that is sent no more": (
        lambda root: rewritten(root, "{id: id, email: email}", "{id: id}"),
        "configuration_stricter",
    ),
    "a column that is blocked": (
        lambda root: rewritten(root, "    columns:", "    blocked: [email]\n    columns:"),
        "configuration_stricter",
    ),
    "a rule": (
        lambda root: rewritten(root, "email: {class: email}", "email: {class: email, rule: match}"),
        "configuration_stricter",
    ),
    "other consent": (
        lambda root: rewritten(root, "equals: true", "equals: false"),
        "configuration_stricter",
    ),
    "a filter": (
        lambda root: rewritten(
            root,
            "    table: people\n    primary",
            "    table: people\n    where: id > 5\n    primary",
        ),
        "configuration_stricter",
    ),
    "a lower threshold": (
        lambda root: rewritten(
            root, "batch_rows: 1000", "batch_rows: 1000\n    withheld_threshold: 0.01"
        ),
        "configuration_stricter",
    ),
    "no sync": (lambda root: without(root, "syncs:"), "configuration_stricter"),
    "no destination": (lambda root: without(root, "destinations:"), "configuration_stricter"),
    "files that cannot be read": (
        lambda root: rewritten(root, "version: 1", "version: ["),
        "configuration_stricter",
    ),
}


@pytest.mark.each
@pytest.mark.parametrize("name", some_in_every_run(STRICTER, "a column that is sent no more"))
def test_what_is_stricter_ends_the_run_at_its_next_batch(
    project: Project, tmp_path: Path, name: str
) -> None:
    """It is refused with what it was that became stricter, and its plan is closed."""
    act, code = STRICTER[name]
    ended = run(project, after_first=lambda: act(tmp_path))
    assert (ended["status"], ended["exit"], ended["batches"]) == ("refused", 3, 1)
    assert ended["error"]["code"] == code, ended["error"]
    assert len(logged(tmp_path)) == BATCH
    assert project.status()["held"] == []
    assert project.runs()["runs"][0]["error_code"] == code


LOOSER: dict[str, Act] = {
    "a column more": lambda root: rewritten(root, "email: email}", "email: email, city: city}"),
    "a schedule and a tag": lambda root: rewritten(
        root, "mode: append", "mode: append\n    tags: [a]"
    ),
    "a higher threshold": lambda root: rewritten(
        root, "batch_rows: 1000", "batch_rows: 2000\n    withheld_threshold: 0.5"
    ),
    "a column more, and approved": lambda root: (
        rewritten(root, "email: email}", "email: email, city: city}"),
        other(root).approve(),
    ),
    "a file written anew": lambda root: rewritten(root, "version: 1", "version: 1  # the same"),
    "nobody suppressed who was": lambda root: other(root).suppress(
        "remove", [b'{"kind": "email", "value": "gone@example.com"}']
    ),
}


@pytest.mark.parametrize("name", some_in_every_run(LOOSER, "a column more"))
def test_what_is_no_stricter_waits_for_the_next_run(
    project: Project, tmp_path: Path, name: str
) -> None:
    """The run ends with the configuration that it started with."""
    project.suppress("add", [b'{"kind": "email", "value": "gone@example.com"}'])
    ended = run(project, after_first=lambda: LOOSER[name](tmp_path))
    assert (ended["status"], ended["batches"]) == ("succeeded", ROWS // BATCH)
    with sqlite3.connect(tmp_path / "log.sqlite") as log:
        names = [row[1] for row in log.execute("PRAGMA table_info(people)")]
    assert sorted(names) == ["email", "id"]


@pytest.mark.parametrize("stricter", some_in_every_run(("pause", "suppress"), "pause"))
def test_withdrawals_go_on(tmp_path: Path, stricter: str) -> None:
    """They are sent first: a pause, or people who come to the list, end what comes after them."""
    make(tmp_path, SHOP + MIRROR, in_duckdb(tmp_path / "shop.duckdb"))
    project = approved(tmp_path)
    assert run(project)["status"] == "succeeded"
    change(
        tmp_path,
        "UPDATE people SET ads = FALSE WHERE id < 7",
        "UPDATE people SET email = 'new' || id || '@example.com' WHERE id >= 7 AND id < 50",
    )

    def act() -> None:
        if stricter == "pause":
            other(tmp_path).pause()
        else:
            other(tmp_path).suppress("add", [b'{"kind": "email", "value": "x@example.com"}'])

    ended = at_time(project, 2, act)
    assert (ended["status"], ended["rows"]["removed"]) == ("refused", 7)
    assert ended["rows"]["delivered"] == 0
    left = logged(tmp_path)
    assert len(left) == ROWS - 7


def test_a_store_that_stays_away_holds_the_run(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody can look for may be there: for ten seconds the run goes on without."""
    store, clock = project.app.store, project.app.clock
    now_ms, shift = clock.now_ms, 0

    def away() -> None:
        def fails(run_id: str, sync: str, target: str) -> None:
            nonlocal shift
            shift += 8_000
            raise TransientError("store_unavailable", "It is away.")

        monkeypatch.setattr(store, "signals", fails)

    monkeypatch.setattr(clock, "now_ms", lambda: now_ms() + shift)
    ended = run(project, after_first=away)
    assert (ended["status"], ended["exit"]) == ("held", 4)
    assert ended["batches"] == 2
    assert ended["error"]["code"] == "store_unavailable"
