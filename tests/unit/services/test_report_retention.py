"""The retention report, from entries alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mayfly.ledger.entry import Entry, EntryType
from mayfly.services.report_retention import Period, over_anything, retention_report

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(kind: EntryType, run: str, at: datetime, **more: Any) -> Entry:
    """One as a ledger holds it."""
    made = Entry(type=kind, workspace="w", sync="vip", target="dev", run=run, **more)
    return made.placed(seq=0, at=at)


def report(*entries: Entry, now: datetime = START, **period: Any) -> dict[str, Any]:
    """Of some entries."""
    return retention_report(entries, period=Period(**period), now=now)


def test_nothing_recorded_is_nothing_reported() -> None:
    """No class is left out for that."""
    made = report()
    assert [(c["class"], c["count"]) for c in made["classes"]] == [
        ("customer_data", 0),
        ("temporary", 0),
    ]
    assert made["open"] == []
    assert not over_anything(made)


def test_rows_count_by_rows_and_copies_one_by_one() -> None:
    """Half of all rows were held for a second at most, though half of the batches were longer."""
    made = report(
        entry(EntryType.CREATED, "r", START),
        entry(EntryType.DELIVERED, "r", START, batch=0, rows=90, age_ms=1_000),
        entry(EntryType.DELIVERED, "r", START, batch=1, rows=10, age_ms=9 * 3_600_000),
        entry(EntryType.DROPPED, "r", START + timedelta(seconds=60), reason="done"),
    )
    rows, copies = made["classes"]
    assert rows["age_at_purge_seconds"] == {"p50": 1.0, "p95": 32_400.0, "max": 32_400.0}
    assert (rows["count"], rows["over_target"], rows["over_cap"]) == (2, 1, 0)
    assert copies["age_at_purge_seconds"] == {"p50": 60.0, "p95": 60.0, "max": 60.0}


def test_a_copy_beyond_the_cap_is_told_dropped_or_open() -> None:
    """Both make the report one of a fault; one that expired in time does not."""
    late = report(
        entry(EntryType.CREATED, "r", START),
        entry(EntryType.DROPPED, "r", START + 31 * DAY, reason="expired"),
    )
    assert (late["expired"], late["classes"][1]["over_cap"], over_anything(late)) == (1, 1, True)
    still = report(
        entry(EntryType.CREATED, "r", START),
        entry(EntryType.HELD, "r", START, reason="destination_outage"),
        now=START + 31 * DAY,
    )
    [there] = still["open"]
    assert (there["reason"], there["age_seconds"]) == ("destination_outage", 31 * 86_400)
    assert there["purge_by"] == (START + 30 * DAY).isoformat()
    assert over_anything(still)
    in_time = report(
        entry(EntryType.CREATED, "r", START),
        entry(EntryType.DROPPED, "r", START + 30 * DAY, reason="expired"),
    )
    assert (in_time["expired"], over_anything(in_time)) == (1, False)


def test_what_is_open_is_held_to_the_cap_of_its_own_class() -> None:
    """Were that of rows shorter, a sealed batch would be late before a working copy is."""
    made = report(
        entry(EntryType.HELD, "r", START, batch=0, rows=5, reason="x"), now=START + 2 * DAY
    )
    assert not over_anything(made)
    rows, copies = made["classes"]
    shorter = {"cap_seconds": 86_400}
    assert over_anything({**made, "classes": [rows | shorter, copies]})
    assert not over_anything({**made, "classes": [rows, copies | shorter]})
    assert not over_anything({**made, "classes": [rows | {"cap_seconds": None}, copies | shorter]})


def test_a_sealed_batch_counts_once_by_its_end() -> None:
    """Delivered by the answer, else by what ended it; one without an end is open."""
    made = report(
        entry(EntryType.CREATED, "r", START),
        *(entry(EntryType.HELD, "r", START, batch=n, rows=5, reason="x") for n in range(3)),
        entry(EntryType.DELIVERED, "r", START + DAY, batch=0, rows=5, age_ms=86_400_000),
        entry(EntryType.PURGED, "r", START + DAY, batch=0, age_ms=86_400_000, reason="delivered"),
        entry(EntryType.EXPIRED, "r", START + 30 * DAY, batch=1, rows=5, age_ms=30 * 86_400_000),
        entry(EntryType.DROPPED, "r", START + 30 * DAY, reason="closed_anew"),
        now=START + 30 * DAY,
    )
    rows = made["classes"][0]
    assert (rows["count"], rows["over_target"], rows["over_cap"], made["expired"]) == (2, 2, 0, 1)
    [there] = made["open"]
    assert (there["class"], there["reason"]) == ("customer_data", "x")


def test_a_batch_whose_bytes_went_late_counts_once() -> None:
    """By its answer where there was one; else by the moment at which nothing of it was left."""
    for answers, age in (
        ([entry(EntryType.DELIVERED, "r", START, batch=0, rows=7, age_ms=9)], 9),
        ([], 86_400_000),
    ):
        made = report(
            entry(EntryType.HELD, "r", START, batch=0, rows=7),
            *answers,
            entry(EntryType.HELD, "r", START, batch=0, rows=7, reason="key_destroyed"),
            entry(
                EntryType.PURGED,
                "r",
                START + DAY,
                batch=0,
                rows=7,
                age_ms=86_400_000,
                reason="bytes_removed",
            ),
        )
        [rows, _] = made["classes"]
        assert (rows["count"], rows["age_at_purge_seconds"]["max"]) == (1, age / 1000)
        assert made["open"] == []


def test_a_period_counts_ends_within_it() -> None:
    """What was made before may end in it; its first moment counts and its last does not."""
    entries = [entry(EntryType.CREATED, "a", START), entry(EntryType.CREATED, "b", START)]
    entries += [
        entry(EntryType.DROPPED, "a", START + DAY),
        entry(EntryType.DROPPED, "b", START + 2 * DAY),
    ]
    made = report(*entries, since=START + DAY, until=START + 2 * DAY)
    assert made["classes"][1]["count"] == 1
    assert report(*entries, since=START + 2 * DAY)["classes"][1]["count"] == 1
    assert report(*entries, until=START + DAY)["classes"][1]["count"] == 0


def test_a_copy_made_twice_has_the_age_of_the_first() -> None:
    """And one that was never made has none."""
    made = report(
        entry(EntryType.DROPPED, "x", START),
        entry(EntryType.CREATED, "r", START),
        entry(EntryType.CREATED, "r", START + DAY),
        entry(EntryType.DROPPED, "r", START + 2 * DAY),
    )
    assert made["classes"][1]["count"] == 1
    assert made["classes"][1]["age_at_purge_seconds"]["max"] == 2 * 86_400


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 1_000)), min_size=1, max_size=30))
def test_percentiles_are_those_of_each_row(batches: list[tuple[int, int]]) -> None:
    """As if every row stood in a list by itself."""
    entries = [
        entry(EntryType.DELIVERED, "r", START, batch=n, rows=rows, age_ms=age)
        for n, (age, rows) in enumerate(batches)
    ]
    ages = sorted(age / 1000 for age, rows in batches for _ in range(rows))
    made = report(*entries)["classes"][0]["age_at_purge_seconds"]
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        place = next(n for n in range(1, len(ages) + 1) if n >= share * len(ages))
        assert made[name] == round(ages[place - 1], 3)
    assert made["max"] == round(ages[-1], 3)
