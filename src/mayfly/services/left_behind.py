"""Recipients that no sync of the project can take anybody out of any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mayfly.domain.settings import Project
from mayfly.ports.ledger import Recipient

TRIAL = "mayfly_test"
"""The sync of `mayfly test`, whose people do not exist."""
HINT = (
    "Put it back, let its model give no row, run it with --accept removals=N, and then take it out "
    "and drop its state; or take the people out there yourself, and then `mayfly state drop`."
)


def left_behind(recipients: Iterable[Recipient], project: Project) -> Sequence[Recipient]:
    """Those of syncs that the project has no more, and, under its target, those of syncs that go
    elsewhere now.
    """
    now = {sync.id: sync.destination for sync in project.syncs.values()}
    found = [
        r
        for r in recipients
        if r.sync != TRIAL
        and (r.sync not in now or (r.target == project.target and now[r.sync] != r.destination))
    ]
    return sorted(found, key=lambda r: (r.sync, r.target, r.destination))


def said_of(recipient: Recipient) -> str:
    """What a person is told, who must act."""
    return (
        f"Sync {recipient.sync} delivered to {recipient.destination} (target {recipient.target}), "
        "and no sync of the project goes there under that id any more: who withdraws is not taken "
        "out."
    )
