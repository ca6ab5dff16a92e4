"""What a terminal shows while a run goes on: a bar on stderr, and how to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

Report = Callable[[str, int, int], None]
Say = Callable[[str], None]
STOPPED = "Stopped. `mayfly run` goes on from here; nothing was lost."
HELD = 4  # exit code, see docs/reference/exit-codes.md
STOPPING = (
    "Stopping after the batch in hand; `mayfly run` goes on from there. Ctrl-C again stops at once."
)


@dataclass(kw_only=True)
class Bar:
    """One line per sync: planning, then rows, rows/s and time left.

    Args:
        progress: what draws.
        seconds: a clock that never runs back.
    """

    progress: Progress
    seconds: Callable[[], float] = time.monotonic
    _tasks: dict[str, TaskID] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)

    def report(self, sync: str, done: int, planned: int) -> None:
        """See `RunRequest.progress`."""
        if sync not in self._tasks:
            # What an earlier sync ended with is printed after the run; its line would only stay.
            for task in self._tasks.values():
                self.progress.update(task, visible=False)
            self._tasks[sync] = self.progress.add_task(sync, total=None, said="planning")
        if not planned:
            return
        now = self.seconds()
        said = speed(done, planned, now - self._began.setdefault(sync, now))
        self.progress.update(self._tasks[sync], completed=done, total=planned, said=said)


def speed(done: int, planned: int, seconds: float) -> str:
    """Rows, and once any are done, rows/s and minutes left. Pure."""
    rows = f"{done:,}/{planned:,} rows"
    if not done or seconds <= 0:
        return rows
    left = round((planned - done) * seconds / done)
    return f"{rows}  {done / seconds:,.0f}/s  {left // 60}:{left % 60:02} left"


@contextmanager
def shown_progress() -> Iterator[tuple[Report | None, Say, Callable[[], None]]]:
    """A bar where stderr is a terminal, how to print a line above it, and how to take it away."""
    if not sys.stderr.isatty():
        yield None, _say, lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[said]}"),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress=progress).report, console.print, progress.stop


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextmanager
def stop_on_interrupt(stop: asyncio.Event, say: Say, clear: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C ends the run after the batch in hand, the second at once.

    At once means as `kill -9` would, for which every step of a run is made: a statement that the
    warehouse works on could hold up anything gentler for minutes.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            clear()
            say(STOPPED)
            sys.stderr.flush()
            os._exit(HELD)
        stop.set()
        say(STOPPING)

    earlier = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
