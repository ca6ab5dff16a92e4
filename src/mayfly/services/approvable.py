"""What is approved as it is, and the record of who approved it: the only member, or two people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mayfly.domain.approval import Compiled, approval_document, fingerprint
from mayfly.domain.runs import ApprovalRecord
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvals_lock import Locked
from mayfly.services.shown_names import kept_document
from mayfly.services.two_people import require_two


@dataclass(frozen=True, kw_only=True)
class Approvable:
    """What is asked for as it is: a sync, or what stands in one's place.

    Args:
        id: of the sync, or what no sync's id can be.
        name: as messages call it.
        document: what an approval pins.
    """

    id: str
    name: str
    document: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Of the document."""
        return fingerprint(self.document)


def approvable_sync(project: Project, name: str, compiled: Compiled) -> Approvable:
    """A sync by its name."""
    document = approval_document(project, name, compiled)
    return Approvable(id=project.syncs[name].id, name=name, document=document)


def approval_by_one(
    project: Project, item: Approvable, actor: str, now: datetime
) -> ApprovalRecord:
    """The approval of a workspace's only member; see `approval_by_two`."""
    return _record(project, item, actor, now, self_approved=True)


def approval_by_two(
    project: Project, item: Approvable, locked: Locked | None, now: datetime
) -> ApprovalRecord:
    """The approval that two people have signed.

    Args:
        project: under the target that the approval is of.
        item: what it is of.
        locked: its line of the lock file.
        now: the time.

    Raises:
        PolicyError: see `require_two`.
    """
    require_two(project, item.id, locked, item.fingerprint)
    return _record(project, item, locked.actor if locked else "", now, self_approved=False)


def _record(
    project: Project, item: Approvable, actor: str, now: datetime, *, self_approved: bool
) -> ApprovalRecord:
    return ApprovalRecord(
        sync=item.id,
        target=project.target,
        fingerprint=item.fingerprint,
        document=item.document,
        actor=actor,
        self_approved=self_approved,
        at=now,
    )


def record_approval(store: Store, record: ApprovalRecord) -> None:
    """Keep an approval; what waited for it, or was rejected before, does no more. Its fingerprint
    is of the names themselves.
    """
    store.approve(replace(record, document=kept_document(record.document)))
    store.end_pending_approval(record.sync, record.target)
    store.end_rejection(record.sync, record.target)
