"""How long data stayed, by class: from the ledger alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mayfly.domain.held import is_exception, limit_seconds
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.ledger.entry import Entry, EntryType, held_since, parse_time


@dataclass(kw_only=True)
class _Ages:
    """Ages in seconds, each of so many rows or copies."""

    found: list[tuple[float, int]] = field(default_factory=list)

    def add(self, seconds: float, weight: int) -> None:
        self.found.append((seconds, weight))

    def at(self, share: float) -> float:
        """The age that this share of the weight does not exceed."""
        ordered = sorted(self.found)
        wanted, seen = share * sum(weight for _, weight in ordered), 0
        for seconds, weight in ordered:
            seen += weight
            if seen >= wanted:
                return seconds
        return 0.0

    def over(self, seconds: int | None) -> int:
        """How many are older than a limit."""
        return 0 if seconds is None else sum(1 for age, _ in self.found if age > seconds)

    def to_dict(self) -> dict[str, float]:
        top = max((age for age, _ in self.found), default=0.0)
        return {"p50": round(self.at(0.5), 3), "p95": round(self.at(0.95), 3), "max": round(top, 3)}


@dataclass(frozen=True, kw_only=True)
class Period:
    """From the first moment on, up to and without the second; None has no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a time lies in it."""
        after = self.since is None or at >= self.since
        return after and (self.until is None or at < self.until)


def retention_report(entries: Iterable[Entry], *, period: Period, now: datetime) -> dict[str, Any]:
    """Ages at purge and what is open, in ids, counts and seconds.

    Args:
        entries: the whole ledger in order: what was made before the period may end in it.
        period: of the ends that are counted.
        now: for what has not ended.
    """
    rows, copies = _Ages(), _Ages()
    made: dict[str, Entry] = {}
    sealed: dict[tuple[str, int | None], Entry] = {}
    reasons: dict[str, str] = {}
    answered: set[tuple[str, int | None]] = set()
    expired = 0
    for entry in entries:
        at = _at(entry)
        match entry.type:
            case EntryType.CREATED:
                made.setdefault(entry.run, entry)
            case EntryType.HELD if entry.batch is None:
                if not is_exception(reasons.get(entry.run, "")):
                    reasons[entry.run] = entry.reason
            case EntryType.HELD:
                sealed.setdefault((entry.run, entry.batch), entry)
            case EntryType.PURGED | EntryType.EXPIRED:
                sealed.pop((entry.run, entry.batch), None)
                # What was delivered has been counted by its answer.
                told = entry.reason == "delivered" or (entry.run, entry.batch) in answered
                if entry.age_ms is not None and not told and period.holds(at):
                    rows.add(entry.age_ms / 1000, entry.rows)
                expired += entry.type is EntryType.EXPIRED and period.holds(at)
            case EntryType.DELIVERED:
                if (entry.run, entry.batch) in sealed:
                    answered.add((entry.run, entry.batch))
                if entry.age_ms is not None and period.holds(at):
                    rows.add(entry.age_ms / 1000, entry.rows)
            case EntryType.DROPPED:
                begun = made.pop(entry.run, None)
                if begun is not None and period.holds(at):
                    copies.add((at - _at(begun)).total_seconds(), 1)
                    expired += entry.reason == "expired"
    return {
        "since": _text(period.since),
        "until": _text(period.until),
        "classes": [
            _class(RetentionClass.CUSTOMER_DATA, "rows in a worker or sealed, by batch", rows),
            _class(RetentionClass.TEMPORARY, "working copies in the warehouse, dropped", copies),
        ],
        "expired": expired,
        "open": [
            *(_open(e, RetentionClass.CUSTOMER_DATA, e.reason, now) for e in sealed.values()),
            *(
                _open(e, RetentionClass.TEMPORARY, reasons.get(run, ""), now)
                for run, e in made.items()
            ),
        ],
    }


def _class(cls: RetentionClass, what: str, ages: _Ages) -> dict[str, Any]:
    limit = LIMITS[cls]
    return {
        "class": cls.value,
        "what": what,
        "count": len(ages.found),
        "age_at_purge_seconds": ages.to_dict(),
        "target_seconds": limit.target_seconds,
        "cap_seconds": limit.cap_seconds,
        "over_target": ages.over(limit.target_seconds),
        "over_cap": ages.over(limit.cap_seconds),
    }


def _open(entry: Entry, cls: RetentionClass, reason: str, now: datetime) -> dict[str, Any]:
    begun = held_since(entry)
    return {
        "class": cls.value,
        "sync": entry.sync,
        "target": entry.target,
        "run": entry.run,
        "reason": reason,
        "since": begun.isoformat(),
        "age_seconds": round((now - begun).total_seconds(), 3),
        "purge_by": (begun + timedelta(seconds=limit_seconds(cls, reason))).isoformat(),
    }


def _at(entry: Entry) -> datetime:
    if entry.at is None:
        raise ValueError("an entry of a ledger has a time")
    return parse_time(entry.at)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def over_anything(document: dict[str, Any]) -> bool:
    """Whether the cap of a class was exceeded, or is by what of it is open."""
    classes: Sequence[dict[str, Any]] = document["classes"]
    caps = {item["class"]: item["cap_seconds"] for item in classes}
    late = any(
        (cap := caps[item["class"]]) is not None and item["age_seconds"] > cap
        for item in document["open"]
    )
    return late or any(item["over_cap"] for item in classes)
