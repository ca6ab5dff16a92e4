"""The erasure report, from entries alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mayfly.ledger.entry import Entry, EntryType, format_time
from mayfly.services.report_erasure import beyond_cap, erasure_report
from mayfly.services.report_retention import Period

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = START + 90 * DAY


def entry(kind: str, day: float, **more: Any) -> Entry:
    """One as a ledger holds it, so many days after the start."""
    fields = {"workspace": "w", "sync": "vip", "target": "dev", "run": "r", "batch": 0, "rows": 7}
    made = Entry(type=EntryType(kind), **fields | more)
    return made.placed(seq=0, at=START + day * DAY)


def destroyed(version: str, day: float, final: float | None = None) -> Entry:
    """A version's end; `final` days after the start, or not on record."""
    known = "" if final is None else format_time(START + final * DAY)
    return entry("kek_destroyed", day, run="", batch=None, reason=version, final_at=known)


def rewrapped(version: str, day: float) -> Entry:
    """All that waits is under another version."""
    return entry("rewrapped", day, run="", batch=None, kek_version=version)


def report(*entries: Entry, now: datetime = LATER, **period: Any) -> list[dict[str, Any]]:
    """Batches of some entries."""
    found: list[dict[str, Any]]
    found = erasure_report(entries, period=Period(**period), now=now)["batches"]
    return found


HELD = entry("held", 0, kek_version="1")
PURGED = entry("purged", 2, kek_version="1", reason="delivered")


def test_both_dates_of_a_batch() -> None:
    """Gone at its purge, and for good when its key's version was destroyed."""
    [batch] = report(HELD, PURGED, destroyed("1", 9, final=9))
    assert batch == {
        "sync": "vip",
        "target": "dev",
        "run": "r",
        "batch": 0,
        "rows": 7,
        "sealed_at": START.isoformat(),
        "purge_by": (START + 30 * DAY).isoformat(),
        "key_destroyed_at": None,
        "logical_at": (START + 2 * DAY).isoformat(),
        "reason": "delivered",
        "key_versions": ["1"],
        "cryptographic": {
            "state": "final",
            "at": (START + 9 * DAY).isoformat(),
            "waits_for": [],
        },
    }


def test_until_its_version_is_destroyed_it_is_open() -> None:
    """Another version's end says nothing of it."""
    [batch] = report(HELD, PURGED, destroyed("2", 9, final=9))
    assert batch["cryptographic"] == {"state": "open", "at": None, "waits_for": ["1"]}


def test_an_order_is_not_an_end() -> None:
    """A service keeps a version for days, within which it can be restored."""
    entries = HELD, PURGED, destroyed("1", 9, final=39)
    at = (START + 39 * DAY).isoformat()
    [batch] = report(*entries, now=START + 38 * DAY)
    assert batch["cryptographic"] == {"state": "pending", "at": at, "waits_for": ["1"]}
    [batch] = report(*entries, now=START + 39 * DAY)
    assert batch["cryptographic"] == {"state": "final", "at": at, "waits_for": []}


@pytest.mark.parametrize("missing", ["1", "2", "3"])
def test_every_version_that_wrapped_its_key_counts(missing: str) -> None:
    """Of its first, of each rewrap while it waited, and of its last; the latest end is its end."""
    entries = [
        HELD,
        rewrapped("2", 1),
        entry("purged", 2, kek_version="3", reason="delivered"),
        rewrapped("4", 3),
    ]
    ends = {v: destroyed(v, 9, final=9 + int(v)) for v in ("1", "2", "3")}
    [batch] = report(*entries, *ends.values())
    assert batch["key_versions"] == ["1", "2", "3"]
    assert batch["cryptographic"]["at"] == (START + 12 * DAY).isoformat()
    del ends[missing]
    [batch] = report(*entries, *ends.values())
    assert batch["cryptographic"] == {"state": "open", "at": None, "waits_for": [missing]}


def test_a_batch_announced_twice_was_wrapped_by_both() -> None:
    """Its first date counts."""
    again = entry("held", 1, kek_version="2")
    [batch] = report(HELD, again, entry("purged", 2, kek_version="2"))
    assert (batch["sealed_at"], batch["key_versions"]) == (START.isoformat(), ["1", "2"])


