"""What waits and what is open, in figures: from store, ledger and spool, so that any process can
tell it. No source and no destination is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mayfly.domain.erasures import Regulation
from mayfly.domain.retention import RetentionClass
from mayfly.domain.telemetry import Point
from mayfly.ports.store import Store
from mayfly.services.living import SILENT_MS
from mayfly.services.waiting import WaitingRoom

_SEALED = RetentionClass.CUSTOMER_DATA.value
_COPIES = RetentionClass.TEMPORARY.value


@dataclass(kw_only=True)
class Figures:
    """Looks at one project.

    Args:
        store: of acts.
        room: what waits.
        target: that is looked at.
        syncs: names of its syncs, by their ids.
        now: the time.
    """

    store: Store
    room: WaitingRoom
    target: str
    syncs: Mapping[str, str]
    now: datetime

    def points(self) -> Sequence[Point]:
        """A value of each metric of `FOUND` that has one."""
        there = _point("store.reachable", 1)
        return [there, *self._held(), *self._requests(), *self._asked(), *self._runs()]

    def _held(self) -> Iterator[Point]:
        sealed, sizes, copies = self.room.sealed(), self.room.spool.sizes(), self.room.deadlines()
        now_ms = self.now.timestamp() * 1_000
        yield _point("held", sum(sizes.get(h.id, 0) for h in sealed), **{"class": _SEALED})
        yield _point("held.rows", sum(h.rows for h in sealed), **{"class": _SEALED})
        yield _point("held.copies", len({h.run for h in sealed}), **{"class": _SEALED})
        yield _point("held.copies", len(copies), **{"class": _COPIES})
        ages = {
            _SEALED: [(now_ms - h.read_at_ms) / 1_000 for h in sealed],
            _COPIES: [(self.now - c.created_at).total_seconds() for c, _ in copies],
        }
        left = {
            _SEALED: [(h.purge_by_ms - now_ms) / 1_000 for h in sealed],
            _COPIES: [(at - self.now).total_seconds() for _, at in copies],
        }
        for cls in (_SEALED, _COPIES):
            oldest = max(0.0, *ages[cls], 0.0)
            yield _point("held.oldest_age", oldest, **{"class": cls})
            if left[cls]:
                yield _point("purge.deadline", min(left[cls]), **{"class": cls})

    def _requests(self) -> Iterator[Point]:
        mine = [r for r in self.store.erasures() if r.ended_at is None and r.target == self.target]
        for regulation in Regulation:
            left = [
                (r.due_at - self.now).total_seconds() for r in mine if r.regulation is regulation
            ]
            of = {"regulation": regulation.value}
            yield _point("rights_requests.open", len(left), **of)
            yield _point("rights_requests.overdue", sum(s < 0 for s in left), **of)
            if left:
                yield _point("rights_requests.due", min(left), **of)

    def _asked(self) -> Iterator[Point]:
        waits = [p for p in self.store.pending_approvals() if p.target == self.target]
        yield _point("approvals.open", len(waits), target=self.target)
        for pause in self.store.pauses(self.target):
            if pause.sync in self.syncs:
                yield _point("syncs.paused", 1, sync=self.syncs[pause.sync])
        for outage in self.store.outages():
            if outage.target == self.target:
                yield _point("destinations.away", 1, destination=outage.destination)
        workers = self.store.workers()
        living = [w for w in workers if not w.ended and w.age_ms < SILENT_MS]
        yield _point("workers.living", len(living))

    def _runs(self) -> Iterator[Point]:
        for name in self.syncs.values():
            run = self.store.last_run(name, self.target)
            if run is not None and run.finished_at is not None:
                age = max(0.0, (self.now - run.finished_at).total_seconds())
                yield _point("last_run.age", age, sync=name, status=run.status)


NOTHING_KNOWN = (Point(metric="store.reachable", value=0.0),)
"""What is told where they cannot be read."""


def _point(metric: str, value: float, **attributes: str) -> Point:
    return Point(metric=metric, value=float(value), attributes=attributes)
