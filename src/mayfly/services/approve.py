"""Approval: columns, classes, mapping, consent and address are pinned as they are.

A sync is discovered, then pending, then approved or rejected, each as it is at that moment: another
fingerprint begins anew. The store holds the act; `approvals.lock` in the project shows its
fingerprint to reviewers and CI. A run needs both, and both must say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

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
from mayfly.domain.runs import ApprovalRecord, PendingApproval, Rejection
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.privacy.detect import ShownNames, shown_name
from mayfly.services.approvable import (
    Approvable,
    approvable_sync,
    approval_by_one,
    approval_by_two,
    record_approval,
)
from mayfly.services.approvals_lock import LOCK_FILE, Asked, Locked, changing_lock, read_lock
from mayfly.services.find_views import TOO_DEEP, UNREADABLE
from mayfly.services.people import require_people
from mayfly.services.shown_names import kept_document, shown_names
from mayfly.services.two_people import (
    needs_two,
    require_two,
)

PENDING = timedelta(
    seconds=limit_seconds(RetentionClass.TEMPORARY, HoldException.SCHEMA_PENDING_APPROVAL)
)

CompiledOf = Callable[[str], Compiled]
State = Literal["discovered", "pending", "approved", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Pending:
    """One thing that waits for approval.

    Args:
        column: the model column it is about, if any.
        old, new: what is not the same, as settings and names; None where there is nothing.
    """

    sync: str
    source: str
    table: str | None
    column: str | None
    change: str
    old: str | None = None
    new: str | None = None
    fingerprint: str
    requested_by: str
    expires_at: str

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly approve --output json` prints it, but for what is suggested."""
        return {
            "sync": self.sync,
            "source": self.source,
            "table": self.table,
            "column": self.column,
            "change": self.change,
            "old": self.old,
            "new": self.new,
            "fingerprint": self.fingerprint,
            "requested_by": self.requested_by,
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one sync stands.

    Args:
        sync: its name.
        state: as it is now.
        fingerprint: of what it is now.
        actor: who approved or rejected it; empty where nobody did.
        author: who asked, where two people approve.
        changes: what waits for approval.
    """

    sync: str
    state: State
    fingerprint: str
    actor: str = ""
    author: str = ""
    changes: Sequence[Pending] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly approve --output json` prints it."""
        return {
            "sync": self.sync,
            "state": self.state,
            "fingerprint": self.fingerprint,
            "actor": self.actor or None,
            "author": self.author or None,
        }


def pending(
    project: Project, store: Store, names: Sequence[str], *, compiled_of: CompiledOf, now: datetime
) -> list[Pending]:
    """What differs from the approvals in force, and nobody rejected."""
    found = standings(project, store, names, compiled_of=compiled_of, now=now)
    return [change for standing in found for change in standing.changes]


def standings(
    project: Project, store: Store, names: Sequence[str], *, compiled_of: CompiledOf, now: datetime
) -> list[Standing]:
    """Where some syncs stand, and what of them waits."""
    lock = read_lock(project.root)
    since = {(p.sync, p.fingerprint): p.since for p in store.pending_approvals()}
    rejected = {(r.sync, r.target): r for r in store.rejections()}
    found = []
    for name in names:
        sync, compiled = project.syncs[name], compiled_of(name)
        document = approval_document(project, name, compiled)
        mark = fingerprint(document)
        no = rejected.get((sync.id, project.target))
        if no is not None and no.fingerprint == mark:
            found.append(Standing(sync=name, state="rejected", fingerprint=mark, actor=no.actor))
            continue
        record, locked = (
            store.approval(sync.id, project.target),
            lock.get((sync.id, project.target)),
        )
        changes = _changes(project, name, compiled, record, locked)
        shown = _shown(compiled, document, record)
        asked = locked.asked if locked and locked.asked else None
        open_ = asked is not None and asked.fingerprint == mark and not is_late(asked, now)
        by = asked.author if asked and open_ else ""
        began = since.get((sync.id, mark))
        state: State = "approved" if not changes else "pending" if began or by else "discovered"
        waiting = [
            _pending(project, name, _as_shown(change, shown), mark, by, (began or now) + PENDING)
            for change in changes
        ]
        actor = record.actor if record and not changes else ""
        author = locked.author if locked and not changes else by
        found.append(
            Standing(
                sync=name,
                state=state,
                fingerprint=mark,
                actor=actor,
                author=author,
                changes=waiting,
            )
        )
    return found


def _changes(
    project: Project,
    name: str,
    compiled: Compiled,
    record: ApprovalRecord | None,
    locked: Locked | None,
) -> Sequence[Difference]:
    document = approval_document(project, name, compiled)
    if record is None:
        return [Difference("never approved"), *_unseen(compiled)]
    if not _same(record, project, name, compiled):
        found = differences(kept_document(record.document), kept_document(document))
        changed = [Difference(f"changed: {d.what}", d.column, d.old, d.new) for d in found]
        return [*changed, *_unseen(compiled)]
    if locked is None or locked.fingerprint != record.fingerprint:
        return [Difference(f"{LOCK_FILE} differs from the store")]
    if needs_two(project):
        try:
            require_two(project, project.syncs[name].id, locked, fingerprint(document))
        except PolicyError as error:
            return [Difference(f"not signed by two people ({error.code})")]
    return []


def _shown(
    compiled: Compiled, document: Mapping[str, Any], record: ApprovalRecord | None
) -> ShownNames:
    """Names of the sync as it is, and as it was approved."""
    return shown_names(compiled, document, *([] if record is None else [record.document]))


def _as_shown(change: Difference, shown: ShownNames) -> Difference:
    column, old, new = (
        None if text is None else show(text)
        for text, show in (
            (change.column, shown.name),
            (change.old, shown.text),
            (change.new, shown.text),
        )
    )
    return Difference(shown.text(change.what), column, old, new)


def _unseen(compiled: Compiled) -> Sequence[Difference]:
    """Views that an approval would hold whatever becomes of them."""
    return [
        Difference(f"view {name} is {why}: what is in it may change without an approval")
        for name, why in compiled.views.items()
        if why in (UNREADABLE, TOO_DEEP)
    ]


def _pending(
    project: Project, name: str, change: Difference, mark: str, by: str, expires: datetime
) -> Pending:
    model = project.models[project.syncs[name].model]
    return Pending(
        sync=name,
        source=model.source,
        table=shown_name(model.table[1]) if model.table else None,
        column=change.column,
        change=change.what,
        old=change.old,
        new=change.new,
        fingerprint=mark,
        requested_by=by or "project files",
        expires_at=expires.isoformat(),
    )


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

    The only member of a workspace may approve his own change; that is recorded and shown. Where two
    people approve, what both have signed is taken over from the lock file, and nothing else.
    Several processes may approve at once; store and file end with the same act for each sync.

    Raises:
        ConfigError: `approvals_lock_unreadable`, `approvals_lock_unwritable`.
        PolicyError: `people_not_accepted`, `people_changed`; `approval_unsigned` and the like.
    """
    require_people(project, store, note=True)
    items = [approvable_sync(project, n, compiled_of(n)) for n in names]
    # Nothing is recorded before everything could be described.
    with changing_lock(project.root) as lock:
        records = [_approved(project, store, lock, item, actor=actor, now=now) for item in items]
        for record in records:
            record_approval(store, record)
            if not needs_two(project):
                lock[record.sync, record.target] = Locked(record.fingerprint, actor=record.actor)
    return records


def _approved(
    project: Project,
    store: Store,
    lock: Mapping[tuple[str, str], Locked],
    item: Approvable,
    *,
    actor: str,
    now: datetime,
) -> ApprovalRecord:
    if not needs_two(project):
        return approval_by_one(project, item, actor, now)
    _require_not_rejected(project, store, item.name, item.fingerprint)
    return approval_by_two(project, item, lock.get((item.id, project.target)), now)


def day_of(at: datetime) -> str:
    """The day that a request is dated with."""
    return at.astimezone(UTC).date().isoformat()


def is_late(asked: Asked, now: datetime) -> bool:
    """Whether a request was signed longer ago than it may wait."""
    return asked.asked_on < day_of(now - PENDING)


def reject_syncs(
    project: Project,
    store: Store,
    names: Sequence[str],
    *,
    actor: str,
    now: datetime,
    compiled_of: CompiledOf,
) -> list[Rejection]:
    """Refuse some syncs as they are now, whatever was approved of them before.

    What they were before stays approved. The actor is an id that nothing verified: to say no takes
    no proof.
    """
    rejections = [
        Rejection(
            sync=project.syncs[name].id,
            target=project.target,
            fingerprint=fingerprint(approval_document(project, name, compiled_of(name))),
            actor=actor,
            at=now,
        )
        for name in names
    ]
    with changing_lock(project.root) as lock:
        for one in rejections:
            store.reject(one)
            store.end_pending_approval(one.sync, one.target)
            locked = lock.get((one.sync, one.target))
            if locked is not None and locked.fingerprint == one.fingerprint:
                del lock[one.sync, one.target]
    return rejections


def require_approved(
    project: Project, store: Store, sync_name: str, compiled: Compiled, *, note: bool = False
) -> None:
    """Refuse a sync that is not approved as it is.

    Args:
        project: under one target.
        store: of acts.
        sync_name: of the sync.
        compiled: what the source and the compiled sync tell.
        note: whether a list of people that was let in is in force from now on.

    Raises:
        PolicyError: `not_approved`, `approval_changed`, `approval_rejected`,
            `approvals_lock_differs`; where two people approve `approval_unsigned`,
            `approval_signature`, `approval_same_person`; `people_not_accepted`, `people_changed`.
    """
    sync = project.syncs[sync_name]
    document = approval_document(project, sync_name, compiled)
    mark = fingerprint(document)
    require_people(project, store, note=note)
    _require_not_rejected(project, store, sync_name, mark)
    record = store.approval(sync.id, project.target)
    hint = f"Look at `mayfly approve {sync_name}`, then approve with --all."
    if record is None:
        raise PolicyError(
            "not_approved", f"Sync {sync_name} was never approved for this target.", hint=hint
        )
    if not _same(record, project, sync_name, compiled):
        found = differences(kept_document(record.document), kept_document(document))
        shown = _shown(compiled, document, record)
        changed = "; ".join(shown.text(d.what) for d in found) or "its form"
        raise PolicyError(
            "approval_changed",
            f"Sync {sync_name} is not what was approved. Changed: {changed}.",
            hint=hint,
        )
    locked = read_lock(project.root).get((sync.id, project.target))
    if locked is None or locked.fingerprint != record.fingerprint:
        raise PolicyError(
            "approvals_lock_differs",
            f"{LOCK_FILE} and the store disagree about sync {sync_name}.",
            hint="Restore the file from Git, or approve again.",
        )
    if needs_two(project):
        require_two(project, sync.id, locked, mark)


def _require_not_rejected(project: Project, store: Store, sync_name: str, mark: str) -> None:
    of = (project.syncs[sync_name].id, project.target)
    for no in store.rejections():
        if (no.sync, no.target) == of and no.fingerprint == mark:
            raise PolicyError(
                "approval_rejected",
                f"Sync {sync_name} was rejected as it is, by {no.actor}.",
                hint="Change what was wrong with it; what it becomes is asked for anew.",
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


def paused(store: Store) -> frozenset[tuple[str, str]]:
    """Syncs (id, target) that no run goes on with, as far as the last run or rejection told."""
    found = {(p.sync, p.target) for p in store.pending_approvals()}
    for no in store.rejections():
        record = store.approval(no.sync, no.target)
        if record is None or record.fingerprint == no.fingerprint:
            found.add((no.sync, no.target))
    return frozenset(found)


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
