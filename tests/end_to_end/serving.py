"""Workers in this process, and what they leave behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mayfly.api import Project, load
from mayfly.api.serving import Pace, Worker
from mayfly.domain.runs import RunRecord, Ticking

FAST = Pace(beat=0.1, lease=60.0, look=0.05)
PATIENCE_SECONDS = 60.0
_NUMBERS = itertools.count()


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Look until something holds, for a bounded time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.02)


@contextmanager
def working(
    root: Path, pace: Pace = FAST, region: str | None = None, listen: str | None = None
) -> Iterator[Worker]:
    """A worker in a thread, which is stopped as a signal would; what ends it is raised here."""
    # A name of its own, as each process has: of another machine, of which this one knows nothing.
    executor = f"elsewhere/{next(_NUMBERS)}/0"
    worker = Worker(root=root, pace=pace, region=region, listen=listen, executor=executor)
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            worker.serve()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert raised == []


def due(root: Path, sync: str, schedule: str, *, asked: bool = False) -> Ticking:
    """Let a sync's tick be due now, or its run be asked for already."""
    store, past = load(root).app.store, datetime.now(UTC) - timedelta(minutes=1)
    known = next((t for t in store.ticks("dev") if t.sync == sync), None)
    tick = known or Ticking(sync=sync, target="dev", schedule=schedule, next_at=past)
    tick = replace(tick, next_at=past, asked_at=past if asked else None)
    assert store.change_tick(tick)
    return tick


def last(project: Project, sync: str) -> RunRecord | None:
    """The newest run of a sync."""
    return project.app.store.last_run(sync, "dev")


def has_run(project: Project, sync: str, times: int = 1) -> bool:
    """Whether so many runs of a sync have ended, and none goes on."""
    found = [r for r in project.app.store.runs(100) if r.sync == sync]
    return len(found) >= times and all(r.status != "running" for r in found)
