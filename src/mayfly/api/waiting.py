"""What waits and what was ended, as the commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.domain.retention import RetentionClass
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
                {"sync": e.copy.sync, "target": e.copy.target, "run": e.copy.run, "code": e.code}
                for e in self.left
            ],
        }


def held(waiting: Sequence[Waiting]) -> list[dict[str, Any]]:
    """One line for each class of which anything waits; null where a warehouse was not there."""
    if not waiting:
        return []
    known = [w.info for w in waiting if w.info is not None]
    whole = len(known) == len(waiting)
    return [
        {
            "class": RetentionClass.TEMPORARY.value,
            "copies": len(waiting),
            "batches": sum(i.waiting_batches for i in known) if whole else None,
            "rows": sum(i.waiting_rows for i in known) if whole else None,
            "oldest_read_at": min(w.copy.created_at for w in waiting).isoformat(),
            "purge_by": min(w.purge_by for w in waiting).isoformat(),
        }
    ]
