"""Asking and approving by signatures, where two people approve.

The author of a request signs it, another one signs the approval; `approvals.lock` keeps both.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from mayfly.domain.errors import PolicyError, UsageError
from mayfly.domain.runs import ApprovalRecord, PendingApproval
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvable import (
    Approvable,
    approvable_sync,
    approval_by_two,
    record_approval,
)
from mayfly.services.approvals_lock import Asked, Locked, changing_lock, read_lock
from mayfly.services.approve import PENDING, CompiledOf, day_of, is_late
from mayfly.services.people import not_asked, require_people
from mayfly.services.two_people import (
    HOW,
    Act,
    named,
    needs_two,
    require_other,
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
        PolicyError: see `statement_of`.
    """
    _require_two_people(project)
    return statement_of(
        project, store, approvable_sync(project, name, compiled_of(name)), act, now=now
    )


def statement_of(
    project: Project, store: Store, item: Approvable, act: Act, *, now: datetime
) -> bytes:
    """What somebody signs to ask for the approval of what is there, or to give it.

    Args:
        project: under the target that the approval is of.
        store: that knows the people in force.
        item: what is asked for.
        act: of the author, or of the approver.
        now: the time.

    Raises:
        PolicyError: `approval_not_asked`, nobody signed the request that is to be approved;
            `approval_expired`, it was signed more than 30 days ago.
    """
    _require_two_people(project)
    require_people(project, store, note=False)
    if act == "request":
        return sync_statement(project, item.id, item.fingerprint, "request", asked_on=day_of(now))
    return _to_approve(project, item.id, _asked(project, read_lock(project.root), item, now))


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
    item = approvable_sync(project, name, compiled_of(name))
    asked = ask_signed(project, store, item, signature, now=now)
    mark = item.fingerprint
    store.note_pending_approval(
        PendingApproval(sync=item.id, target=project.target, fingerprint=mark, since=now)
    )
    return asked


def ask_signed(
    project: Project, store: Store, item: Approvable, signature: str, *, now: datetime
) -> Asked:
    """Keep the author's signature in the lock file; see `statement_of`.

    Raises:
        PolicyError: `approval_signature`.
    """
    _require_two_people(project)
    require_people(project, store, note=True)
    asked = _dated(project, item, taken(signature), now)
    with changing_lock(project.root) as lock:
        known = lock.get((item.id, project.target), Locked(""))
        lock[item.id, project.target] = replace(known, asked=asked)
    return asked


def _dated(project: Project, item: Approvable, kept: str, now: datetime) -> Asked:
    """A request that was signed today or on one of the days before, as long as it may wait."""
    days = [day_of(now - timedelta(days=age)) for age in range(PENDING.days + 1)]
    people, mark = project.workspace.people, item.fingerprint
    for day in days:
        message = sync_statement(project, item.id, mark, "request", asked_on=day)
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
        PolicyError: see `give_signed`.
    """
    _require_two_people(project)
    item = approvable_sync(project, name, compiled_of(name))
    return give_signed(project, store, item, signature, now=now)


def give_signed(
    project: Project, store: Store, item: Approvable, signature: str, *, now: datetime
) -> ApprovalRecord:
    """Pin what was asked for by the signature of another person than its author.

    Raises:
        PolicyError: `approval_not_asked`, `approval_expired`, `approval_signature`,
            `approval_same_person`.
    """
    _require_two_people(project)
    require_people(project, store, note=True)
    mark, kept = item.fingerprint, taken(signature)
    with changing_lock(project.root) as lock:
        asked = _asked(project, lock, item, now)
        message = _to_approve(project, item.id, asked)
        approver = signer(project.workspace.people, kept, message, what="the approval")
        require_other(asked.author, approver)
        locked = Locked(
            mark,
            actor=approver,
            author=asked.author,
            asked_on=asked.asked_on,
            requested=asked.signature,
            approved=kept,
        )
        record = approval_by_two(project, item, locked, now)
        record_approval(store, record)
        lock[item.id, project.target] = locked
    return record


def _asked(
    project: Project, lock: Mapping[tuple[str, str], Locked], item: Approvable, now: datetime
) -> Asked:
    """The request for what is there as it is, whose signature holds."""
    mark, about = item.fingerprint, f"{named(item.id)} as it is"
    locked = lock.get((item.id, project.target))
    asked = locked.asked if locked else None
    if asked is None or asked.fingerprint != mark:
        raise not_asked(about)
    message = sync_statement(project, item.id, mark, "request", asked_on=asked.asked_on)
    author = signer(project.workspace.people, asked.signature, message, what="the request")
    if author != asked.author:
        raise not_asked(about)
    if is_late(asked, now):
        raise PolicyError(
            "approval_expired",
            f"The request for {named(item.id)} was signed more than {PENDING.days} days ago.",
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
