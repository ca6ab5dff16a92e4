"""What operators ask of runs, as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mayfly.adapters.stores.statements import time_text
from mayfly.domain.runs import Pause


class SqlRequests:
    """See `Store`; mixed into the store, which has the transactions."""

    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        raise NotImplementedError

    def _rows(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        raise NotImplementedError

    def pauses(self, target: str) -> Sequence[Pause]:
        """See `Store.pauses`."""
        return [
            Pause(
                sync=row["sync"],
                target=row["target"],
                actor=row["actor"],
                since=datetime.fromisoformat(row["paused_at"]),
            )
            for row in self._rows("select_pauses", {"target": target})
        ]

    def pause(self, pause: Pause) -> bool:
        """See `Store.pause`."""
        values = {
            "sync": pause.sync,
            "target": pause.target,
            "actor": pause.actor,
            "paused_at": time_text(pause.since),
        }
        return self._execute("insert_pause", values) > 0

    def resume(self, sync: str, target: str) -> bool:
        """See `Store.resume`."""
        return self._execute("delete_pause", {"sync": sync, "target": target}) > 0
