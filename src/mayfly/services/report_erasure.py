"""When sealed batches were erased, and when for good: from the ledger alone. Pure.

A batch is erased logically when its data key was deleted, and its sealed bytes after it: where
their place did not answer then, no sooner than they were removed. What a disk or a snapshot may
still hold of both is of no use once every version of the key encryption key that the data key was
ever wrapped under is destroyed: the cryptographic erase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.ledger.entry import KEY_DESTROYED, Entry, EntryType, held_since, parse_time
from mayfly.services.report_retention import Period

_CAP = timedelta(seconds=LIMITS[RetentionClass.CUSTOMER_DATA].cap_seconds or 0)


@dataclass(kw_only=True)
class _Sealed:
    """One batch: how it began, what wrapped its key, when that alone was gone, how it ended."""

    begun: Entry
    versions: list[str] = field(default_factory=list)
    unknown: bool = False
    keyless: Entry | None = None
    ended: Entry | None = None

    def wrapped_under(self, version: str) -> None:
        if version and version not in self.versions:
            self.versions.append(version)


def erasure_report(entries: Iterable[Entry], *, period: Period, now: datetime) -> dict[str, Any]:
    """Each batch that was sealed, with both dates, in ids, counts and times.

    Args:
        entries: the whole ledger in order: what was sealed before the period may end in it.
        period: of the logical erases; what is still sealed is told in any case.
        now: tells what is final.
    """
    waiting: dict[tuple[str, int | None], _Sealed] = {}
    ended: list[_Sealed] = []
    destroyed: dict[str, datetime] = {}
    rewrapped = ""
    for entry in entries:
        key = entry.run, entry.batch
        match entry.type:
            case EntryType.HELD if entry.batch is not None:
                sealed = waiting.setdefault(key, _Sealed(begun=entry))
                if entry.reason == KEY_DESTROYED:
                    sealed.keyless = sealed.keyless or entry
                    sealed.wrapped_under(entry.kek_version)
                    continue
                sealed.wrapped_under(entry.kek_version)
                # Who announced it may not have known yet of another process's version.
                sealed.wrapped_under(rewrapped)
                sealed.unknown |= not entry.kek_version
            case EntryType.REWRAPPED:
                rewrapped = entry.kek_version or rewrapped
                for sealed in waiting.values():
                    if sealed.keyless is None:
                        sealed.wrapped_under(entry.kek_version)
            case EntryType.PURGED | EntryType.EXPIRED if key in waiting:
                sealed = waiting.pop(key)
                sealed.wrapped_under(entry.kek_version)
                sealed.ended = entry
                if period.holds(_at(entry)):
                    ended.append(sealed)
            case EntryType.KEK_DESTROYED if entry.final_at:
                # The latest: a destruction may have been cancelled, and ordered again.
                final = parse_time(entry.final_at)
                destroyed[entry.reason] = max(final, destroyed.get(entry.reason, final))
    return {
        "since": None if period.since is None else period.since.isoformat(),
        "until": None if period.until is None else period.until.isoformat(),
        "batches": [_told(sealed, destroyed, now) for sealed in (*ended, *waiting.values())],
    }


def beyond_cap(document: Mapping[str, Any], now: datetime) -> bool:
    """Whether a batch was, or is, there longer than it may be."""
    batches: Sequence[Mapping[str, Any]] = document["batches"]
    return any(
        (datetime.fromisoformat(b["logical_at"]) if b["logical_at"] else now)
        > datetime.fromisoformat(b["purge_by"])
        for b in batches
    )


def _told(sealed: _Sealed, destroyed: Mapping[str, datetime], now: datetime) -> dict[str, Any]:
    begun, ended = sealed.begun, sealed.ended
    return {
        "sync": begun.sync,
        "target": begun.target,
        "run": begun.run,
        "batch": begun.batch,
        "rows": begun.rows,
        "sealed_at": _at(begun).isoformat(),
        "purge_by": (held_since(begun) + _CAP).isoformat(),
        "key_destroyed_at": None if sealed.keyless is None else _at(sealed.keyless).isoformat(),
        "logical_at": None if ended is None else _at(ended).isoformat(),
        "reason": "" if ended is None else ended.reason,
        "key_versions": sealed.versions,
        "cryptographic": _cryptographic(sealed, destroyed, now),
    }


def _cryptographic(
    sealed: _Sealed, destroyed: Mapping[str, datetime], now: datetime
) -> dict[str, Any]:
    """`unknown` where an entry is from before versions were recorded; `open` until all versions
    are destroyed; `pending` while one of them can still be restored; then `final`.
    """
    waits_for = [v for v in sealed.versions if v not in destroyed]
    if sealed.unknown or not sealed.versions:
        return {"state": "unknown", "at": None, "waits_for": waits_for}
    if waits_for:
        return {"state": "open", "at": None, "waits_for": waits_for}
    at = max(destroyed[version] for version in sealed.versions)
    pending = [v for v in sealed.versions if destroyed[v] > now]
    state = "pending" if pending else "final"
    return {"state": state, "at": at.isoformat(), "waits_for": pending}


def _at(entry: Entry) -> datetime:
    return parse_time(entry.at or "")
