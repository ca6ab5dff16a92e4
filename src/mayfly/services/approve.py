"""Approval, first form: columns, classes, mapping, consent and address are pinned as they are.

The store holds the act; `approvals.lock` in the project shows its fingerprint to reviewers and
CI. A run needs both, and both must say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mayfly.domain.approval import (
    Compiled,
    Difference,
    approval_document,
    differences,
    fingerprint,
)
from mayfly.domain.errors import PolicyError
from mayfly.domain.held import HoldException, limit_seconds
from mayfly.domain.retention import RetentionClass
from mayfly.domain.runs import ApprovalRecord, PendingApproval
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvals_lock import LOCK_FILE, Locked, changing_lock, read_lock

PENDING = timedelta(
    seconds=limit_seconds(RetentionClass.TEMPORARY, HoldException.SCHEMA_PENDING_APPROVAL)
)

CompiledOf = Callable[[str], Compiled]


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
    project: Project, store: Store, names: Sequence[str], *, compiled_of: CompiledOf, now: datetime
) -> list[Pending]:
    """What differs from the approvals in force."""
    found: list[Pending] = []
    lock = read_lock(project.root)
    since = {(p.sync, p.fingerprint): p.since for p in store.pending_approvals()}
    for name in names:
        sync = project.syncs[name]
        model = project.models[sync.model]
        compiled_now = compiled_of(name)
        document = approval_document(project, name, compiled_now)
        mark = fingerprint(document)
        record = store.approval(sync.id, project.target)
        if record is None:
            changes: Sequence[Difference] = [Difference("never approved")]
        elif not _same(record, project, name, compiled_now):
            found_now = differences(record.document, document)
            changes = [Difference(f"changed: {d.what}", d.column) for d in found_now]
        elif not _shows(lock, sync.id, project.target, record.fingerprint):
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
                    expires_at=(since.get((sync.id, mark), now) + PENDING).isoformat(),
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
    compiled_of: CompiledOf,
) -> list[ApprovalRecord]:
    """Pin some syncs as they are now. The actor is an id that nothing verified.

    The only member of a workspace may approve his own change; that is recorded and shown.
    Several processes may approve at once; store and file end with the same act for each sync.

    Raises:
        ConfigError: `approvals_lock_unreadable`, `approvals_lock_unwritable`.
    """
    records = []
    for name in names:
        document = approval_document(project, name, compiled_of(name))
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
    with changing_lock(project.root) as lock:
        for record in records:
            store.approve(record)
            store.end_pending_approval(record.sync, record.target)
            lock[record.sync, record.target] = Locked(record.fingerprint, actor=record.actor)
    return records


def require_approved(project: Project, store: Store, sync_name: str, compiled: Compiled) -> None:
    """Refuse a sync that is not approved as it is.

    Raises:
        PolicyError: `not_approved`, `approval_changed`, `approvals_lock_differs`.
    """
    sync = project.syncs[sync_name]
    document = approval_document(project, sync_name, compiled)
    record = store.approval(sync.id, project.target)
    hint = f"Look at `mayfly approve {sync_name}`, then approve with --all."
    if record is None:
        raise PolicyError(
            "not_approved", f"Sync {sync_name} was never approved for this target.", hint=hint
        )
    if not _same(record, project, sync_name, compiled):
        changed = "; ".join(d.what for d in differences(record.document, document)) or "its form"
        raise PolicyError(
            "approval_changed",
            f"Sync {sync_name} is not what was approved. Changed: {changed}.",
            hint=hint,
        )
    if not _shows(read_lock(project.root), sync.id, project.target, record.fingerprint):
        raise PolicyError(
            "approvals_lock_differs",
            f"{LOCK_FILE} and the store disagree about sync {sync_name}.",
            hint="Restore the file from Git, or approve again.",
        )


def note_pending(
    project: Project, store: Store, sync_name: str, compiled: Compiled, now: datetime
) -> None:
    """A run was refused for want of an approval: from now on somebody is asked for it."""
    mark = fingerprint(approval_document(project, sync_name, compiled))
    store.note_pending_approval(
        PendingApproval(
            sync=project.syncs[sync_name].id, target=project.target, fingerprint=mark, since=now
        )
    )


def expire_pending(store: Store, now: datetime) -> Sequence[PendingApproval]:
    """Forget what nobody approved in time; which. The next run that is refused asks anew."""
    late = [p for p in store.pending_approvals() if now - p.since > PENDING]
    for one in late:
        store.end_pending_approval(one.sync, one.target)
    return late


def _same(record: ApprovalRecord, project: Project, sync_name: str, compiled: Compiled) -> bool:
    """Whether a sync is what was approved; an approval in an earlier form holds for the very text
    that it was given for, unless there is by now what nobody saw then.
    """
    forms = (compiled, compiled.as_before())
    documents = [approval_document(project, sync_name, form) for form in forms if form is not None]
    return record.fingerprint in map(fingerprint, documents)


def _shows(lock: Mapping[tuple[str, str], Locked], sync: str, target: str, mark: str) -> bool:
    found = lock.get((sync, target))
    return found is not None and found.fingerprint == mark
