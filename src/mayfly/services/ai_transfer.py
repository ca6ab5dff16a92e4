"""AI at `global` in the European Union: off until an approver has signed for where it may be.

What is signed is the list of those who would be engaged, where they are and what carries that.
Another list is another approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import PolicyError
from mayfly.domain.places import DEFAULT_GEOGRAPHY
from mayfly.domain.runs import ApprovalRecord
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.two_people import needs_two

ITEM, WHERE = "@ai", "@workspace"
"""In place of a sync's id and a target, neither of which can be called so."""


def needs_signature(project: Project) -> bool:
    """Whether AI is asked for beyond the law that the workspace is under."""
    workspace = project.workspace
    return workspace.ai == "global" and (workspace.geography or DEFAULT_GEOGRAPHY) == "eu"


def transfer_document(project: Project) -> Mapping[str, Any]:
    """What an approver signs."""
    return {
        "ai": project.workspace.ai,
        "geography": project.workspace.geography or DEFAULT_GEOGRAPHY,
        "processors": [
            {
                "name": p.name,
                "legal_name": p.legal_name,
                "purpose": p.purpose,
                "data_categories": sorted(p.data_categories),
                "locations": sorted(p.locations),
                "mechanism": p.transfer.mechanism if p.transfer else None,
                "assessment": p.transfer.assessment if p.transfer else None,
            }
            for _, p in sorted(project.processors.items())
            if p.ai_only and p.status in ("announced", "active")
        ],
    }


def approval_of_ai(project: Project, store: Store) -> ApprovalRecord | None:
    """The approval in force; None where there is none of what would be engaged now."""
    record = store.approval(ITEM, WHERE)
    wanted = fingerprint(transfer_document(project))
    return record if record is not None and record.fingerprint == wanted else None


def ai_stopped(project: Project, store: Store) -> dict[str, str]:
    """Entries of AI that wait for the approval, and why."""
    if not needs_signature(project) or approval_of_ai(project, store) is not None:
        return {}
    reason = "no approver has signed the transfer of AI at global"
    return {name: reason for name, p in project.processors.items() if p.ai_only}


def approve_ai(project: Project, store: Store, *, actor: str, now: datetime) -> ApprovalRecord:
    """Sign the transfer as it is.

    Raises:
        PolicyError: `ai_not_global`, there is nothing to sign; `ai_two_people`.
    """
    if not needs_signature(project):
        raise PolicyError(
            "ai_not_global",
            "There is no transfer of AI to sign.",
            hint="It takes `workspace: {ai: global}` in a placement in the EU.",
        )
    if needs_two(project):
        raise PolicyError(
            "ai_two_people",
            "Where two people approve, AI at global cannot be approved: one would sign alone.",
            hint="Set `workspace: {ai: eu}`, which engages those in the EEA.",
        )
    document = transfer_document(project)
    record = ApprovalRecord(
        sync=ITEM,
        target=WHERE,
        fingerprint=fingerprint(document),
        document=document,
        actor=actor,
        self_approved=True,
        at=now,
    )
    store.approve(record)
    return record
