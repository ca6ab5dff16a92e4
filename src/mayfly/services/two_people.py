"""Who asked for an approval and who gave it, proven by signatures of two people.

Both sign with an SSH key of theirs: the author the request, the approver the approval, which names
the author. The people and their public keys are part of the configuration.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Literal

from mayfly.crypto.sshsig import SignatureError, SshKey, unarmoured, verify
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import Project
from mayfly.services.approvals_lock import LOCK_FILE, Locked

NAMESPACE = "mayfly-approval"
"""What the signatures are for: `ssh-keygen -Y sign -n mayfly-approval`."""
Act = Literal["request", "approve"]
People = Mapping[str, Sequence[str]]
AI_TRANSFER, OF_WORKSPACE = "@ai", "@workspace"
"""In place of a sync's id and a target, neither of which can be called so."""


def needs_two(project: Project) -> bool:
    """Whether a change needs another person's approval."""
    return project.workspace.approvals == "two_people"


def named(item: str) -> str:
    """A sync by its id, or what stands in one's place, as messages call it."""
    return "the transfer of AI" if item == AI_TRANSFER else f"sync {item}"


def sync_statement(
    project: Project, sync: str, fingerprint: str, act: Act, *, asked_on: str, author: str = ""
) -> bytes:
    """What is signed of a sync.

    Args:
        project: under one target.
        sync: its id.
        fingerprint: of what is asked for.
        act: of the author, or of the approver.
        asked_on: day of the request, in UTC.
        author: who signed the request; of an approval.

    Raises:
        PolicyError: `approval_signature`, there is no such day.
    """
    try:
        day = date.fromisoformat(asked_on).isoformat()
    except ValueError:
        raise _refused(f"{LOCK_FILE} has no day of the request for {named(sync)}.") from None
    about = {"target": project.target, "sync": sync, "fingerprint": fingerprint, "asked-on": day}
    return _statement(project, act, about, author)


def people_statement(
    project: Project, before: str, after: str, act: Act, author: str = ""
) -> bytes:
    """What is signed of a change of the people: from one list to another, by their digests."""
    return _statement(project, act, {"people-before": before, "people-after": after}, author)


def _statement(project: Project, act: Act, about: Mapping[str, str], author: str) -> bytes:
    lines = {"act": act, "workspace": project.workspace.name, **about}
    if author:
        lines["author"] = author
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    return f"{NAMESPACE}/1\n{text}".encode("ascii")


def taken(signature: str) -> str:
    """A signature file as it is kept: one line of base64.

    Raises:
        PolicyError: `approval_signature`.
    """
    try:
        return base64.b64encode(unarmoured(signature)).decode()
    except SignatureError:
        raise _refused("The file is no SSH signature.") from None


def signer(people: People, kept: str, message: bytes, *, what: str) -> str:
    """Which of the people signed a message.

    Args:
        people: with their public keys.
        kept: as `taken` gives it.
        message: that was signed.
        what: it is, for the message of an error.

    Raises:
        PolicyError: `approval_signature`, none of them did, or it is no signature at all.
    """
    try:
        blob = base64.b64decode(kept, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    found = [name for name, keys in people.items() if any(_by(key, blob, message) for key in keys)]
    if len(found) != 1:
        raise _refused(f"The signature of {what} is not by one of the people, over just this.")
    return found[0]


def _by(line: str, blob: bytes, message: bytes) -> bool:
    try:
        verify(blob, message, key=SshKey.parse(line), namespace=NAMESPACE)
    except SignatureError:
        return False
    return True


def require_two(project: Project, sync: str, locked: Locked | None, fingerprint: str) -> None:
    """Refuse what two different people have not signed as it is.

    Args:
        project: with its people.
        sync: id.
        locked: its line of the lock file.
        fingerprint: of the sync as it is.

    Raises:
        PolicyError: `approval_unsigned`, `approval_signature`, `approval_same_person`.
    """
    if locked is None or locked.fingerprint != fingerprint or not locked.approved:
        raise PolicyError(
            "approval_unsigned",
            f"{LOCK_FILE} has no approval of {named(sync)} as it is, signed by two people.",
            hint=HOW,
        )
    people, made = project.workspace.people, partial(sync_statement, project, sync, fingerprint)
    asked = made("request", asked_on=locked.asked_on)
    author = signer(people, locked.requested, asked, what="the request")
    given = made("approve", asked_on=locked.asked_on, author=author)
    approver = signer(people, locked.approved, given, what="the approval")
    require_other(author, approver)
    if (author, approver) != (locked.author, locked.actor):
        raise _refused(f"{LOCK_FILE} names other people than signed.")


def require_other(author: str, approver: str) -> None:
    """Refuse an approval of one's own request.

    Raises:
        PolicyError: `approval_same_person`.
    """
    if author == approver:
        raise PolicyError(
            "approval_same_person",
            "Who asked for an approval cannot give it in this workspace.",
            hint="Another of the people under workspace.people must sign.",
        )


HOW = (
    "The author runs `mayfly approve SYNC --request --to-sign FILE` (`--ai` in place of SYNC for "
    "the transfer of AI), signs FILE with `ssh-keygen "
    f"-Y sign -n {NAMESPACE} -f KEY FILE` and hands it in with `--request --sign FILE.sig`; the "
    "approver does the same without --request."
)


def _refused(message: str) -> PolicyError:
    return PolicyError("approval_signature", message, hint=HOW)
