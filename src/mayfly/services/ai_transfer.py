"""AI at `global` in the European Union: off until an approver has signed for where it may be.

What is signed is the list of those who would be engaged, where they are and what carries that.
Another list is another approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import PolicyError
from mayfly.domain.places import DEFAULT_GEOGRAPHY
from mayfly.domain.runs import ApprovalRecord
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvable import (
    Approvable,
    approval_by_one,
    approval_by_two,
    record_approval,
)
from mayfly.services.approvals_lock import read_lock
from mayfly.services.approve_signed import ask_signed, give_signed, statement_of
from mayfly.services.people import require_people
from mayfly.services.two_people import AI_TRANSFER, OF_WORKSPACE, Act, named, needs_two, require_two


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
    """The approval in force; None where there is none of what would be engaged now, or where two
    people approve and their signatures do not hold.
    """
    record = store.approval(AI_TRANSFER, OF_WORKSPACE)
    wanted = fingerprint(transfer_document(project))
    if record is None or record.fingerprint != wanted:
        return None
    return record if not needs_two(project) or _holds(project, store, wanted) else None


def _holds(project: Project, store: Store, wanted: str) -> bool:
    locked = read_lock(project.root).get((AI_TRANSFER, OF_WORKSPACE))
    try:
        require_people(project, store, note=False)
        require_two(_whole(project), AI_TRANSFER, locked, wanted)
    except PolicyError:
        return False
    return True


def ai_stopped(project: Project, store: Store) -> dict[str, str]:
    """Entries of AI that wait for the approval, and why."""
    if not needs_signature(project) or approval_of_ai(project, store) is not None:
        return {}
    reason = "no approver has signed the transfer of AI at global"
    return {name: reason for name, p in project.processors.items() if p.ai_only}


def author_of_ai(project: Project) -> str:
    """Who asked for the transfer as it is, where two people approve, as far as the lock file tells;
    empty where nobody did.
    """
    locked = read_lock(project.root).get((AI_TRANSFER, OF_WORKSPACE))
    if locked is None or not needs_two(project):
        return ""
    wanted = fingerprint(transfer_document(project))
    asked = locked.asked
    if asked is not None and asked.fingerprint == wanted:
        return asked.author
    return locked.author if locked.fingerprint == wanted else ""


def approve_ai(project: Project, store: Store, *, actor: str, now: datetime) -> ApprovalRecord:
    """Approve the transfer as it is. Where two people approve, what both have signed is taken over
    from the lock file, and nothing else.

    Raises:
        PolicyError: `ai_not_global`, there is nothing to sign; `approval_unsigned` and the like.
    """
    item = _to_be_signed(project)
    if needs_two(project):
        locked = read_lock(project.root).get((AI_TRANSFER, OF_WORKSPACE))
        record = approval_by_two(_whole(project), item, locked, now)
        require_people(project, store, note=True)
    else:
        record = approval_by_one(_whole(project), item, actor, now)
    record_approval(store, record)
    return record


def ai_statement(project: Project, store: Store, act: Act, *, now: datetime) -> bytes:
    """What somebody signs to ask for the transfer, or to approve it.

    Raises:
        PolicyError: `ai_not_global`; see `statement_of`.
    """
    return statement_of(_whole(project), store, _to_be_signed(project), act, now=now)


def sign_ai(project: Project, store: Store, act: Act, signature: str, *, now: datetime) -> None:
    """Keep the signature of who asks for the transfer, or approve it by that of another person.

    Raises:
        PolicyError: `ai_not_global`; see `ask_signed` and `give_signed`.
    """
    item, sign = _to_be_signed(project), ask_signed if act == "request" else give_signed
    sign(_whole(project), store, item, signature, now=now)


def _to_be_signed(project: Project) -> Approvable:
    if not needs_signature(project):
        raise PolicyError(
            "ai_not_global",
            "There is no transfer of AI to sign.",
            hint="It takes `workspace: {ai: global}` in a placement in the EU.",
        )
    return Approvable(id=AI_TRANSFER, name=named(AI_TRANSFER), document=transfer_document(project))


def _whole(project: Project) -> Project:
    """The project under no target of its own: a transfer is the workspace's."""
    return replace(project, target=OF_WORKSPACE)
