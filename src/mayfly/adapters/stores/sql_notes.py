"""What the store notes of anchors, outages and approvals that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mayfly.adapters.stores.statements import time_text
from mayfly.domain.runs import AnchorRecord, Outage, PendingApproval


class SqlNotes:
    """See `Store`; mixed into the store, which has the transactions."""

    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        raise NotImplementedError

    def _rows(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        raise NotImplementedError

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


def _or_none(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
