"""When a sync is to run: `every 15 minutes`, or five fields of cron and a zone. Pure but for the
rules of zones, which come with the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EVERY = re.compile(r"every ([1-9][0-9]{0,4}) (minute|hour|day)s?")
_ZONE = r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}"
_FIELDS = r"[0-9A-Za-z*/,#-]{1,100}( [0-9A-Za-z*/,#-]{1,100}){4}"
_CRON = re.compile(rf"({_FIELDS})( {_ZONE})?")
PATTERN = rf"(every [1-9][0-9]{{0,4}} (minute|hour|day)s?|{_FIELDS}( {_ZONE})?)"
"""What a schedule looks like; not all that looks so is one."""
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_LONGEST = timedelta(days=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One schedule; exactly one of the two is there.

    Args:
        every: length of an interval. Its ticks are counted from 1970, so that a program that is
            started anew, and one on another machine, have the same ones.
        cron: five fields, and the zone whose clock they are read on.
    """

    every: timedelta | None = None
    cron: tuple[str, ZoneInfo] | None = None

    def after(self, at: datetime) -> datetime:
        """The first tick later than a time, in UTC.

        Where a zone's clock leaps over a time of cron, its tick is at the leap; where it shows a
        time twice, a tick of that very minute is the first one, and one of every hour or minute
        is both.
        """
        if self.cron is not None:
            fields, zone = self.cron
            return next(CronSim(fields, at.astimezone(zone))).astimezone(UTC)
        every = self.every or _LONGEST
        return _EPOCH + ((at - _EPOCH) // every + 1) * every


def parse_schedule(text: str) -> Schedule:
    """What a schedule's text means.

    Raises:
        ValueError: it is none; the message says what is wrong and repeats nothing of it.
    """
    found = _EVERY.fullmatch(text)
    if found is not None:
        every = timedelta(seconds=int(found[1]) * _UNITS[found[2]])
        if every > _LONGEST:
            raise ValueError("expected 30 days at most")
        return Schedule(every=every)
    words = _CRON.fullmatch(text)
    if words is None:
        raise ValueError("expected an interval, or five fields of cron and a zone")
    fields, zone = words[1], (words[3] or " UTC").strip()
    return Schedule(cron=(_checked(fields), _zone(zone)))


def _checked(fields: str) -> str:
    try:
        next(CronSim(fields, _EPOCH))
    except (CronSimError, StopIteration):
        raise ValueError(
            "one of the five fields of cron is not one, or no day is ever so"
        ) from None
    return fields


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # there is none, or it is a folder of them
        raise ValueError("there is no zone of that name") from None
