"""Who acts, acts that are not on the ledger yet, and incidents, as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.audit import OpenAct
from mayfly.domain.incidents import Incident, IncidentKind


class SqlAudit(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def actor(self, name: str, new_id: str) -> str:
        """See `Store.actor`."""
        self._execute("insert_actor", {"id": new_id, "name": name})
        return next(id_ for id_, known in self.actors().items() if known == name)

    def actors(self) -> Mapping[str, str]:
        """See `Store.actors`."""
        return {row["id"]: row["name"] for row in self._rows("select_actors", {})}

    def forget_actor(self, actor: str) -> bool:
        """See `Store.forget_actor`."""
        return self._execute("delete_actor", {"id": actor}) > 0

    def open_acts(self) -> Sequence[OpenAct]:
        """See `Store.open_acts`."""
        return [
            OpenAct(
                id=row["id"],
                action=row["action"],
                object=row["object"],
                target=row["target"],
                actor=row["actor"],
                before=row["before_mark"],
                after=row["after_mark"],
                outcome=row["outcome"],
                rows=int(row["row_count"]),
                holder=row["holder"],
            )
            for row in self._rows("select_open_acts", {})
        ]

    def note_acts(self, acts: Sequence[OpenAct]) -> None:
        """See `Store.note_acts`."""
        self._execute_all([("upsert_open_act", _values(act)) for act in acts])

    def end_acts(self, acts: Sequence[OpenAct]) -> None:
        """See `Store.end_acts`."""
        self._execute_all([("delete_open_act", {"id": act.id}) for act in acts])

    def incidents(self) -> Sequence[Incident]:
        """See `Store.incidents`."""
        return [
            Incident(
                id=row["id"],
                kind=IncidentKind(row["kind"]),
                subject=row["subject"],
                target=row["target"],
                code=row["code"],
                run=row["run"],
                known_at=datetime.fromisoformat(row["known_at"]),
                last_at=datetime.fromisoformat(row["last_at"]),
                occurrences=int(row["occurrences"]),
                rows=int(row["row_count"]),
                closed_at=datetime.fromisoformat(row["closed_at"]) if row["closed_at"] else None,
                measures=tuple(row["measures"].split()),
                note=row["note"],
            )
            for row in self._rows("select_incidents", {})
        ]

    def open_incident(self, incident: Incident) -> None:
        """See `Store.open_incident`."""
        values = {
            "id": incident.id,
            "kind": incident.kind.value,
            "subject": incident.subject,
            "target": incident.target,
            "code": incident.code,
            "run": incident.run,
            "known_at": time_text(incident.known_at),
            "row_count": incident.rows,
            "slot": f"{incident.kind.value}/{incident.subject}/{incident.target}",
        }
        self._execute("upsert_incident", values)

    def close_incident(
        self, incident: str, *, measures: Sequence[str], note: str, now: datetime
    ) -> bool:
        """See `Store.close_incident`."""
        values = {
            "id": incident,
            "closed_at": time_text(now),
            "measures": " ".join(measures),
            "note": note,
        }
        return self._execute("close_incident", values) > 0


def _values(act: OpenAct) -> dict[str, Any]:
    return {
        "id": act.id,
        "action": act.action,
        "object": act.object,
        "target": act.target,
        "actor": act.actor,
        "before_mark": act.before,
        "after_mark": act.after,
        "outcome": act.outcome,
        "row_count": act.rows,
        "holder": act.holder,
    }
