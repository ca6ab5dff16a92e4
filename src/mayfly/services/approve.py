"""Approval, first form: columns, classes, mapping, consent and address are pinned as they are.

The store holds the act; `approvals.lock` in the project shows its fingerprint to reviewers and
CI. A run needs both, and both must say the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mayfly.domain.approval import Difference, approval_document, differences, fingerprint
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.runs import ApprovalRecord
from mayfly.domain.settings import Project
from mayfly.ports.store import Store

LOCK_FILE = "approvals.lock"
PENDING_DAYS = 30

TypesOf = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Pending:
    """One thing that waits for approval; `column` is the model column it is about, if any."""

    sync: str
    source: str
    table: str | None
    column: str | None
    change: str
    fingerprint: str
    requested_by: str
    expires_at: str

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly approve --output json` prints it."""
        return {
            "sync": self.sync,
            "source": self.source,
            "table": self.table,
            "column": self.column,
            "change": self.change,
            "suggested": None,
            "fingerprint": self.fingerprint,
            "requested_by": self.requested_by,
            "expires_at": self.expires_at,
        }


def pending(
    project: Project, store: Store, names: Sequence[str], *, types_of: TypesOf, now: datetime
) -> list[Pending]:
    """What differs from the approvals in force."""
    found: list[Pending] = []
    lock = read_lock(project.root)
    for name in names:
        sync = project.syncs[name]
        model = project.models[sync.model]
        document = approval_document(project, name, types_of(name))
        mark = fingerprint(document)
        record = store.approval(sync.id, project.target)
        if record is None:
            changes: Sequence[Difference] = [Difference("never approved")]
        elif record.fingerprint != mark:
            found_now = differences(record.document, document)
            changes = [Difference(f"changed: {d.what}", d.column) for d in found_now]
        elif lock.get((sync.id, project.target)) != mark:
            changes = [Difference(f"{LOCK_FILE} differs from the store")]
        else:
            changes = []
        for change in changes:
            found.append(
                Pending(
                    sync=name,
                    source=model.source,
                    table=model.table[1] if model.table else None,
                    column=change.column,
                    change=change.what,
                    fingerprint=mark,
                    requested_by="project files",
                    expires_at=(now + timedelta(days=PENDING_DAYS)).isoformat(),
                )
            )
    return found


def approve_syncs(
    project: Project,
    store: Store,
    names: Sequence[str],
    *,
    actor: str,
    now: datetime,
    types_of: TypesOf,
) -> list[ApprovalRecord]:
    """Pin some syncs as they are now. The actor is the system's user, unverified.

    The only member of a workspace may approve his own change; that is recorded and shown.
    """
    lock = read_lock(project.root)
    records = []
    for name in names:
        document = approval_document(project, name, types_of(name))
        record = ApprovalRecord(
            sync=project.syncs[name].id,
            target=project.target,
            fingerprint=fingerprint(document),
            document=document,
            actor=actor,
            self_approved=True,
            at=now,
        )
        records.append(record)
    # Nothing is recorded before everything could be described.
    for record in records:
        store.approve(record)
        lock[(record.sync, record.target)] = record.fingerprint
    write_lock(project.root, lock)
    return records


def require_approved(
    project: Project, store: Store, sync_name: str, types: Mapping[str, str]
) -> None:
    """Refuse a sync that is not approved as it is.

    Raises:
        PolicyError: `not_approved`, `approval_changed`, `approvals_lock_differs`.
    """
    sync = project.syncs[sync_name]
    document = approval_document(project, sync_name, types)
    record = store.approval(sync.id, project.target)
    hint = f"Look at `mayfly approve {sync_name}`, then approve with --all."
    if record is None:
        raise PolicyError(
            "not_approved", f"Sync {sync_name} was never approved for this target.", hint=hint
        )
    mark = fingerprint(document)
    if record.fingerprint != mark:
        changed = "; ".join(d.what for d in differences(record.document, document)) or "its form"
        raise PolicyError(
            "approval_changed",
            f"Sync {sync_name} is not what was approved. Changed: {changed}.",
            hint=hint,
        )
    if read_lock(project.root).get((sync.id, project.target)) != mark:
        raise PolicyError(
            "approvals_lock_differs",
            f"{LOCK_FILE} and the store disagree about sync {sync_name}.",
            hint="Restore the file from Git, or approve again.",
        )


def read_lock(root: Path) -> dict[tuple[str, str], str]:
    """(sync id, target) to fingerprint; empty where there is no file.

    Raises:
        ConfigError: `approvals_lock_unreadable`.
    """
    path = root / LOCK_FILE
    found: dict[tuple[str, str], str] = {}
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
            entry = json.loads(line)
            found[str(entry["sync"]), str(entry["target"])] = str(entry["fingerprint"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ConfigError(
                "approvals_lock_unreadable",
                f"{LOCK_FILE}:{number} is not an approval.",
                hint="Restore the file from Git, or remove it and approve again.",
            ) from None
    return found


def write_lock(root: Path, lock: Mapping[tuple[str, str], str]) -> None:
    """Write the file whole or not at all, and durably.

    Raises:
        ConfigError: `approvals_lock_unwritable`.
    """
    lines = ["# Fingerprints of approved syncs; written by `mayfly approve`. Commit this file."]
    for (sync, target), mark in sorted(lock.items()):
        entry = {"sync": sync, "target": target, "fingerprint": mark}
        lines.append(json.dumps(entry, sort_keys=True))
    partial = root / f".{LOCK_FILE}.part"
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, root / LOCK_FILE)
        _sync_directory(root)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ConfigError(
            "approvals_lock_unwritable",
            f"{LOCK_FILE} cannot be written (error {error.errno}).",
            hint="The project's folder must be writable and its disk have room.",
        ) from None


def _sync_directory(directory: Path) -> None:
    """Without it a crash may bring the earlier file back."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
