"""`approvals.lock`: what was approved, as reviewers and CI see it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mayfly.domain.errors import ConfigError
from mayfly.services.durable import sync_directory

LOCK_FILE = "approvals.lock"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request for an approval that its author signed and nobody answered yet; `asked_on` is the
    day in UTC.
    """

    fingerprint: str
    author: str
    asked_on: str
    signature: str


@dataclass(frozen=True)
class Locked:
    """One sync under one target.

    Args:
        fingerprint: of what was approved; empty where nothing was yet.
        actor: id of who approved, empty where the line does not tell.
        author: who asked for it; only where two people approve.
        asked_on: the day when, in UTC.
        requested: the author's signature, in base64.
        approved: the actor's.
        asked: what waits for its second signature.
    """

    fingerprint: str
    actor: str = ""
    author: str = ""
    asked_on: str = ""
    requested: str = ""
    approved: str = ""
    asked: Asked | None = None


@dataclass(frozen=True, kw_only=True)
class PeopleLine:
    """A list of people that approvals are held to, and how it came in.

    Args:
        digest: of the list.
        before: digest of the list before; empty of the first.
        people: the list.
        author, requested, actor, approved: as of `Locked`; `approved` is empty while a signature
            is missing, and both are of the first.
    """

    digest: str
    before: str
    people: Mapping[str, Any]
    author: str = ""
    requested: str = ""
    actor: str = ""
    approved: str = ""


@dataclass(kw_only=True)
class LockFile:
    """The whole file."""

    syncs: dict[tuple[str, str], Locked] = field(default_factory=dict)
    people: list[PeopleLine] = field(default_factory=list)


def read_lock(root: Path) -> dict[tuple[str, str], Locked]:
    """By (sync id, target); empty where there is no file.

    Raises:
        ConfigError: `approvals_lock_unreadable`.
    """
    return read_lock_file(root).syncs


def read_lock_file(root: Path) -> LockFile:
    """Everything in the file; nothing where there is none.

    Raises:
        ConfigError: `approvals_lock_unreadable`.
    """
    found = LockFile()
    try:
        lines = (root / LOCK_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    except (OSError, UnicodeDecodeError):
        lines = ["?"]
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            _take(found, json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                "approvals_lock_unreadable",
                f"{LOCK_FILE}:{number} is not an approval.",
                hint="Restore the file from Git, or remove it and approve again.",
            ) from None
    return found


def _take(found: LockFile, entry: dict[str, Any]) -> None:
    if "people" in entry:
        texts = {k: str(entry.get(k, "")) for k in _PEOPLE}
        found.people.append(PeopleLine(people=dict(entry["people"]), **texts))
        return
    asked = entry.get("request")
    found.syncs[str(entry["sync"]), str(entry["target"])] = Locked(
        str(entry["fingerprint"]),
        **{k: str(entry.get(k, "")) for k in _TEXTS},
        asked=None if asked is None else Asked(**{k: str(asked[k]) for k in _ASKED}),
    )


_SIGNED = ("actor", "author", "requested", "approved")
_TEXTS = (*_SIGNED, "asked_on")
_PEOPLE = ("digest", "before", *_SIGNED)
_ASKED = ("fingerprint", "author", "asked_on", "signature")


@contextmanager
def changing_lock(root: Path) -> Iterator[dict[tuple[str, str], Locked]]:
    """The lines of syncs; see `changing_lock_file`."""
    with changing_lock_file(root) as lock:
        yield lock.syncs


@contextmanager
def changing_lock_file(root: Path) -> Iterator[LockFile]:
    """What is in the file, to be changed and written back at the end.

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
        lock = read_lock_file(root)
        yield lock
        write_lock(root, lock.syncs, lock.people)
    finally:
        os.close(descriptor)


def write_lock(
    root: Path, lock: Mapping[tuple[str, str], Locked], people: Sequence[PeopleLine] = ()
) -> None:
    """Write the file whole or not at all, and durably.

    Raises:
        ConfigError: `approvals_lock_unwritable`.
    """
    lines = ["# Fingerprints of approved syncs; written by `mayfly approve`. Commit this file."]
    lines += [json.dumps(_of_people(line), sort_keys=True) for line in people]
    for (sync, target), locked in sorted(lock.items(), key=lambda item: item[0]):
        lines.append(json.dumps(_of_sync(sync, target, locked), sort_keys=True))
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


def _of_sync(sync: str, target: str, locked: Locked) -> dict[str, Any]:
    entry: dict[str, Any] = {"sync": sync, "target": target, "fingerprint": locked.fingerprint}
    entry |= {k: text for k in _TEXTS if (text := getattr(locked, k))}
    if locked.asked is not None:
        entry["request"] = {k: getattr(locked.asked, k) for k in _ASKED}
    return entry


def _of_people(line: PeopleLine) -> dict[str, Any]:
    texts = {k: text for k in _PEOPLE if (text := getattr(line, k))}
    return {"people": dict(line.people), **texts}


def _unwritable(error: OSError) -> ConfigError:
    return ConfigError(
        "approvals_lock_unwritable",
        f"{LOCK_FILE} cannot be written (error {error.errno}).",
        hint="The project's folder must be writable and its disk have room.",
    )
