"""What operators ask of runs, and what runs tell, as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.runs import Pause, Signals


class SqlRequests(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

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

    def cancel(self, run_id: str, *, actor: str, now: datetime) -> bool:
        """See `Store.cancel`."""
        values = {"run_id": run_id, "actor": actor, "asked_at": time_text(now)}
        return self._execute("insert_cancellation", values) > 0

    def signals(self, run_id: str, sync: str, target: str) -> Signals:
        """See `Store.signals`."""
        [row] = self._rows("select_signals", {"run_id": run_id, "sync": sync, "target": target})
        return Signals(
            cancelled=row["cancelled"] > 0,
            paused=row["paused"] > 0,
            suppression_version=int(row["suppression_version"]),
            approved=row["approved"],
            rejected=row["rejected"],
            people=row["people"] or "",
        )

    def note_events(self, run_id: str, lines: Mapping[int, str]) -> None:
        """See `Store.note_events`."""
        self._execute_all(
            [
                ("insert_run_event", {"run_id": run_id, "number": number, "line": line})
                for number, line in lines.items()
            ]
        )

    def events(self, run_id: str) -> Sequence[tuple[int, str]]:
        """See `Store.events`."""
        rows = self._rows("select_run_events", {"run_id": run_id})
        return [(int(row["number"]), row["line"]) for row in rows]

    def end_events(self, *, began_before: datetime, runs: int) -> None:
        """See `Store.end_events`."""
        values = {"since": time_text(began_before), "runs": runs}
        self._execute("delete_old_run_events", values)
