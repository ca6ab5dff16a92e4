"""Events of runs, kept in the store for `mayfly logs`: bounded in number and age, without values.

A run goes on though its events cannot be kept. They are written together, about once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from mayfly.domain.errors import EngineError
from mayfly.ports.store import Store
from mayfly.services.events import Event, RunEnded, RunStarted, Tell, to_line

KEPT_FOR = timedelta(days=30)
RUNS_MAX = 1_000
EVENTS_MAX = 1_000
"""Of one run; its end is kept beyond."""
_TOGETHER = timedelta(seconds=1)


@dataclass(kw_only=True)
class _Log:
    """Events of one run that goes on: how many there were, and those not written yet."""

    sync: str
    written_at: datetime
    number: int = 0
    lines: dict[int, str] = field(default_factory=dict)

    def add(self, event: Event, at: datetime) -> None:
        if self.number < EVENTS_MAX or isinstance(event, RunEnded):
            self.lines[self.number] = to_line(event, at)
        self.number += 1


@dataclass(kw_only=True)
class RunLog:
    """Tells events on, and keeps those of runs that began here. Any thread may tell it.

    Args:
        store: where they are kept.
        now: the time that events are dated with.
        then: who else is told.
    """

    store: Store
    now: Callable[[], datetime]
    then: Tell
    _runs: dict[str, _Log] = field(default_factory=dict, init=False)
    _turn: Lock = field(default_factory=Lock, init=False)

    def __call__(self, event: Event) -> None:
        """Tell it."""
        self.then(event)
        with self._turn, suppress(EngineError):
            self._keep(event, self.now())

    def _keep(self, event: Event, now: datetime) -> None:
        if isinstance(event, RunStarted) and not event.dry:
            self._runs[event.run] = _Log(sync=event.sync, written_at=now)
            self.store.end_events(began_before=now - KEPT_FOR, runs=RUNS_MAX)
        run = self._run_of(event)
        if run is None:
            return
        log = self._runs[run]
        log.add(event, now)
        ends = isinstance(event, RunEnded)
        if ends:
            del self._runs[run]
        if ends or now - log.written_at >= _TOGETHER:
            self._write(run, log, now)

    def _run_of(self, event: Event) -> str | None:
        """The run that goes on; what it does to the plan of an earlier one is its own act."""
        run, sync = getattr(event, "run", None), getattr(event, "sync", None)
        if run in self._runs:
            return str(run)
        return next((r for r, log in self._runs.items() if log.sync == sync), None)

    def _write(self, run: str, log: _Log, now: datetime) -> None:
        lines, log.lines, log.written_at = log.lines, {}, now
        if lines:
            self.store.note_events(run, lines)


def left_out(events: Sequence[tuple[int, str]]) -> int:
    """How many events of a run were too many to be kept, by the numbers of those that were."""
    return events[-1][0] + 1 - len(events) if events else 0


def shown(event: Mapping[str, object]) -> str:
    """One line for people: when, what, and what is known of it."""
    named = [f"{key}={value}" for key, value in event.items() if key not in ("at", "event", "run")]
    told = [item for item in named if not item.endswith(("=", "=None"))]
    return f"{str(event['at'])[:19]}  {event['event']}  {' '.join(told)}"
