"""What waits and what was ended, as the commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mayfly.domain.held import HeldBatch
from mayfly.domain.retention import RetentionClass
from mayfly.domain.runs import Outage, PendingApproval
from mayfly.services.approve import PENDING
from mayfly.services.waiting import Ended, Left, Waiting


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep or a purge ended, and what it could not."""

    ended: tuple[Ended, ...] = ()
    left: tuple[Left, ...] = ()

    @classmethod
    def of(cls, ended: Sequence[Ended], left: Sequence[Left]) -> Swept:
        """Of what `WaitingRoom` gives."""
        return cls(ended=tuple(ended), left=tuple(left))

    def __add__(self, later: Swept) -> Swept:
        """Both; what could not be ended is what could not be ended later."""
        return Swept(ended=self.ended + later.ended, left=later.left)

    def to_dict(self, command: str) -> dict[str, Any]:
        """As `mayfly purge` and `mayfly sweep` print it: counts and codes."""
        return {
            "schema": f"mayfly/{command}/1",
            "ok": not self.left,
            "purged": [
                {
                    "sync": e.sync,
                    "target": e.target,
                    "run": e.run,
                    "batches": e.batches,
                    "rows": e.rows,
                    "in_doubt": e.in_doubt,
                    "reason": e.reason,
                }
                for e in self.ended
            ],
            "left": [
                {
                    "what": e.what,
                    "sync": e.sync,
                    "target": e.target,
                    "run": e.run,
                    "code": e.code,
                }
                for e in self.left
            ],
        }


def away(outages: Sequence[Outage], target: str) -> list[dict[str, Any]]:
    """Destinations that were away when they were last asked."""
    return [
        {
            "destination": o.destination,
            "since": o.since.isoformat(),
            "failures": o.failures,
            "code": o.code,
            "asked_again_at": o.asked_again_at.isoformat() if o.asked_again_at else None,
        }
        for o in outages
        if o.target == target
    ]


def pending(approvals: Sequence[PendingApproval], target: str) -> list[dict[str, Any]]:
    """Syncs that runs found not to be what was approved."""
    return [
        {
            "sync": p.sync,
            "since": p.since.isoformat(),
            "expires_at": (p.since + PENDING).isoformat(),
        }
        for p in approvals
        if p.target == target
    ]


def held(waiting: Sequence[Waiting], sealed: Sequence[HeldBatch]) -> list[dict[str, Any]]:
    """One line for each class of which anything waits; null where a warehouse was not there."""
    found = []
    if sealed:
        found.append(
            {
                "class": RetentionClass.CUSTOMER_DATA.value,
                "copies": len({h.run for h in sealed}),
                "batches": len(sealed),
                "rows": sum(h.rows for h in sealed),
                "oldest_read_at": _time(min(h.read_at_ms for h in sealed)),
                "purge_by": _time(min(h.purge_by_ms for h in sealed)),
            }
        )
    if waiting:
        known = [w.plan for w in waiting if w.plan is not None]
        whole = len(known) == len(waiting)
        found.append(
            {
                "class": RetentionClass.TEMPORARY.value,
                "copies": len(waiting),
                "batches": sum(p.waiting_batches for p in known) if whole else None,
                "rows": sum(p.waiting_rows for p in known) if whole else None,
                "oldest_read_at": min(w.copy.created_at for w in waiting).isoformat(),
                "purge_by": min(w.purge_by for w in waiting).isoformat(),
            }
        )
    return found


def remains(batches: Sequence[HeldBatch]) -> list[dict[str, Any]]:
    """Of each run the sealed batches that cannot be opened any more and are not gone yet."""
    runs: dict[tuple[str, str, str], list[HeldBatch]] = {}
    for held_batch in batches:
        key = held_batch.sync, held_batch.target, held_batch.run
        runs.setdefault(key, []).append(held_batch)
    return [
        {
            "sync": sync,
            "target": target,
            "run": run,
            "batches": len(of_run),
            "rows": sum(h.rows for h in of_run),
            "purge_by": _time(min(h.purge_by_ms for h in of_run)),
        }
        for (sync, target, run), of_run in runs.items()
    ]


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
