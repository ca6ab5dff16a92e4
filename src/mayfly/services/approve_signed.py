"""Asking and approving by signatures, where two people approve.

The author of a request signs it, another one signs the approval; `approvals.lock` keeps both.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from mayfly.domain.approval import approval_document, fingerprint
from mayfly.domain.errors import PolicyError, UsageError
from mayfly.domain.runs import ApprovalRecord, PendingApproval
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvals_lock import Asked, Locked, changing_lock, read_lock
from mayfly.services.approve import PENDING, CompiledOf, day_of, is_late, record_approval
from mayfly.services.people import not_asked, require_people
from mayfly.services.two_people import (
    HOW,
    Act,
    needs_two,
    require_other,
    require_two,
    signer,
    sync_statement,
    taken,
)


def statement(
    project: Project,
    store: Store,
    name: str,
    act: Act,
    *,
    now: datetime,
    compiled_of: CompiledOf,
) -> bytes:
    """What somebody signs to ask for the approval of a sync as it is, or to give it.

    Raises:
        PolicyError: `approval_not_asked`, nobody signed the request that is to be approved;
            `approval_expired`, it was signed more than 30 days ago.
    """
    _require_two_people(project)
    require_people(project, store, note=False)
    sync = project.syncs[name].id
    mark = fingerprint(approval_document(project, name, compiled_of(name)))
    if act == "request":
        return sync_statement(project, sync, mark, "request", asked_on=day_of(now))
    asked = _asked(project, read_lock(project.root), sync, mark, now)
    return _to_approve(project, sync, asked)


def _to_approve(project: Project, sync: str, asked: Asked) -> bytes:
    return sync_statement(
        project, sync, asked.fingerprint, "approve", asked_on=asked.asked_on, author=asked.author
    )


def request_signed(
    project: Project,
    store: Store,
    name: str,
    signature: str,
    *,
    now: datetime,
    compiled_of: CompiledOf,
) -> Asked:
    """Note the author's signature: from now on another one is asked for theirs.

    Raises:
        PolicyError: `approval_signature`.
    """
    _require_two_people(project)
    require_people(project, store, note=True)
    sync = project.syncs[name].id
    mark = fingerprint(approval_document(project, name, compiled_of(name)))
    asked = _dated(project, sync, mark, taken(signature), now)
    with changing_lock(project.root) as lock:
        known = lock.get((sync, project.target), Locked(""))
        lock[sync, project.target] = replace(known, asked=asked)
    store.note_pending_approval(
        PendingApproval(sync=sync, target=project.target, fingerprint=mark, since=now)
    )
    return asked


def _dated(project: Project, sync: str, mark: str, kept: str, now: datetime) -> Asked:
    """A request that was signed today or on one of the days before, as long as it may wait."""
    days = [day_of(now - timedelta(days=age)) for age in range(PENDING.days + 1)]
    people = project.workspace.people
    for day in days:
        message = sync_statement(project, sync, mark, "request", asked_on=day)
        with suppress(PolicyError):
            author = signer(people, kept, message, what="the request")
            return Asked(fingerprint=mark, author=author, asked_on=day, signature=kept)
    raise PolicyError(
        "approval_signature",
        "The signature of the request is not by one of the people, over just this, in the last "
        f"{PENDING.days} days.",
        hint=HOW,
    )


def approve_signed(
    project: Project,
    store: Store,
    name: str,
    signature: str,
    *,
    now: datetime,
    compiled_of: CompiledOf,
) -> ApprovalRecord:
    """Pin a sync by the signature of another person than its author.

    Raises:
        PolicyError: `approval_not_asked`, `approval_expired`, `approval_signature`,
            `approval_same_person`.
    """
    _require_two_people(project)
    require_people(project, store, note=True)
    sync, document = project.syncs[name].id, approval_document(project, name, compiled_of(name))
    mark, kept = fingerprint(document), taken(signature)
    with changing_lock(project.root) as lock:
        asked = _asked(project, lock, sync, mark, now)
        message = _to_approve(project, sync, asked)
        people = project.workspace.people
        approver = signer(people, kept, message, what="the approval")
        require_other(asked.author, approver)
        locked = Locked(
            mark,
            actor=approver,
            author=asked.author,
            asked_on=asked.asked_on,
            requested=asked.signature,
            approved=kept,
        )
        require_two(project, sync, locked, mark)
        record = ApprovalRecord(
            sync=sync,
            target=project.target,
            fingerprint=mark,
            document=document,
            actor=approver,
            self_approved=False,
            at=now,
        )
        record_approval(store, record)
        lock[sync, project.target] = locked
    return record


def _asked(
    project: Project,
    lock: Mapping[tuple[str, str], Locked],
    sync: str,
    mark: str,
    now: datetime,
) -> Asked:
    """The request for a sync as it is, whose signature holds."""
    locked = lock.get((sync, project.target))
    asked = locked.asked if locked else None
    if asked is None or asked.fingerprint != mark:
        raise not_asked(f"sync {sync} as it is")
    message = sync_statement(project, sync, mark, "request", asked_on=asked.asked_on)
    author = signer(project.workspace.people, asked.signature, message, what="the request")
    if author != asked.author:
        raise not_asked(f"sync {sync} as it is")
    if is_late(asked, now):
        raise PolicyError(
            "approval_expired",
            f"The request for sync {sync} was signed more than {PENDING.days} days ago.",
            hint="Its author asks anew, with --request.",
        )
    return asked


def _require_two_people(project: Project) -> None:
    if not needs_two(project):
        raise UsageError(
            "nothing_to_sign",
            "Signatures are of workspaces with `approvals: two_people`.",
            hint="Approve with --all.",
        )
