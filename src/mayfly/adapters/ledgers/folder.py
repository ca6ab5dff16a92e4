"""A ledger in a folder: `entries.jsonl`, `checkpoint`, `key.pub` and a lock file.

An append writes its entries, makes them durable, and replaces the checkpoint. The checkpoint is
what counts: lines beyond it belong to an append that was cut off; whole ones are kept and signed
when the ledger is next opened, and a torn one is cut away. Lines the checkpoint covers are
never touched; where they do not match it, the ledger refuses to go on.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from mayfly.adapters.clock import CLOCK_TOLERANCE
from mayfly.adapters.ledgers.open_acts import OpenActs
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError
from mayfly.ledger.checkpoint import Checkpoint, ListHead, Signer, verify_checkpoint
from mayfly.ledger.entry import Entry, EntryType, parse_time
from mayfly.ledger.merkle import Frontier, leaf_hash, root
from mayfly.ledger.proof import beyond_ledger, prove_consistency, prove_inclusion
from mayfly.ports.ledger import KeyTimes, OpenBatch, OpenCopy, Recipient
from mayfly.services.durable import sync_directory

_ENTRIES, _CHECKPOINT, _KEY, _LOCK = "entries.jsonl", "checkpoint", "key.pub", "lock"
_NOTE_BYTES_MAX = 16_384
_CHUNK_BYTES = 1 << 20
_LISTED = b'"type":"suppression"'
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@dataclass(frozen=True, kw_only=True)
class _Position:
    """What this process knows of the ledger: its tree, its end, its newest time, and how often the
    suppression list was recorded, with its last head.
    """

    frontier: Frontier
    end_bytes: int
    newest: datetime | None
    note: str
    lists: int = 0
    listed: ListHead | None = None


def recipients_in(path: Path) -> Set[Recipient]:
    """As `FolderLedger.recipients`, of a ledger that is only looked at, or is not there."""
    found = OpenActs()
    if (path / _ENTRIES).exists():
        for line in _whole_lines(path / _ENTRIES, 0):
            found.take(line)
    return frozenset(found.recipients)


@dataclass(frozen=True, kw_only=True)
class _Leaves:
    """Of the first entries their hashes, one line, and where the suppression list was recorded."""

    hashes: list[bytes]
    line: bytes
    listed: dict[int, ListHead]


class FolderLedger:
    """The ledger of one workspace, in a folder readable by its owner only.

    Several threads and processes may use one folder; a lock file orders them.
    """

    def __init__(
        self,
        path: Path,
        signer: Signer,
        clock: Callable[[], datetime],
        *,
        told: Callable[[Sequence[Entry]], None] | None = None,
    ) -> None:
        """Open a ledger, finish what a killed process left, and check it against its checkpoint.

        Args:
            path: the folder.
            signer: what signs its checkpoints.
            clock: the present time, with a zone.
            told: is handed the entries of each append, once they are durable.

        Raises:
            PolicyError: `ledger_missing`, there is no ledger; `mayfly init` makes one.
            IntegrityError: `ledger_inconsistent`.
            TransientError: `disk_full`.
            ConfigError: `ledger_unwritable`.
        """
        self._path = path
        self._signer = signer
        self._clock = clock
        self._told = told
        self._open = OpenActs()
        if not (path / _CHECKPOINT).exists():
            if _bytes_in(path / _ENTRIES):
                raise _inconsistent("it has entries and no checkpoint")
            raise PolicyError(
                "ledger_missing",
                "The ledger of this workspace does not exist.",
                hint="Run `mayfly init`, or restore the ledger's folder from a backup.",
            )
        with self._locked():
            self._position = self._read()

    @classmethod
    def create(cls, path: Path, signer: Signer, clock: Callable[[], datetime]) -> FolderLedger:
        """Make an empty ledger where there is none, and open it. Finishes a creation cut off.

        Raises:
            PolicyError: `ledger_exists`.
            IntegrityError, TransientError, ConfigError: as when opening.
        """
        if (path / _CHECKPOINT).exists():
            raise PolicyError("ledger_exists", "There is a ledger already; it is never replaced.")
        if _bytes_in(path / _ENTRIES):
            raise _inconsistent("it has entries and no checkpoint")
        with _translated():
            for missing in reversed([d for d in (path, *path.parents) if not d.exists()]):
                missing.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
            _write_atomically(path / _KEY, signer.verifier_key.to_line() + "\n")
            for name in (_ENTRIES, _LOCK):
                os.close(os.open(path / name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            _write_atomically(path / _CHECKPOINT, signer.checkpoint(0, Frontier().root()))
        return cls(path, signer, clock)

    def append(self, entries: Sequence[Entry]) -> None:
        """Record entries durably and sign the new head; see the port for promises.

        Raises:
            ValueError: an entry has a position or time already.
        """
        if not entries:
            return
        with self._locked():
            placed = self._placed(entries)
        if self._told is not None:
            self._told(placed)

    def settle_list(
        self,
        settle: Callable[[int, ListHead | None], Entry | None],
        settled: Callable[[int], None],
    ) -> None:
        """See the port."""
        placed: Sequence[Entry] = ()
        with self._locked():
            position = self._position = self._refreshed(self._position)
            entry = settle(position.lists, position.listed)
            if entry is not None:
                placed = self._placed([entry])
            settled(self._position.lists)
        if self._told is not None and placed:
            self._told(placed)

    def _placed(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries as they were recorded; by whoever holds the lock."""
        position = self._position = self._refreshed(self._position)
        at = self._now(position.newest)
        size = position.frontier.size
        placed = [e.placed(seq=size + n, at=at) for n, e in enumerate(entries)]
        self._position = self._written(position, placed, at)
        return placed

    def entries(self) -> Iterator[Entry]:
        """See the port."""
        size = self.size()
        with _translated():
            lines = _whole_lines(self._path / _ENTRIES, 0)
            yield from (Entry.from_line(line) for line in islice(lines, size))

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
        return self._current().frontier.size

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
        for line in islice(_whole_lines(self._path / _ENTRIES, 0), frontier.size):
            wanted = line if len(leaves) == index else wanted
            if _LISTED in line:
                listed[len(leaves)] = _list_head(Entry.from_line(line))
            leaves.append(leaf_hash(line))
        if root(leaves) != frontier.root():
            raise _inconsistent("its entries do not match its checkpoint")
        if size is not None and not 0 <= size <= len(leaves):
            raise beyond_ledger("A tree of that size", len(leaves))
        return _Leaves(hashes=leaves[:size], line=wanted, listed=listed)

    def _open_now(self) -> OpenActs:
        """What is open, after what was appended since it was last asked."""
        with _translated(), self._locked():
            self._position = self._refreshed(self._position)
            found = self._open.copy()
            for line in _whole_lines(self._path / _ENTRIES, found.end_bytes):
                found.take(line)
            self._open = found
            return found

    def _current(self) -> _Position:
        with self._locked():
            self._position = self._refreshed(self._position)
            return self._position

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

    def _written(self, position: _Position, entries: list[Entry], at: datetime) -> _Position:
        """Write entries at the known end and the checkpoint over them; on an error, neither."""
        frontier, lines = position.frontier.copy(), [entry.to_line() for entry in entries]
        for line in lines:
            frontier.append(leaf_hash(line))
        heads = [_list_head(e) for e in entries if e.type is EntryType.SUPPRESSION]
        listed = heads[-1] if heads else position.listed
        note = self._signer.checkpoint(frontier.size, frontier.root(), listed)
        data = b"".join(line + b"\n" for line in lines)
        with _translated(), _appending(self._path / _ENTRIES) as descriptor:
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
                _write_atomically(self._path / _CHECKPOINT, note)
            except OSError:
                os.ftruncate(descriptor, position.end_bytes)
                raise
        return _Position(
            frontier=frontier,
            end_bytes=position.end_bytes + len(data),
            newest=at,
            note=note,
            lists=position.lists + len(heads),
            listed=listed,
        )

    def _refreshed(self, known: _Position) -> _Position:
        """The position, after reading what other processes appended."""
        if _bytes_in(self._path / _ENTRIES) == known.end_bytes and known.note == self._note():
            return known
        return self._read(known)

    def _read(self, known: _Position | None = None) -> _Position:
        """Extend the tree from the file, finish its tail, check it against the checkpoint.

        Args:
            known: where to go on from; None reads from the beginning.
        """
        start = known or _Position(frontier=Frontier(), end_bytes=0, newest=None, note="")
        head, note = self._head()
        frontier, end, last = start.frontier.copy(), start.end_bytes, b""
        lists, listed = start.lists, start.listed
        signed = (frontier.root(), listed) if frontier.size == head.size else None
        for line in _whole_lines(self._path / _ENTRIES, end):
            if frontier.size >= head.size:
                _check_tail(line, frontier.size)
            if _LISTED in line:
                lists, listed = lists + 1, _list_head_in(line)
            frontier.append(leaf_hash(line))
            if frontier.size == head.size:
                signed = frontier.root(), listed
            last, end = line, end + len(line) + 1
        if signed != (head.root, head.suppression):
            raise _inconsistent("its entries do not match its checkpoint")
        newest = _time_of(last) if last else start.newest
        found = _bytes_in(self._path / _ENTRIES)
        if found < end:
            raise _inconsistent("it is shorter than it was")
        if found > end:
            _cut(self._path / _ENTRIES, end)
        if frontier.size > head.size:
            note = self._signer.checkpoint(frontier.size, frontier.root(), listed)
            with _translated():
                _write_atomically(self._path / _CHECKPOINT, note)
        return _Position(
            frontier=frontier,
            end_bytes=end,
            newest=newest,
            note=note,
            lists=lists,
            listed=listed,
        )

    def _head(self) -> tuple[Checkpoint, str]:
        """The head that the folder's checkpoint states, and its note."""
        key, note = self._signer.verifier_key, self._note()
        if _text_in(self._path / _KEY) != key.to_line() + "\n":
            raise _inconsistent("its public key is not this workspace's")
        try:
            return verify_checkpoint(note, key), note
        except IntegrityError:
            raise _inconsistent("its checkpoint is not signed by this workspace's key") from None

    def _note(self) -> str:
        return _text_in(self._path / _CHECKPOINT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude other threads and processes; each holder opens the lock file anew."""
        with _translated():
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path / _LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _list_head(entry: Entry) -> ListHead:
    """Of an entry that records one."""
    return ListHead(count=entry.rows, root=bytes.fromhex(entry.reason))


def _list_head_in(line: bytes) -> ListHead:
    try:
        return _list_head(Entry.from_line(line))
    except IntegrityError:
        raise _inconsistent("a line of it is not an entry") from None


def _check_tail(line: bytes, seq: int) -> None:
    """A line that no checkpoint covers yet must be an entry in its place."""
    try:
        entry = Entry.from_line(line)
    except IntegrityError:
        raise _inconsistent("a line beyond its checkpoint is not an entry") from None
    if entry.seq != seq:
        raise _inconsistent("a line beyond its checkpoint is out of order")


def _time_of(line: bytes) -> datetime:
    try:
        at = Entry.from_line(line).at
    except IntegrityError:
        raise _inconsistent("its last line is not an entry") from None
    return parse_time(at or "")


def _whole_lines(file: Path, start: int) -> Iterator[bytes]:
    """Ended lines from a byte on, without their ends; a torn last line is left out."""
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            for line in stream:
                if line.endswith(b"\n"):
                    yield line[:-1]
    except OSError:
        raise _inconsistent("its entries cannot be read") from None


def _cut(file: Path, end: int) -> None:
    """Cut a torn last line away."""
    with _translated(), _appending(file) as descriptor:
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)


@contextmanager
def _appending(file: Path) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(file, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest[:_CHUNK_BYTES]) :]


def _write_atomically(file: Path, text: str) -> None:
    """Replace a small file as a whole, durably; on an error the old one stands."""
    temporary = file.with_name(f".{file.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(temporary, flags, 0o600)
        try:
            _write_all(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    # An error here leaves the old file or the new; both are whole.
    with suppress(OSError):
        sync_directory(file.parent)


def _bytes_in(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _text_in(file: Path) -> str:
    """A small text; empty where it cannot be read as one, which matches nothing."""
    try:
        with file.open("rb") as stream:
            return stream.read(_NOTE_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the file system as ours; messages carry no path."""
    try:
        yield
    except OSError as error:
        _raise(error)


def _raise(error: OSError) -> NoReturn:
    if error.errno in _FULL:
        raise TransientError(
            "disk_full",
            "The disk of the ledger is full; nothing of this call was recorded.",
            hint="Free some space and run again.",
        ) from None
    if error.errno == errno.EIO:
        raise TransientError(
            "ledger_io_failed", "The disk of the ledger failed; nothing of this call was recorded."
        ) from None
    raise ConfigError(
        "ledger_unwritable",
        f"The ledger's folder cannot be written ({errno.errorcode.get(error.errno or 0, 'EIO')}).",
        hint="Make the folder and its files writable by the user who runs Mayfly, and nobody else.",
    ) from None


def _inconsistent(what: str) -> IntegrityError:
    return IntegrityError(
        "ledger_inconsistent",
        f"The ledger does not verify: {what}.",
        hint="Keep the folder as it is, run `mayfly verify` on it, and restore it from a backup.",
    )
