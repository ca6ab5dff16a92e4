"""An erasure that is killed while it seals a batch again: the others go once, the person never."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from end_to_end.holding import about_batches, sealed, verified, waiting
from end_to_end.projects import SHOP, TO_LOG, _no_sleep, approved, change, make_project
from mayfly.adapters.ledgers.tree import TreeLedger
from mayfly.adapters.spools.folder import FolderBlobs
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.api import Project, load
from mayfly.connectors.destinations.database_sqlite import SqliteEngine
from mayfly.domain.held import HeldBatch
from mayfly.services.waiting import WaitingRoom
from mayfly.testing.spool_world import Killed, at_step, on_step

PEOPLE, ADA = 1_000, 7
LINE = json.dumps({"kind": "primary_key", "value": ADA}).encode()
# No purpose: whoever is gone from the source is sent all the same.
TEXT = SHOP + TO_LOG.replace("    purpose: ads\n", "")
STEPS = {
    TreeLedger: ("append",),
    KeyRows: ("write", "finish", "drop_keys", "empty_log", "forget"),
    FolderBlobs: ("put", "delete"),
}
"""All that seals a batch again changes."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once, and a locked file is waited for no longer."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    monkeypatch.setitem(SqliteEngine.__init__.__kwdefaults__, "busy_seconds", 0.05)


@pytest.fixture
def held_project(tmp_path: Path) -> Path:
    """A project of which one sealed batch has a thousand people; the source has nobody any more."""
    root = make_project(tmp_path / "held", "", text=TEXT, rows=PEOPLE)
    with sqlite3.connect(root / "log.sqlite") as log:
        log.execute("CREATE TABLE people (id INTEGER, email TEXT)")
    project = approved(root)
    with away(root):
        assert project.run().exit_code == 4
    change(root, "DELETE FROM people")
    assert [held.rows for held in waiting(root)] == [PEOPLE]
    return root


@contextmanager
def away(root: Path) -> Iterator[None]:
    """Somebody else has the log for himself."""
    other = sqlite3.connect(root / "log.sqlite", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        other.close()


def again(root: Path) -> Project:
    """As another process opens it."""
    project = load(root)
    project.app.sleep = _no_sleep
    return project


def logged(root: Path) -> list[int]:
    """Ids in the log, each as often as it arrived."""
    with sqlite3.connect(root / "log.sqlite") as log:
        return [n for (n,) in log.execute("SELECT id FROM people ORDER BY id")]


def erase(root: Path, patch: pytest.MonkeyPatch, fault: Callable[[str], None]) -> None:
    """Erase the person; `fault` hears of each change while the batch is sealed again."""
    seal_again, told = WaitingRoom.seal_again, [False]

    def watched(*arguments: Any) -> None:
        told[0] = True
        seal_again(*arguments)
        told[0] = False

    def tell(name: str, real: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        if told[0]:
            fault(f"{name}:before")
        found = real(*arguments, **more)
        if told[0]:
            fault(f"{name}:after")
        return found

    with patch.context() as inner:
        inner.setattr(WaitingRoom, "seal_again", watched)
        for cls, names in STEPS.items():
            for name in names:
                wrapped = partial(tell, name, getattr(cls, name))
                inner.setattr(cls, name, lambda *a, f=wrapped, **k: f(*a, **k))
        with away(root):
            again(root).erase(LINE)


def the_one_held(root: Path, before: HeldBatch) -> HeldBatch:
    """What waits, which has the times it had, with or without the person."""
    (held,) = waiting(root)
    assert (held.read_at_ms, held.purge_by_ms) == (before.read_at_ms, before.purge_by_ms)
    assert held.rows in (PEOPLE, PEOPLE - 1)
    return held


def is_over(root: Path) -> None:
    """The next run ends it: each of the others once, the person never, and nothing is left."""
    project = again(root)
    project.run()
    assert logged(root) == [i for i in range(PEOPLE) if i != ADA]
    assert (sealed(root), waiting(root)) == ([], [])
    assert project.app.spool().remains() == []
    [request] = project.erasures()["requests"]
    assert request["status"] == "completed"
    assert verified(root) == (0, 0, 0)
    # Nobody's clock began anew.
    assert all(entry["age_ms"] for entry in about_batches(root, "held")[1:])


def killed(root: Path, kept: Path, patch: pytest.MonkeyPatch, fault: Callable[[str], None]) -> int:
    """Erase until the fault kills, then let the next run end it; rows that waited in between."""
    # In its place: the path of the log is a part of what its state is known by.
    shutil.rmtree(root)
    shutil.copytree(kept, root)
    [before] = waiting(root)
    with pytest.raises(Killed):
        erase(root, patch, fault)
    found = the_one_held(root, before).rows
    is_over(root)
    return found


def test_to_seal_again_loses_nobody_and_sends_nobody_twice(
    held_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed just before the new batch is held, and just after: one of the two is held, under the
    old deadline, and what is left of the other goes with the next command.
    """
    kept = shutil.copytree(held_project, tmp_path / "kept")
    wanted = {"put:after": PEOPLE, "finish:after": PEOPLE - 1}
    for step, rows in wanted.items():
        assert killed(held_project, kept, monkeypatch, on_step(step, Killed())) == rows, step


@pytest.mark.slow
def test_the_same_at_every_step(
    held_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is between a batch that is gone and one that is not there yet."""
    kept = shutil.copytree(held_project, tmp_path / "kept")
    steps: list[str] = []
    erase(held_project, monkeypatch, steps.append)
    faults = [at_step(number, Killed()) for number in range(len(steps))]
    rows = [killed(held_project, kept, monkeypatch, fault) for fault in faults]
    swap = steps.index("finish:after")
    assert rows == [PEOPLE] * swap + [PEOPLE - 1] * (len(steps) - swap)
    assert len(steps) > 12
