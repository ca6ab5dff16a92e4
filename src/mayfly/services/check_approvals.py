"""Whether `approvals.lock` is proven by itself: for CI, with no store, source or network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import Project
from mayfly.services.approvals_lock import Locked, PeopleLine, read_lock_file
from mayfly.services.people import leads, people_document
from mayfly.services.two_people import needs_two, require_two


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One line of the lock file.

    Args:
        sync, target: whose it is; None of the list of people.
        fingerprint: that was approved; of the list its digest.
        author, actor: who signed; empty where the line names nobody.
        code: what is wrong; empty where nothing is.
        known: of the list of people, the digest of an accepted one that it follows from; empty
            where nobody said one, so that the file's own first list was believed.
    """

    sync: str | None
    target: str | None
    fingerprint: str
    author: str = ""
    actor: str = ""
    code: str = ""
    known: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly approve --check --output json` prints it."""
        return {
            "sync": self.sync,
            "target": self.target,
            "fingerprint": self.fingerprint,
            "author": self.author or None,
            "actor": self.actor or None,
            "code": self.code or None,
            "known": self.known or None,
        }


def check_approvals(project: Project, *, known: str = "") -> list[Checked]:
    """Every approval in the lock file under any target, and the list of people.

    That a fingerprint is of the sync as it is only a run can tell, which asks the source.

    Args:
        project: with its lock file.
        known: digest of a list of people that was accepted before; empty where there is none.

    Raises:
        ConfigError: `approvals_lock_unreadable`.
    """
    lock = read_lock_file(project.root)
    asked = bool(known or lock.people) or needs_two(project)
    found = [_people(project, lock.people, known)] if asked else []
    for (sync, target), locked in sorted(lock.syncs.items(), key=lambda item: item[0]):
        if locked.fingerprint:
            found.append(_sync(replace(project, target=target), sync, locked))
    return found


def _people(project: Project, lines: list[PeopleLine], known: str) -> Checked:
    now = fingerprint(people_document(project))
    start = known or next((line.digest for line in lines if not line.before), "")
    follows = bool(start) and leads(project, lines, start, now)
    code = "" if follows else "people_changed"
    return Checked(sync=None, target=None, fingerprint=now, code=code, known=known)


def _sync(project: Project, sync: str, locked: Locked) -> Checked:
    code = ""
    if needs_two(project):
        try:
            require_two(project, sync, locked, locked.fingerprint)
        except PolicyError as error:
            code = error.code
    return Checked(
        sync=sync,
        target=project.target,
        fingerprint=locked.fingerprint,
        author=locked.author,
        actor=locked.actor,
        code=code,
    )
