"""What the store notes of anchors, outages and approvals that are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.runs import AnchorRecord, ColumnVerdict, Outage, PendingApproval, Rejection


class SqlNotes(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def anchors(self) -> Sequence[AnchorRecord]:
        """See `Store.anchors`."""
        return [
            AnchorRecord(
                name=row["name"],
                entries=int(row["entries"]),
                at=_or_none(row["published_at"]),
                code=row["code"],
            )
            for row in self._rows("select_anchors", {})
        ]

    def note_anchor(self, record: AnchorRecord) -> None:
        """See `Store.note_anchor`."""
        values = {
            "name": record.name,
            "entries": record.entries,
            "published_at": time_text(record.at) if record.at else None,
            "code": record.code,
        }
        self._execute("upsert_anchor", values)

    def outages(self) -> Sequence[Outage]:
        """See `Store.outages`."""
        return [
            Outage(
                destination=row["destination"],
                target=row["target"],
                since=datetime.fromisoformat(row["since"]),
                failures=int(row["failures"]),
                code=row["code"],
                asked_again_at=_or_none(row["asked_again_at"]),
            )
            for row in self._rows("select_outages", {})
        ]

    def note_outage(self, outage: Outage) -> None:
        """See `Store.note_outage`."""
        values = {
            "destination": outage.destination,
            "target": outage.target,
            "since": time_text(outage.since),
            "failures": outage.failures,
            "code": outage.code,
            "asked_again_at": time_text(outage.asked_again_at) if outage.asked_again_at else None,
        }
        self._execute("upsert_outage", values)

    def end_outage(self, destination: str, target: str) -> None:
        """See `Store.end_outage`."""
        self._execute("delete_outage", {"destination": destination, "target": target})

    def pending_approvals(self) -> Sequence[PendingApproval]:
        """See `Store.pending_approvals`."""
        return [
            PendingApproval(
                sync=row["sync"],
                target=row["target"],
                fingerprint=row["fingerprint"],
                since=datetime.fromisoformat(row["since"]),
            )
            for row in self._rows("select_pending_approvals", {})
        ]

    def note_pending_approval(self, pending: PendingApproval) -> None:
        """See `Store.note_pending_approval`."""
        values = {
            "sync": pending.sync,
            "target": pending.target,
            "fingerprint": pending.fingerprint,
            "since": time_text(pending.since),
        }
        self._execute("upsert_pending_approval", values)

    def end_pending_approval(self, sync: str, target: str) -> None:
        """See `Store.end_pending_approval`."""
        self._execute("delete_pending_approval", {"sync": sync, "target": target})

    def verdicts(self, target: str, model: str) -> Sequence[ColumnVerdict]:
        """See `Store.verdicts`."""
        return [
            ColumnVerdict(
                target=row["target"],
                model=row["model"],
                column=row["column_name"],
                cls=row["class"],
                counts=json.loads(row["counts"]),
                basis=row["basis"],
                at=datetime.fromisoformat(row["found_at"]),
            )
            for row in self._rows("select_verdicts", {"target": target, "model": model})
        ]

    def note_verdicts(self, target: str, model: str, found: Sequence[ColumnVerdict]) -> None:
        """See `Store.note_verdicts`."""
        steps: list[tuple[str, Mapping[str, Any]]] = [
            ("delete_verdicts", {"target": target, "model": model})
        ]
        for one in found:
            values = {
                "target": target,
                "model": model,
                "column_name": one.column,
                "class": one.cls,
                "counts": json.dumps(dict(one.counts), sort_keys=True),
                "basis": one.basis,
                "found_at": time_text(one.at),
            }
            steps.append(("insert_verdict", values))
        self._execute_all(steps)

    def rejections(self) -> Sequence[Rejection]:
        """See `Store.rejections`."""
        return [
            Rejection(
                sync=row["sync"],
                target=row["target"],
                fingerprint=row["fingerprint"],
                actor=row["actor"],
                at=datetime.fromisoformat(row["rejected_at"]),
            )
            for row in self._rows("select_rejections", {})
        ]

    def reject(self, rejection: Rejection) -> None:
        """See `Store.reject`."""
        values = {
            "sync": rejection.sync,
            "target": rejection.target,
            "fingerprint": rejection.fingerprint,
            "actor": rejection.actor,
            "rejected_at": time_text(rejection.at),
        }
        self._execute("upsert_rejection", values)

    def end_rejection(self, sync: str, target: str) -> None:
        """See `Store.end_rejection`."""
        self._execute("delete_rejection", {"sync": sync, "target": target})

    def people(self) -> str:
        """See `Store.people`."""
        rows = self._rows("select_people", {})
        return str(rows[0]["digest"]) if rows else ""

    def note_people(self, digest: str) -> None:
        """See `Store.note_people`."""
        self._execute("upsert_people", {"digest": digest})

    def key_mark(self, purpose: str, scope: str) -> str | None:
        """See `Store.key_mark`."""
        rows = self._rows("select_key_mark", {"purpose": purpose, "scope": scope})
        return str(rows[0]["mark"]) if rows else None

    def note_key_mark(self, purpose: str, scope: str, mark: str) -> str:
        """See `Store.note_key_mark`."""
        self._execute("insert_key_mark", {"purpose": purpose, "scope": scope, "mark": mark})
        return self.key_mark(purpose, scope) or mark


def _or_none(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
