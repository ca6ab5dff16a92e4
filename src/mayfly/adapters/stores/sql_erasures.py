"""Requests for one person, as the store keeps them: ids, codes, times and keyed digests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.erasures import (
    ErasureRequest,
    ErasureStep,
    Regulation,
    RequestKind,
    StepStatus,
)


class SqlErasures(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def erasures(self) -> Sequence[ErasureRequest]:
        """See `Store.erasures`."""
        return [
            ErasureRequest(
                request=row["request"],
                target=row["target"],
                kind=RequestKind(row["kind"]),
                regulation=Regulation(row["regulation"]),
                received_at=datetime.fromisoformat(row["received_at"]),
                due_at=datetime.fromisoformat(row["due_at"]),
                extension=row["extension"],
                ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
                cancelled=row["cancelled"] > 0,
            )
            for row in self._rows("select_erasures", {})
        ]

    def add_erasure(self, request: ErasureRequest, digests: Collection[bytes]) -> None:
        """See `Store.add_erasure`."""
        made = {
            "request": request.request,
            "target": request.target,
            "kind": request.kind.value,
            "regulation": request.regulation.value,
            "received_at": time_text(request.received_at),
            "due_at": time_text(request.due_at),
            "extension": request.extension,
        }
        names = [{"request": request.request, "digest": digest.hex()} for digest in digests]
        self._execute_all(
            [("insert_erasure", made), *(("insert_erasure_identifier", name) for name in names)]
        )

    def change_erasure(self, request: ErasureRequest) -> None:
        """See `Store.change_erasure`."""
        values = {
            "request": request.request,
            "due_at": time_text(request.due_at),
            "extension": request.extension,
            "ended_at": time_text(request.ended_at) if request.ended_at else None,
            "cancelled": int(request.cancelled),
        }
        steps: list[tuple[str, Mapping[str, Any]]] = [("update_erasure", values)]
        if request.ended_at is not None:
            steps.append(("delete_erasure_identifiers", {"request": request.request}))
        self._execute_all(steps)

    def erasure_digests(self, request: str) -> Sequence[bytes]:
        """See `Store.erasure_digests`."""
        rows = self._rows("select_erasure_identifiers", {"request": request})
        return [bytes.fromhex(row["digest"]) for row in rows]

    def erasure_steps(self, request: str) -> Sequence[ErasureStep]:
        """See `Store.erasure_steps`."""
        return [
            ErasureStep(
                sync=row["sync"],
                destination=row["destination"],
                status=StepStatus(row["status"]),
                rows=int(row["row_count"]),
                code=row["code"],
                forgotten=row["forgotten"] > 0,
                changed_at=datetime.fromisoformat(row["changed_at"]),
            )
            for row in self._rows("select_erasure_steps", {"request": request})
        ]

    def note_erasure_step(self, request: str, step: ErasureStep) -> None:
        """See `Store.note_erasure_step`."""
        values = {
            "request": request,
            "sync": step.sync,
            "destination": step.destination,
            "status": step.status.value,
            "row_count": step.rows,
            "code": step.code,
            "forgotten": int(step.forgotten),
            "changed_at": time_text(step.changed_at),
        }
        self._execute("upsert_erasure_step", values)
