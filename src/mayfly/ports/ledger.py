"""The ledger as services see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mayfly.ledger.checkpoint import ListHead
from mayfly.ledger.entry import Entry


@dataclass(frozen=True, kw_only=True)
class OpenCopy:
    """A working copy that was recorded as created and not as dropped.

    Args:
        sync, target, run: whose it is.
        created_at: when it was recorded, in UTC.
        reason: why it is held; empty where no run has said so, as after a kill.
    """

    sync: str
    target: str
    run: str
    created_at: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class OpenBatch:
    """A sealed batch that was recorded as held and not as purged or expired.

    Args:
        sync, target, run, batch: what it is of.
        rows: how many it holds.
        held_at: when it was recorded, in UTC; of one that was sealed again, when the first was.
    """

    sync: str
    target: str
    run: str
    batch: int
    rows: int
    held_at: datetime


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Whom a sync delivered something to that its state remembers, by names and ids."""

    sync: str
    target: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class KeyTimes:
    """What is on record of versions of the key encryption key, by their names in entries.

    Args:
        since: when the first rewrap under each was recorded, the oldest first.
        destroyed: those whose destruction is recorded with its final day.
    """

    since: Mapping[str, datetime]
    destroyed: frozenset[str]


class Ledger(Protocol):
    """An append-only record of what was created, delivered and dropped.

    Calls block on the disk or the database and may come from several threads, processes and
    machines at once; each append is atomic towards the others.
    """

    def append(self, entries: Sequence[Entry]) -> None:
        """Record entries, in order; when this returns they are durable and signed.

        The ledger gives each entry its position and time. Not idempotent: a repeat records
        again. On an error nothing of the call is recorded, but where a database was lost as it
        committed.

        Raises:
            PolicyError: `clock_backwards`, the clock stands before the last entry.
            TransientError: `disk_full`; `store_unavailable`, of a ledger in the store.
            IntegrityError: `ledger_inconsistent`, the record does not match its checkpoint.
        """
        ...

    def entries(self) -> Iterator[Entry]:
        """Every entry that is signed, in order, as they were when the call began."""
        ...

    def open_copies(self) -> Sequence[OpenCopy]:
        """Working copies that were recorded as created and not as dropped, the oldest first."""
        ...

    def open_batches(self) -> Sequence[OpenBatch]:
        """Sealed batches that were recorded as held and not as ended, the oldest first."""
        ...

    def open_runs(self, sync: str, target: str) -> Sequence[str]:
        """Runs of a sync that have such a working copy."""
        ...

    def last_time(self) -> datetime | None:
        """Time of the newest entry in UTC; None where there is none."""
        ...

    def size(self) -> int:
        """Number of entries."""
        ...


class ListLedger(Protocol):
    """The part of a ledger that records the suppression list."""

    def settle_list(
        self,
        settle: Callable[[int, ListHead | None], Entry | None],
        settled: Callable[[int], None],
    ) -> None:
        """Bring record and suppression list together, while nothing else is recorded.

        Args:
            settle: given how often the list was recorded, and its last head, the entry that is to
                be recorded; None where there is nothing to record. What it raises is raised.
            settled: told how often it is recorded after that.

        Raises:
            EngineError: as `append`.
        """
        ...