@pytest.mark.parametrize("days", [(9, 12), (12, 9)])
def test_the_latest_end_of_a_version_counts(days: tuple[int, int]) -> None:
    """A destruction that was cancelled and ordered anew ends the version at the later date."""
    orders = [destroyed("1", 3, final=day) for day in days]
    at = (START + 12 * DAY).isoformat()
    [batch] = report(HELD, PURGED, *orders, now=START + 11 * DAY)
    assert batch["cryptographic"] == {"state": "pending", "at": at, "waits_for": ["1"]}
    [batch] = report(HELD, PURGED, *orders, now=START + 12 * DAY)
    assert batch["cryptographic"] == {"state": "final", "at": at, "waits_for": []}


@pytest.mark.parametrize("kind", ["not_held", "not_there"])
def test_a_run_that_did_not_know_the_newest_version_may_have_used_it(kind: str) -> None:
    """Another process rewrapped; the run goes on announcing what it knew, and then fails."""
    unknown = rewrapped("", 0)
    old = entry("held", 0, kek_version="1"), entry("purged", 0, reason=kind)
    entries = [rewrapped("2", 0), unknown, *old, destroyed("1", 9, final=9)]
    [batch] = report(*entries)
    assert batch["key_versions"] == ["1", "2"]
    assert batch["cryptographic"] == {"state": "open", "at": None, "waits_for": ["2"]}
    [batch] = report(*entries, destroyed("2", 11, final=11))
    assert batch["cryptographic"]["at"] == (START + 11 * DAY).isoformat()


def test_without_its_key_it_is_erased_once_its_bytes_are_gone() -> None:
    """Its key was destroyed while their place was away: no later rewrap wrapped it."""
    keyless = entry("held", 2, kek_version="1", reason="key_destroyed")
    entries = [HELD, keyless, rewrapped("2", 3), destroyed("1", 9, final=9)]
    destroyed_at, final = (START + 2 * DAY).isoformat(), (START + 9 * DAY).isoformat()
    for end, logical_at in (
        ([], None),
        ([entry("purged", 12, reason="bytes_removed")], (START + 12 * DAY).isoformat()),
    ):
        [batch] = report(*entries, *end)
        assert (batch["key_destroyed_at"], batch["logical_at"]) == (destroyed_at, logical_at)
        assert (batch["key_versions"], batch["cryptographic"]["at"]) == (["1"], final)


def test_a_key_whose_version_is_not_named_leaves_what_was_known() -> None:
    """The entry that announced the batch said under what its key was."""
    keyless = entry("held", 2, reason="key_destroyed")
    [batch] = report(HELD, keyless, destroyed("1", 9, final=9))
    assert batch["cryptographic"]["state"] == "final"


def test_old_entries_claim_nothing() -> None:
    """Without versions on record nobody knows; without a final date no end is told."""
    [batch] = report(entry("held", 0), PURGED, destroyed("1", 9, final=9))
    assert (batch["cryptographic"]["state"], batch["cryptographic"]["at"]) == ("unknown", None)
    [batch] = report(HELD, PURGED, destroyed("1", 9))
    assert batch["cryptographic"]["state"] == "open"
    [batch] = report(HELD, PURGED, destroyed("1", 9), destroyed("1", 11, final=11))
    assert batch["cryptographic"]["at"] == (START + 11 * DAY).isoformat()


def test_what_waits_is_told_in_any_period() -> None:
    """With the day by which it is gone; what ended outside the period is not."""
    other = entry("held", 1, batch=1, kek_version="1")
    run = entry("held", 1, batch=None, reason="destination_outage")
    period = {"since": START + 5 * DAY, "until": START + 8 * DAY}
    [batch] = report(HELD, other, run, PURGED, **period)
    assert (batch["batch"], batch["logical_at"], batch["reason"]) == (1, None, "")
    assert [b["batch"] for b in report(HELD, other, PURGED, since=START + DAY)] == [0, 1]


def test_a_second_end_of_a_batch_says_nothing_new() -> None:
    """As after a crash between the purge and its line."""
    [batch] = report(HELD, PURGED, entry("expired", 31, reason="not_there"))
    assert batch["reason"] == "delivered"


@pytest.mark.parametrize(("day", "late"), [(30, False), (30.01, True)])
def test_beyond_the_cap_is_a_fault(day: float, late: bool) -> None:
    """Ended too late, or still there."""
    now = START + day * DAY
    for entries in ([HELD], [HELD, entry("expired", day, kek_version="1")]):
        made = erasure_report(entries, period=Period(), now=now)
        assert beyond_cap(made, now) is late
