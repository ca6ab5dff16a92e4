"""Asking for the runs that are due, and noting what became of them. The store is the truth: what
is asked for there and known to no engine is handed to it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mayfly.domain.runs import Outage, RunRecord, Ticking
from mayfly.domain.settings import SyncSettings
from mayfly.ports.engine import AskedRun, Engine
from mayfly.ports.store import Store
from mayfly.services.events import Tell, TickDropped
from mayfly.services.ticks import Seen, begun, ended, first_tick, put_back, ticked

_TRIES = 20


@dataclass(kw_only=True)
class Scheduler:
    """Looks, again and again, at what is due under one target. Any number may at once.

    Args:
        store, engine: ports.
        target: whose syncs.
        alive: whether the process of a run may still do it.
        now: the time.
        tell: who hears of ticks that were dropped.
    """

    store: Store
    engine: Engine
    target: str
    alive: Callable[[str], bool]
    now: Callable[[], datetime]
    tell: Tell

    def look(self, syncs: Iterable[SyncSettings]) -> None:
        """Ask for what is due of these syncs, and forget the schedules of those that are gone.

        Raises:
            TransientError: of store or engine; the next look does the rest.
        """
        known = {t.sync: t for t in self.store.ticks(self.target)}
        paused = {p.sync for p in self.store.pauses(self.target)}
        away = {o.destination: o for o in self.store.outages() if o.target == self.target}
        self.engine.tidy()
        for sync in syncs:
            if sync.schedule is None:
                continue
            seen = self._seen(sync, sync.id in paused, away.get(sync.destination))
            self._ask(sync, sync.schedule, known.pop(sync.id, None), seen)
        for gone in known.values():
            self.store.end_tick(gone.sync, self.target)

    def _seen(self, sync: SyncSettings, paused: bool, outage: Outage | None) -> Seen:
        last = self.store.last_run(sync.name, self.target)
        return Seen(
            status=last.status if last is not None else None,
            interrupted=is_interrupted(last, self.alive),
            paused=paused,
            asked_again_at=outage.asked_again_at if outage is not None else None,
        )

    def _ask(self, sync: SyncSettings, schedule: str, known: Ticking | None, seen: Seen) -> None:
        now = self.now()
        before = known or first_tick(sync.id, self.target, schedule, now)
        found = ticked(before, schedule, seen, now)
        if (known is None or found != before) and not self.store.change_tick(found):
            return  # another worker has looked, and asks
        if found.dropped > before.dropped:
            self.tell(TickDropped(sync=sync.name, target=self.target, dropped=found.dropped))
        if found.asked_at is not None:
            self.engine.enqueue(AskedRun(id=asked_id(found), sync=sync.id))


def is_interrupted(last: RunRecord | None, alive: Callable[[str], bool]) -> bool:
    """Whether a run's process ended without a word."""
    running = last is not None and last.status == "running"
    return running and last is not None and last.holder is not None and not alive(last.holder)


def asked_id(ticking: Ticking) -> str:
    """The id of the run that is asked for; one for each tick, whoever sees it."""
    at = ticking.asked_at
    return f"{ticking.target}:{ticking.sync}:{at:%Y%m%dt%H%M%S.%f}" if at else ""


def begin_asked(store: Store, run: str, sync: str, target: str) -> Ticking | None:
    """Note that a worker begins an asked run, and how often one has; None where it is asked for
    no more.
    """
    return _changed(store, run, sync, target, begun)


def end_asked(store: Store, run: str, sync: str, target: str) -> None:
    """Note that an asked run has ended; where it is asked for no more nothing is done."""
    _changed(store, run, sync, target, ended)


def leave_asked(store: Store, run: str, sync: str, target: str) -> None:
    """Note that a worker which was asked to stop leaves a run to another."""
    _changed(store, run, sync, target, put_back)


def _changed(
    store: Store, run: str, sync: str, target: str, change: Callable[[Ticking], Ticking]
) -> Ticking | None:
    """Ticks go on meanwhile: who was overtaken by one looks again."""
    for _ in range(_TRIES):
        found = next((t for t in store.ticks(target) if t.sync == sync), None)
        if found is None or asked_id(found) != run:
            return None
        changed = change(found)
        if store.change_tick(changed):
            return changed
    return None
