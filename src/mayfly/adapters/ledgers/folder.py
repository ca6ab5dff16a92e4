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
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NoReturn

from mayfly.adapters.ledgers.export import CHECKPOINT, ENTRIES, KEY, StoredLedger
from mayfly.adapters.ledgers.open_acts import OpenActs
from mayfly.adapters.ledgers.tree import (
    Position,
    Told,
    TreeLedger,
    grown,
    head_of,
    inconsistent,
    require_signed,
)
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry
from mayfly.ledger.merkle import Frontier
from mayfly.ports.ledger import Recipient
from mayfly.services.durable import sync_directory

_LOCK = "lock"
_NOTE_BYTES_MAX = 16_384
_CHUNK_BYTES = 1 << 20
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def recipients_in(path: Path) -> Set[Recipient]:
    """As `FolderLedger.recipients`, of a ledger that is only looked at, or is not there."""
    found = OpenActs()
    if (path / ENTRIES).exists():
        for line in _whole_lines(path / ENTRIES, 0):
            found.take(line)
    return frozenset(found.recipients)


@contextmanager
def folder_ledger(path: Path) -> Iterator[StoredLedger]:
    """The ledger as it lies in a folder; within, nobody appends to it.

    Raises:
        PolicyError: `ledger_missing`.
        IntegrityError: `ledger_inconsistent`, its entries cannot be read.
        ConfigError: `ledger_unwritable`.
    """
    if not (path / CHECKPOINT).exists():
        raise _missing()
    with _lock_of(path):
        yield StoredLedger(
            note=_text_in(path / CHECKPOINT),
            key_line=_text_in(path / KEY),
            lines=_whole_lines(path / ENTRIES, 0),
        )


class FolderLedger(TreeLedger):
    """The ledger of one workspace, in a folder readable by its owner only.

    Several threads and processes may use one folder; a lock file orders them.
    """

    def __init__(
        self,
        path: Path,
        signer: Signer,
        clock: Callable[[], datetime],
        *,
        told: Told | None = None,
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
        super().__init__(signer, clock, told=told)
        self._path = path
        if not (path / CHECKPOINT).exists():
            if _bytes_in(path / ENTRIES):
                raise inconsistent("it has entries and no checkpoint")
            raise _missing()
        with self._locked(write=True):
            self._position = self._read(Position(frontier=Frontier()))

    @classmethod
    def create(cls, path: Path, signer: Signer, clock: Callable[[], datetime]) -> FolderLedger:
        """Make an empty ledger where there is none, and open it. Finishes a creation cut off.

        Raises:
            PolicyError: `ledger_exists`.
            IntegrityError, TransientError, ConfigError: as when opening.
        """
        if (path / CHECKPOINT).exists():
            raise PolicyError("ledger_exists", "There is a ledger already; it is never replaced.")
        if _bytes_in(path / ENTRIES):
            raise inconsistent("it has entries and no checkpoint")
        with _translated():
            for missing in reversed([d for d in (path, *path.parents) if not d.exists()]):
                missing.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
            _write_atomically(path / KEY, signer.verifier_key.to_line() + "\n")
            for name in (ENTRIES, _LOCK):
                os.close(os.open(path / name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            _write_atomically(path / CHECKPOINT, signer.checkpoint(0, Frontier().root()))
        return cls(path, signer, clock)

    def _lines(self, *, size: int, end_bytes: int) -> Iterator[bytes]:
        del size
        with _translated():
            yield from _whole_lines(self._path / ENTRIES, end_bytes)

    def _written(self, known: Position, lines: Sequence[bytes], after: Position) -> None:
        """Write entries at the known end and the checkpoint over them; on an error, neither."""
        data = b"".join(line + b"\n" for line in lines)
        with _translated(), _appending(self._path / ENTRIES) as descriptor:
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
                _write_atomically(self._path / CHECKPOINT, after.note)
            except OSError:
                os.ftruncate(descriptor, known.end_bytes)
                raise

    def _refreshed(self, known: Position) -> Position:
        if _bytes_in(self._path / ENTRIES) == known.end_bytes and known.note == self._note():
            return known
        return self._read(known)

    def _read(self, known: Position) -> Position:
        """Extend the tree from the file, finish its tail, check it against the checkpoint."""
        note = self._note()
        head = head_of(self._signer, key_line=_text_in(self._path / KEY), note=note)
        lines = self._lines(size=known.size, end_bytes=known.end_bytes)
        signed = grown(known, islice(lines, max(0, head.size - known.size)))
        require_signed(signed, head)
        position = replace(grown(signed, _checked(lines, signed.size)), note=note)
        found = _bytes_in(self._path / ENTRIES)
        if found < position.end_bytes:
            raise inconsistent("it is shorter than it was")
        if found > position.end_bytes:
            _cut(self._path / ENTRIES, position.end_bytes)
        if position.size > head.size:
            root = position.frontier.root()
            position = replace(
                position, note=self._signer.checkpoint(position.size, root, position.listed)
            )
            with _translated():
                _write_atomically(self._path / CHECKPOINT, position.note)
        return position

    def _note(self) -> str:
        return _text_in(self._path / CHECKPOINT)

    @contextmanager
    def _locked(self, *, write: bool) -> Iterator[None]:
        """Exclude other threads and processes, readers too: one may have to finish a tail. Each
        holder opens the lock file anew.
        """
        del write
        with _lock_of(self._path):
            yield


@contextmanager
def _lock_of(path: Path) -> Iterator[None]:
    with _translated():
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path / _LOCK, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _missing() -> PolicyError:
    return PolicyError(
        "ledger_missing",
        "The ledger of this workspace does not exist.",
        hint="Run `mayfly init`, or restore the ledger's folder from a backup.",
    )


def _checked(lines: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Lines that no checkpoint covers yet: each must be an entry in its place."""
    for seq, line in enumerate(lines, start=size):
        try:
            entry = Entry.from_line(line)
        except IntegrityError:
            raise inconsistent("a line beyond its checkpoint is not an entry") from None
        if entry.seq != seq:
            raise inconsistent("a line beyond its checkpoint is out of order")
        yield line


def _whole_lines(file: Path, start: int) -> Iterator[bytes]:
    """Ended lines from a byte on, without their ends; a torn last line is left out."""
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            for line in stream:
                if line.endswith(b"\n"):
                    yield line[:-1]
    except OSError:
        raise inconsistent("its entries cannot be read") from None


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
