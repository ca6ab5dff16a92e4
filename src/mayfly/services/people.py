"""The people that approvals are held to: only they let another list in.

The store holds the digest of the list in force, `approvals.lock` each list and the two signatures
that brought it in. The first list has none: whoever accepts it compares its digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import PolicyError, UsageError
from mayfly.domain.settings import Project
from mayfly.ports.store import Store
from mayfly.services.approvals_lock import (
    LOCK_FILE,
    PeopleLine,
    changing_lock_file,
    read_lock_file,
)
from mayfly.services.two_people import (
    Act,
    People,
    needs_two,
    people_statement,
    require_other,
    signer,
    taken,
)

_HINT = (
    "Look at `mayfly approve --people`. Two people of the list before sign a change of it: "
    "`mayfly approve --people --request --to-sign FILE`, then `--request --sign FILE.sig`, then "
    "the other one without --request."
)


def people_document(project: Project) -> dict[str, Any]:
    """What decides who may approve."""
    people = {name: sorted(keys) for name, keys in project.workspace.people.items()}
    workspace = project.workspace
    return {"workspace": workspace.name, "approvals": workspace.approvals, "people": people}


def require_people(project: Project, store: Store, *, note: bool) -> None:
    """Refuse a list of people that was not let in by two of the list before.

    Args:
        project: with its people.
        store: that knows the list in force.
        note: whether a list that was let in is in force from now on.

    Raises:
        PolicyError: `people_not_accepted`, `people_changed`.
    """
    pinned, now = store.people(), fingerprint(people_document(project))
    if pinned == now:
        return
    lines = read_lock_file(project.root).people
    if not pinned:
        if not needs_two(project) and not lines:
            return
        raise PolicyError(
            "people_not_accepted",
            "Nobody accepted the list of people who approve, on this installation.",
            hint="Compare the digest that `mayfly approve --people` shows with the one you were "
            "told, then accept it with `mayfly approve --people --all`.",
        )
    if not leads(project, lines, pinned, now):
        raise PolicyError(
            "people_changed",
            "The people who approve are others than those in force, and nobody of these signed it.",
            hint=_HINT,
        )
    if note:
        store.note_people(now)


def accept_people(project: Project, store: Store) -> str:
    """Take the list of the project files as the one in force; its digest.

    Without one in force this is trust on first use: nothing proves the first list.

    Raises:
        PolicyError: `people_changed`, there is one in force, or in the lock file, that does not
            lead to it.
        UsageError: `no_people`.
    """
    pinned, document = store.people(), people_document(project)
    now = fingerprint(document)
    with changing_lock_file(project.root) as lock:
        first = next((line.digest for line in lock.people if not line.before), "")
        start = pinned or first
        if not start and not needs_two(project):
            raise UsageError(
                "no_people", "The project files name no people: `workspace.approvals` is one."
            )
        if not start or _alone(lock.people, start):
            lock.people.append(PeopleLine(digest=now, before=start, people=document))
        elif not leads(project, lock.people, start, now):
            raise PolicyError(
                "people_changed",
                "The list of people is not one that those of the list before let in.",
                hint=_HINT,
            )
    store.note_people(now)
    return now


def change_statement(project: Project, store: Store, act: Act) -> bytes:
    """What one of the people in force signs to let the project's list in.

    Raises:
        PolicyError: `people_not_accepted`; `approval_not_asked`.
    """
    before, now = _ends(project, store)
    lines = read_lock_file(project.root).people
    author = "" if act == "request" else _asked(project, lines, before, now).author
    return people_statement(project, before, now, act, author)


def sign_change(project: Project, store: Store, act: Act, signature: str) -> str:
    """Note the signature of one of the people in force; who it is.

    Raises:
        PolicyError: `approval_signature`, `approval_same_person`, `approval_not_asked`,
            `people_not_accepted`.
    """
    before, now = _ends(project, store)
    kept, document = taken(signature), people_document(project)
    with changing_lock_file(project.root) as lock:
        people = _people_of(lock.people, before)
        open_ = [line for line in lock.people if (line.before, line.digest) == (before, now)]
        if act == "request":
            message = people_statement(project, before, now, "request")
            who = signer(people, kept, message, what="the request")
            line = PeopleLine(
                digest=now, before=before, people=document, author=who, requested=kept
            )
        else:
            asked = _asked(project, lock.people, before, now)
            message = people_statement(project, before, now, "approve", asked.author)
            who = signer(people, kept, message, what="the approval")
            require_other(asked.author, who)
            line = PeopleLine(
                digest=now,
                before=before,
                people=document,
                author=asked.author,
                requested=asked.requested,
                actor=who,
                approved=kept,
            )
        lock.people = [one for one in lock.people if one not in open_] + [line]
    if act == "approve":
        store.note_people(now)
    return who


def leads(project: Project, lines: Sequence[PeopleLine], start: str, end: str) -> bool:
    """Whether signatures lead from one list to another, each by two people of the list before."""
    reached, todo = {start}, [start]
    while todo:
        known = todo.pop()
        for line in lines:
            if line.before == known and line.digest not in reached and _holds(project, lines, line):
                reached.add(line.digest)
                todo.append(line.digest)
    return end in reached


def _holds(project: Project, lines: Sequence[PeopleLine], line: PeopleLine) -> bool:
    """Whether two people of the list before signed a line, and it is of the list it names; after
    a workspace of one nobody else is there to sign.
    """
    if fingerprint(line.people) != line.digest:
        return False
    if _alone(lines, line.before):
        return True
    if not line.approved:
        return False
    try:
        people = _people_of(lines, line.before)
        asked = people_statement(project, line.before, line.digest, "request")
        author = signer(people, line.requested, asked, what="the request")
        given = people_statement(project, line.before, line.digest, "approve", author)
        approver = signer(people, line.approved, given, what="the approval")
        require_other(author, approver)
    except PolicyError:
        return False
    return (author, approver) == (line.author, line.actor)


def _ends(project: Project, store: Store) -> tuple[str, str]:
    before = store.people()
    if not before:
        require_people(project, store, note=False)
        raise UsageError("no_people", "The project files name no people who approve.")
    return before, fingerprint(people_document(project))


def _asked(project: Project, lines: Sequence[PeopleLine], before: str, now: str) -> PeopleLine:
    """The request of a change, whose signature holds."""
    people = _people_of(lines, before)
    for line in lines:
        if (line.before, line.digest) == (before, now) and line.requested:
            message = people_statement(project, before, now, "request")
            if signer(people, line.requested, message, what="the request") == line.author:
                return line
    raise not_asked("this change of the people")


def not_asked(what: str) -> PolicyError:
    """Nobody signed a request."""
    return PolicyError(
        "approval_not_asked",
        f"{LOCK_FILE} has no signed request for {what}.",
        hint="Its author signs first, with --request.",
    )


def _people_of(lines: Sequence[PeopleLine], digest: str) -> People:
    """The people of a list, from the lock file; none where it is not there."""
    for line in lines:
        if line.digest == digest and fingerprint(line.people) == digest:
            people = line.people.get("people")
            if isinstance(people, dict):
                lists = {n: keys for n, keys in people.items() if isinstance(keys, list)}
                return {str(n): [str(k) for k in keys] for n, keys in lists.items()}
    return {}


def _alone(lines: Sequence[PeopleLine], digest: str) -> bool:
    """Whether a list is of a workspace whose only member approves."""
    return any(
        line.digest == digest == fingerprint(line.people) and line.people.get("approvals") == "one"
        for line in lines
    )
