"""What hands asked runs to workers. It may forget everything at any time: the store knows what was
asked for, and the plan store how far each run is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class AskedRun:
    """A run that somebody is to do.

    Args:
        id: names it among all runs ever asked for.
        sync: id of the sync.
    """

    id: str
    sync: str


class Engine(Protocol):
    """Calls block and may come from several threads. Any may raise TransientError
    `journal_unavailable`, and none is the worse for being repeated.
    """

    def start(self) -> None:
        """Begin to do asked runs of this worker's region, one at a time."""

    def enqueue(self, run: AskedRun) -> None:
        """Let a worker of the region do a run; where one does, or will, nothing is done."""

    def tidy(self) -> None:
        """Forget runs that were done."""

    def owners(self) -> Collection[str]:
        """Workers that have begun a run and not ended it."""

    def take_over(self, executor: str) -> None:
        """Let others do what a worker had begun that does nothing any more."""

    def stop(self, *, wait_seconds: int = 0) -> None:
        """Do no further run; wait so long for the one in hand."""
