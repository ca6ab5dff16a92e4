"""`approvals.lock`: what was approved, as reviewers and CI see it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayfly.domain.errors import ConfigError
from mayfly.services.durable import sync_directory

LOCK_FILE = "approvals.lock"


@dataclass(frozen=True)
class Locked:
    """One line of the file.

    Args:
        fingerprint: of what was approved.
        actor: id of who approved, empty where the line does not tell.
    """

    fingerprint: str
    actor: str = ""


def read_lock(root: Path) -> dict[tuple[str, str], Locked]:
    """By (sync id, target); empty where there is no file.

    Raises:
        ConfigError: `approvals_lock_unreadable`.
    """
    path = root / LOCK_FILE
    found: dict[tuple[str, str], Locked] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        lines = ["?"]
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
            found[str(entry["sync"]), str(entry["target"])] = Locked(
                str(entry["fingerprint"]), actor=str(entry.get("actor", ""))
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                "approvals_lock_unreadable",
                f"{LOCK_FILE}:{number} is not an approval.",
                hint="Restore the file from Git, or remove it and approve again.",
            ) from None
    return found


@contextmanager
def changing_lock(root: Path) -> Iterator[dict[tuple[str, str], Locked]]:
    """The file's lines, to be changed and written back at the end.

    One process at a time: another waits and then reads what this one wrote. The folder itself is
    what is locked, for the file is replaced by each writer.

    Raises:
        ConfigError: `approvals_lock_unreadable`, `approvals_lock_unwritable`.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(error) from None
        lock = read_lock(root)
        yield lock
        write_lock(root, lock)
    finally:
        os.close(descriptor)


def write_lock(root: Path, lock: Mapping[tuple[str, str], Locked]) -> None:
    """Write the file whole or not at all, and durably.

    Raises:
        ConfigError: `approvals_lock_unwritable`.
    """
    lines = ["# Fingerprints of approved syncs; written by `mayfly approve`. Commit this file."]
    for (sync, target), locked in sorted(lock.items(), key=lambda item: item[0]):
        entry = {"sync": sync, "target": target, "fingerprint": locked.fingerprint}
        if locked.actor:
            entry["actor"] = locked.actor
        lines.append(json.dumps(entry, sort_keys=True))
    partial = root / f".{LOCK_FILE}.part"
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, root / LOCK_FILE)
        sync_directory(root)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> ConfigError:
    return ConfigError(
        "approvals_lock_unwritable",
        f"{LOCK_FILE} cannot be written (error {error.errno}).",
        hint="The project's folder must be writable and its disk have room.",
    )
