"""What every ledger does with its entries, wherever they lie: place, hash, sign, prove.

A place gives lines and the signed head, keeps both with one act, and orders its writers; the form
of lines, tree and head is the same everywhere, so that `mayfly verify` reads each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from mayfly.adapters.clock import CLOCK_TOLERANCE
from mayfly.adapters.ledgers.open_acts import OpenActs
from mayfly.domain.errors import IntegrityError, PolicyError
from mayfly.ledger.checkpoint import Checkpoint, ListHead, Signer, verify_checkpoint
from mayfly.ledger.entry import Entry, parse_time
from mayfly.ledger.merkle import Frontier, leaf_hash, root
from mayfly.ledger.proof import beyond_ledger, prove_consistency, prove_inclusion
from mayfly.ports.ledger import KeyTimes, OpenBatch, OpenCopy, Recipient

_LISTED = b'"type":"suppression"'
Told = Callable[[Sequence[Entry]], None]


@dataclass(frozen=True, kw_only=True)
class Position:
    """What this process knows of the ledger: its tree, its end, its newest time, and how often the
    suppression list was recorded, with its last head.
    """

    frontier: Frontier
    end_bytes: int = 0
    newest: datetime | None = None
    note: str = ""
    lists: int = 0
    listed: ListHead | None = None

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.frontier.size


@dataclass(frozen=True, kw_only=True)
class _Leaves:
    """Of the first entries their hashes, one line, and where the suppression list was recorded."""

    hashes: list[bytes]
    line: bytes
    listed: dict[int, ListHead]


class TreeLedger(ABC):
    """The ledger of one workspace; see the port for promises.

    Subclasses say where it lies.
    """

    _position: Position

    def __init__(
        self, signer: Signer, clock: Callable[[], datetime], *, told: Told | None = None
    ) -> None:
        """Know how to sign; subclasses open.

        Args:
            signer: what signs its checkpoints.
            clock: the present time, with a zone.
            told: is handed the entries of each append, once they are durable.
        """
        self._signer = signer
        self._clock = clock
        self._told = told
        self._open = OpenActs()

    @abstractmethod
    def _locked(self, *, write: bool) -> AbstractContextManager[None]:
        """Exclude other threads of this process, and for writing all other writers. What is
        written within is there as a whole once it is left, or not at all.
        """

    @abstractmethod
    def _refreshed(self, known: Position) -> Position:
        """The position, after reading what others appended; under the lock."""

    @abstractmethod
    def _written(self, known: Position, lines: Sequence[bytes], after: Position) -> None:
        """Keep lines at the known end, and the head over them; under the lock, for writing."""

    @abstractmethod
    def _lines(self, *, size: int, end_bytes: int) -> Iterator[bytes]:
        """Lines after the first `size`, which take so many bytes with their ends."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Record entries durably and sign the new head; see the port for promises.

        Raises:
            ValueError: an entry has a position or time already.
        """
        if not entries:
            return
        with self._locked(write=True):
            placed, position = self._placed(entries)
        self._position = position
        if self._told is not None:
            self._told(placed)

    def settle_list(
        self,
        settle: Callable[[int, ListHead | None], Entry | None],
        settled: Callable[[int], None],
    ) -> None:
        """See the port."""
        placed: Sequence[Entry] = ()
        with self._locked(write=True):
            position = self._position = self._refreshed(self._position)
            entry = settle(position.lists, position.listed)
            if entry is not None:
                placed, position = self._placed([entry])
            settled(position.lists)
        self._position = position
        if self._told is not None and placed:
            self._told(placed)

    def entries(self) -> Iterator[Entry]:
        """See the port."""
        lines = self._lines(size=0, end_bytes=0)
        yield from (Entry.from_line(line) for line in islice(lines, self.size()))

    def open_copies(self) -> Sequence[OpenCopy]:
        """See the port. Reads what it has not read before."""
        return list(self._open_now().copies.values())

    def open_batches(self) -> Sequence[OpenBatch]:
        """See the port. Reads what it has not read before."""
        return list(self._open_now().batches.values())

    def open_runs(self, sync: str, target: str) -> Sequence[str]:
        """See the port."""
        return [c.run for c in self.open_copies() if (c.sync, c.target) == (sync, target)]

    def recipients(self) -> Set[Recipient]:
        """Whom something was delivered to that is remembered. Reads what it has not read before."""
        return frozenset(self._open_now().recipients)

    def key_times(self) -> KeyTimes:
        """What is on record of versions of the key. Reads what it has not read before."""
        found = self._open_now()
        return KeyTimes(since=found.wrapped_since, destroyed=frozenset(found.destroyed))

    def last_time(self) -> datetime | None:
        """Time of the newest entry in UTC; None where there is none."""
        return self._current().newest

    def size(self) -> int:
        """Number of entries."""
        return self._current().size

    def checkpoint(self) -> str:
        """The newest signed checkpoint, to be kept elsewhere."""
        return self._current().note

    def consistency(self, old_size: int, size: int | None = None) -> dict[str, Any]:
        """Proof that the ledger of `old_size` entries is the beginning of that of `size`, by
        default of all there are.

        Raises:
            UsageError: `beyond_ledger`.
            IntegrityError: `ledger_inconsistent`.
        """
        found = self._leaves(size)
        return prove_consistency(
            found.hashes, old_size=old_size, signer=self._signer, listed=found.listed
        )

    def inclusion(self, index: int, size: int | None = None) -> dict[str, Any]:
        """Proof that an entry is number `index`, from 0, of the ledger of `size` entries, by
        default of all there are. Raises as above.
        """
        found = self._leaves(size, index)
        return prove_inclusion(
            found.hashes,
            index=index,
            line=found.line,
            signer=self._signer,
            listed=found.listed,
        )

    def _leaves(self, size: int | None, index: int = 0) -> _Leaves:
        """Of the first entries; all of it is what was signed."""
        frontier, wanted = self._current().frontier, b""
        leaves: list[bytes] = []
        listed: dict[int, ListHead] = {}
        for line in islice(self._lines(size=0, end_bytes=0), frontier.size):
            wanted = line if len(leaves) == index else wanted
            if _LISTED in line:
                listed[len(leaves)] = _list_head(Entry.from_line(line))
            leaves.append(leaf_hash(line))
        if root(leaves) != frontier.root():
            raise inconsistent("its entries do not match its checkpoint")
        if size is not None and not 0 <= size <= len(leaves):
            raise beyond_ledger("A tree of that size", len(leaves))
        return _Leaves(hashes=leaves[:size], line=wanted, listed=listed)

    def _open_now(self) -> OpenActs:
        """What is open, after what was appended since it was last asked."""
        with self._locked(write=False):
            self._position = self._refreshed(self._position)
            found = self._open.copy()
            lines = self._lines(size=found.size, end_bytes=found.end_bytes)
            for line in islice(lines, self._position.size - found.size):
                found.take(line)
            self._open = found
            return found

    def _current(self) -> Position:
        with self._locked(write=False):
            self._position = self._refreshed(self._position)
            return self._position

    def _placed(self, entries: Sequence[Entry]) -> tuple[list[Entry], Position]:
        """The entries as they are recorded, and the position after them; by whoever holds the
        lock. They are durable once that is let go.
        """
        known = self._position = self._refreshed(self._position)
        at = self._now(known.newest)
        placed = [e.placed(seq=known.size + n, at=at) for n, e in enumerate(entries)]
        lines = [entry.to_line() for entry in placed]
        after = grown(known, lines, at)
        note = self._signer.checkpoint(after.size, after.frontier.root(), after.listed)
        after = replace(after, note=note)
        self._written(known, lines, after)
        return placed, after

    def _now(self, newest: datetime | None) -> datetime:
        now = self._clock()
        if now.tzinfo is None:
            raise ValueError("the ledger's clock needs a zone")
        now = now.astimezone(UTC)
        if newest is None or now >= newest:
            return now
        if newest - now > CLOCK_TOLERANCE:
            raise PolicyError(
                "clock_backwards",
                f"The clock stands {(newest - now).total_seconds():.0f} s before the ledger's "
                "last entry.",
                hint="Set the machine's clock right; the ledger's times never go back.",
            )
        return newest


def head_of(signer: Signer, *, key_line: str, note: str) -> Checkpoint:
    """The head that a note states, where key and note are this workspace's.

    Raises:
        IntegrityError: `ledger_inconsistent`.
    """
    key = signer.verifier_key
    if key_line != key.to_line() + "\n":
        raise inconsistent("its public key is not this workspace's")
    try:
        return verify_checkpoint(note, key)
    except IntegrityError:
        raise inconsistent("its checkpoint is not signed by this workspace's key") from None


def grown(known: Position, lines: Iterable[bytes], newest: datetime | None = None) -> Position:
    """The position after further lines, its note still the one that was known.

    Args:
        known: where it goes on from.
        lines: that follow.
        newest: time of the last of them; None where that is to be read from it.
    """
    frontier, end, last = known.frontier.copy(), known.end_bytes, b""
    lists, listed = known.lists, known.listed
    for line in lines:
        if _LISTED in line:
            lists, listed = lists + 1, _list_head_in(line)
        frontier.append(leaf_hash(line))
        last, end = line, end + len(line) + 1
    if newest is None:
        newest = _time_of(last) if last else known.newest
    return Position(
        frontier=frontier, end_bytes=end, newest=newest, note=known.note, lists=lists, listed=listed
    )


def require_signed(position: Position, head: Checkpoint) -> None:
    """Refuse a position that is not the one which a head of as many entries states."""
    if (position.size, position.frontier.root(), position.listed) != (
        head.size,
        head.root,
        head.suppression,
    ):
        raise inconsistent("its entries do not match its checkpoint")


def _list_head(entry: Entry) -> ListHead:
    """Of an entry that records one."""
    return ListHead(count=entry.rows, root=bytes.fromhex(entry.reason))


def _list_head_in(line: bytes) -> ListHead:
    try:
        return _list_head(Entry.from_line(line))
    except IntegrityError:
        raise inconsistent("a line of it is not an entry") from None


def _time_of(line: bytes) -> datetime:
    try:
        at = Entry.from_line(line).at
    except IntegrityError:
        raise inconsistent("its last line is not an entry") from None
    return parse_time(at or "")


def inconsistent(what: str) -> IntegrityError:
    """The record is not what was signed."""
    return IntegrityError(
        "ledger_inconsistent",
        f"The ledger does not verify: {what}.",
        hint="Keep the folder as it is, run `mayfly verify` on it (of a ledger in the store, on "
        "what `mayfly ledger export` writes), and restore it from a backup.",
    )
