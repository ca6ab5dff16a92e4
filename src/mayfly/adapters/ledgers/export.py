"""A ledger as files for an auditor, wherever it lies; see docs/specs/ledger.md."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mayfly.domain.errors import ConfigError, TransientError, UsageError
from mayfly.services.durable import sync_directory, write_private

ENTRIES, CHECKPOINT, KEY = "entries.jsonl", "checkpoint", "key.pub"


@dataclass(frozen=True, kw_only=True)
class StoredLedger:
    """A ledger as it lies there, whether it verifies or not.

    Args:
        note: its checkpoint.
        key_line: its public key, the line ended.
        lines: of its entries in order, their ends left out; to be read once.
    """

    note: str
    key_line: str
    lines: Iterator[bytes]


def export_ledger(stored: StoredLedger, folder: Path) -> int:
    """Write a ledger into a folder that is not there or empty; how many entries it has.

    The checkpoint is written last: a copy that was cut off does not verify.

    Raises:
        UsageError: `export_not_empty`.
        TransientError: `disk_full`.
        ConfigError: `export_unwritable`.
        EngineError: whatever reading the lines raises.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                "export_not_empty",
                "The folder to export to is not empty; nothing in it was changed.",
                hint="Name a folder that is not there yet.",
            )
        count = _write_lines(folder / ENTRIES, stored.lines)
        write_private(folder / KEY, stored.key_line.encode())
        write_private(folder / CHECKPOINT, stored.note.encode())
        sync_directory(folder)
    except OSError as error:
        raise _translated(error) from None
    return count


def _write_lines(file: Path, lines: Iterator[bytes]) -> int:
    count = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(file, flags, 0o600), "wb") as stream:
        for line in lines:
            stream.write(line + b"\n")
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    return count


def _translated(error: OSError) -> ConfigError | TransientError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TransientError(
            "disk_full",
            "The disk of the export is full; the ledger itself is as it was.",
            hint="Take what was written away, free some space, and export again.",
        )
    return ConfigError(
        "export_unwritable",
        f"The ledger cannot be exported there ({errno.errorcode.get(error.errno or 0, 'EIO')}).",
        hint="Name a folder that this user may make, outside the project.",
    )
