"""Which runs a schedule asks for: pure decisions on what the store knows of one sync."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mayfly.domain.runs import Ticking
from mayfly.services.circuit import probe_seconds
from mayfly.services.schedules import parse_schedule

ATTEMPTS_MAX = 10
"""So many workers may die over one asked run; it is not given to another then."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is seen of a sync beside its ticks.

    Args:
        status: of its last run; None where it never ran.
        interrupted: the process of that run ended without a word.
        paused: somebody paused it.
        asked_again_at: the end of a pause that its destination asked for.
    """

    status: str | None = None
    interrupted: bool = False
    paused: bool = False
    asked_again_at: datetime | None = None

    @property
    def busy(self) -> bool:
        """Whether a run goes on, or is in doubt, which only a person ends."""
        return self.status == "in_doubt" or (self.status == "running" and not self.interrupted)


def first_tick(sync: str, target: str, schedule: str, now: datetime) -> Ticking:
    """Of a sync that was never scheduled: nothing is due before the first tick."""
    next_at = parse_schedule(schedule).after(now)
    return Ticking(sync=sync, target=target, schedule=schedule, next_at=next_at)


def ticked(known: Ticking, schedule: str, seen: Seen, now: datetime) -> Ticking:
    """What is known of a sync once it was looked at: equal to what was where nothing is due.

    A tick while a run goes on, waits for a worker, is held or in doubt is dropped and counted.
    Ticks that nobody was there for are one. What is held, or was interrupted, is asked for again
    without a tick; what is paused is not asked for, and drops nothing.
    """
    if known.schedule != schedule:
        next_at = parse_schedule(schedule).after(now)
        return replace(known, schedule=schedule, next_at=next_at)
    waits = known.asked_at is not None or seen.busy
    found = known if waits else _gone_on(known, seen, now)
    if found.next_at > now:
        return found
    due, found = found.next_at, replace(found, next_at=parse_schedule(schedule).after(now))
    if waits or found.asked_at is not None or found.again_at is not None:
        return replace(found, dropped=found.dropped + 1)
    return found if seen.paused else replace(found, asked_at=due)


def _gone_on(known: Ticking, seen: Seen, now: datetime) -> Ticking:
    """What is asked for without a tick, of a sync that no run of goes on."""
    if seen.paused:
        return known
    if seen.interrupted:
        return replace(known, asked_at=now)
    if seen.status != "held":
        return replace(known, again_at=None, probes=0)
    if known.again_at is None:
        named = seen.asked_again_at
        left = (named - now).total_seconds() if named is not None else None
        pause = timedelta(seconds=probe_seconds(known.probes + 1, left))
        return replace(known, again_at=now + pause, probes=known.probes + 1)
    if known.again_at <= now:
        return replace(known, asked_at=now, again_at=None)
    return known


def begun(known: Ticking) -> Ticking:
    """An asked run was given to a worker once more."""
    return replace(known, attempts=known.attempts + 1)


def put_back(known: Ticking) -> Ticking:
    """A worker that was asked to stop leaves the run to another: that is no attempt."""
    return replace(known, attempts=max(known.attempts - 1, 0))


def ended(known: Ticking) -> Ticking:
    """An asked run has ended, whatever as."""
    return replace(known, asked_at=None, attempts=0)
