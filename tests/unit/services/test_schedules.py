"""When syncs are to run: intervals, cron, zones and the days on which their clocks leap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.services.schedules import parse_schedule

TICKS = {
    "an interval is counted from 1970": (
        "every 15 minutes",
        "2026-03-01T12:07:00+00:00",
        ["2026-03-01T12:15", "2026-03-01T12:30"],
    ),
    "a tick is not after itself": (
        "every 2 hours",
        "2026-03-01T12:00:00+00:00",
        ["2026-03-01T14:00", "2026-03-01T16:00"],
    ),
    "cron without a zone is in UTC": (
        "0 6 * * *",
        "2026-03-01T06:00:00+00:00",
        ["2026-03-02T06:00", "2026-03-03T06:00"],
    ),
    "a zone's hour stays where its clock leaps forward": (
        "0 6 * * * Europe/Paris",
        "2026-03-28T00:00:00+00:00",
        ["2026-03-28T05:00", "2026-03-29T04:00", "2026-03-30T04:00"],
    ),
    "a time that a day does not have is at the leap": (
        "30 2 * * * Europe/Paris",
        "2026-03-28T12:00:00+00:00",
        ["2026-03-29T01:00", "2026-03-30T00:30"],
    ),
    "a time that a day has twice is the first": (
        "30 2 * * * Europe/Paris",
        "2026-10-24T12:00:00+00:00",
        ["2026-10-25T00:30", "2026-10-26T01:30"],
    ),
    "every half hour leaves none out where the clock goes back": (
        "*/30 * * * * Europe/Paris",
        "2026-10-25T00:00:00+00:00",
        ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"],
    ),
    "a day that only leap years have": (
        "0 0 29 2 *",
        "2026-03-01T00:00:00+00:00",
        ["2028-02-29T00:00", "2032-02-29T00:00"],
    ),
}


@pytest.mark.parametrize("name", TICKS)
def test_ticks(name: str) -> None:
    """The first ones after a time, in UTC."""
    text, after, expected = TICKS[name]
    schedule, at, found = parse_schedule(text), datetime.fromisoformat(after), []
    for _ in expected:
        at = schedule.after(at)
        assert at.utcoffset() == timedelta()
        found.append(f"{at:%Y-%m-%dT%H:%M}")
    assert found == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every 0 minutes", "interval"),
        ("every 15 Minutes", "interval"),
        ("every 31 days", "30 days"),
        ("every 99999 hours", "30 days"),
        ("@daily", "interval"),
        ("0 6 * *", "interval"),
        ("* * * * * *", "interval"),
        ("61 * * * *", "cron"),
        ("0 0 31 2 *", "cron"),
        ("0 6 * * * Europe/Pari", "zone"),
        ("0 6 * * * Europe", "zone"),
        ("0 6 * * *  UTC", "interval"),
        ("0 6 * * *\n", "interval"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    """Each is refused, with what was wrong and without its text."""
    with pytest.raises(ValueError, match=said) as caught:
        parse_schedule(text)
    assert text not in str(caught.value)


@given(
    st.sampled_from(
        ["every 7 minutes", "17 3 * * * America/Sao_Paulo", "*/5 2 * * 0 Europe/Lisbon"]
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_tick_is_later_and_the_same_from_anywhere_before_it(
    text: str, at: datetime
) -> None:
    """So that two machines whose clocks differ by a little name one tick alike."""
    schedule = parse_schedule(text)
    tick = schedule.after(at)
    assert tick > at
    assert schedule.after(at + (tick - at) / 2) == tick
