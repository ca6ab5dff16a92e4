"""What the store knows of schedules, of the workers that keep them, and of what they share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from mayfly.adapters.stores.statements import Statements, statement, time_text
from mayfly.domain.runs import RunOffer, Ticking, WorkerBeat

_KEPT_MS = 24 * 3_600_000


class SqlWork(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def ticks(self, target: str) -> Sequence[Ticking]:
        """See `Store.ticks`."""
        return [
            Ticking(
                sync=row["sync"],
                target=row["target"],
                version=int(row["version"]),
                schedule=row["schedule"],
                next_at=datetime.fromisoformat(row["next_at"]),
                asked_at=_or_none(row["asked_at"]),
                again_at=_or_none(row["again_at"]),
                attempts=int(row["attempts"]),
                probes=int(row["probes"]),
                dropped=int(row["dropped"]),
            )
            for row in self._rows("select_ticks", {"target": target})
        ]

    def change_tick(self, ticking: Ticking) -> bool:
        """See `Store.change_tick`."""
        values = {
            "sync": ticking.sync,
            "target": ticking.target,
            "schedule": ticking.schedule,
            "next_at": time_text(ticking.next_at),
            "asked_at": time_text(ticking.asked_at) if ticking.asked_at else None,
            "again_at": time_text(ticking.again_at) if ticking.again_at else None,
            "attempts": ticking.attempts,
            "probes": ticking.probes,
            "dropped": ticking.dropped,
        }
        if not ticking.version:
            return self._execute("insert_tick", values) > 0
        return self._execute("update_tick", values | {"version": ticking.version}) > 0

    def end_tick(self, sync: str, target: str) -> None:
        """See `Store.end_tick`."""
        self._execute("delete_tick", {"sync": sync, "target": target})

    def enlist(self, executor: str, region: str) -> None:
        """See `Store.enlist`."""
        with self._transaction(write=True) as connection:
            now_ms = _now_ms(connection)
            old = {"before_ms": now_ms - _KEPT_MS}
            connection.execute(statement("delete_old_workers"), old)
            values = {"executor": executor, "region": region, "now_ms": now_ms}
            connection.execute(statement("insert_worker"), values)

    def beat(self, executor: str, *, lease_ms: int) -> bool:
        """See `Store.beat`."""
        with self._transaction(write=True) as connection:
            now_ms = _now_ms(connection)
            values = {"executor": executor, "now_ms": now_ms, "overdue_ms": now_ms - lease_ms}
            return connection.execute(statement("update_worker"), values).rowcount > 0

    def workers(self) -> Sequence[WorkerBeat]:
        """See `Store.workers`."""
        with self._transaction(write=False) as connection:
            rows = connection.execute(statement("select_workers")).mappings().all()
            now_ms = _now_ms(connection)
        return [
            WorkerBeat(
                executor=row["executor"],
                region=row["region"],
                beat_ms=int(row["beat_ms"]),
                age_ms=max(now_ms - int(row["beat_ms"]), 0),
                ended=bool(row["ended"]),
            )
            for row in rows
        ]

    def end_worker(self, worker: WorkerBeat) -> bool:
        """See `Store.end_worker`."""
        values = {"executor": worker.executor, "beat_ms": worker.beat_ms}
        return self._execute("end_worker", values) > 0

    def offer_run(self, offer: RunOffer) -> None:
        """See `Store.offer_run`."""
        values = {
            "run_id": offer.run,
            "sync": offer.sync,
            "target": offer.target,
            "mark": offer.mark,
        }
        self._execute("upsert_run_offer", values)

    def run_offers(self, target: str) -> Sequence[RunOffer]:
        """See `Store.run_offers`."""
        return [_offer(row) for row in self._rows("select_run_offers", {"target": target})]

    def end_offer(self, run_id: str) -> None:
        """See `Store.end_offer`."""
        self._execute("delete_run_offer", {"run_id": run_id})


def _offer(row: Mapping[str, Any]) -> RunOffer:
    return RunOffer(run=row["run_id"], sync=row["sync"], target=row["target"], mark=row["mark"])


def _now_ms(connection: Connection) -> int:
    """By the clock that all workers share: the database's, or that of the one machine."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(statement("select_now_ms")).scalar_one())
    return time.time_ns() // 1_000_000


def _or_none(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
