"""The deletion of a workspace: steps, each noted once it is done, so that it goes on after a crash.

A step that was cut off is done again as a whole: each finds nothing to do where it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mayfly.domain.errors import PolicyError, TransientError
from mayfly.ports.keys import KeyProvider, newest_version
from mayfly.ports.store import Store
from mayfly.services.waiting import WaitingRoom

BEGAN = "began"
KEY_VERSION, KEYS, RECEIPT = "key_version", "keys", "receipt"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step; `act` gives how many things it ended."""

    name: str
    act: Callable[[], int]


def carry_out(
    steps: Sequence[Step],
    store: Store,
    *,
    now: Callable[[], datetime],
    record: Callable[[str, int], None],
) -> None:
    """Do what is not done yet, in order.

    Args:
        steps: of the deletion.
        store: where each is noted.
        now: the time.
        record: tells the ledger of a step that is done, before it is noted.

    Raises:
        EngineError: what is in the way of a step; repeat it all.
    """
    done = store.deletion()
    if BEGAN not in done:
        store.note_deletion(BEGAN, now())
    for step in steps:
        if step.name not in done:
            count = step.act()
            record(step.name, count)
            store.note_deletion(step.name, now())


def require_not_deleting(store: Store) -> None:
    """Refuse an act in a workspace that is being deleted.

    Raises:
        PolicyError: `workspace_deleting`.
    """
    if store.deletion():
        raise PolicyError(
            "workspace_deleting",
            "This workspace is being deleted; nothing else is done in it any more.",
            hint="Finish it with `mayfly workspace delete`.",
        )


def end_all_waiting(room: WaitingRoom) -> int:
    """Destroy all that waits, of all targets; how many batches and working copies.

    Raises:
        TransientError: something of it is not gone yet.
    """
    batches = [*room.sealed(), *room.remains()]
    waits = {(b.sync, b.target) for b in batches} | {(c.sync, c.target) for c in room.copies()}
    count = 0
    for sync, target in sorted(waits):
        ended, left = room.purge([sync], target)
        count += len(ended)
        if left:
            raise TransientError(
                left[0].code, f"What waits of {len(left)} runs could not be ended."
            )
    return count


def destroy_versions(provider: KeyProvider) -> list[dict[str, str | None]]:
    """Have every version destroyed but the newest, which wraps nothing: each with the day from
    which on it cannot be restored, None where that is at once.
    """
    newest, told = newest_version(provider), []
    for version in provider.versions():
        if version.id != newest:
            final = provider.destroy(version.id)
            told.append({"version": version.id, "final_at": final.isoformat() if final else None})
    return told


def remaining(*, what: str, where: str, who: str | None) -> dict[str, Any]:
    """What a deletion leaves, in the form of `out_of_reach`."""
    return {"what": what, "where": where, "who_must_act": who, "ends_at": None}
