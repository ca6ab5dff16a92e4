"""When a version of the key has served, and when it is destroyed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.ports.keys import KeyVersion
from mayfly.ports.ledger import KeyTimes
from mayfly.services.key_epoch import EpochActs, epoch_acts, is_perhaps_due

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY


def versions(*ids: str, made: datetime | None = None) -> list[KeyVersion]:
    """Enabled ones."""
    return [KeyVersion(id=id_, state="enabled", created=made) for id_ in ids]


def times(*destroyed: str, **days: float) -> KeyTimes:
    """On record, so many days after the start; names have a `v` here."""
    since = {name[1:]: START + day * DAY for name, day in days.items()}
    return KeyTimes(since=since, destroyed=frozenset(destroyed))


def acts(enabled: list[KeyVersion], known: KeyTimes, day: float) -> EpochActs:
    """What is due then; where anything is, the ledger alone gives reason to ask."""
    found = epoch_acts(enabled, known, epoch=WEEK, now=START + day * DAY)
    if found != NOTHING:
        assert is_perhaps_due(known, epoch=WEEK, now=START + day * DAY)
    return found


NOTHING = EpochActs(rotate=False, rewrap=False, destroy=[])


@pytest.mark.parametrize(("day", "due"), [(0, False), (6.99, False), (7, True), (90, True)])
def test_a_version_wraps_for_one_epoch(day: float, due: bool) -> None:
    """Counted from the rewrap under it, not from its making."""
    found = acts(versions("1", made=START - 99 * DAY), times(v1=0), day)
    assert found == EpochActs(rotate=due, rewrap=due, destroy=[])
    assert is_perhaps_due(times(v1=0), epoch=WEEK, now=START + day * DAY) is due


def test_the_first_epoch_begins_with_the_version_where_that_tells_its_age() -> None:
    """Else with the entry that names it."""
    old, new = START - 8 * DAY, START - DAY
    nothing = times()
    assert acts(versions("1", made=old), nothing, 0) == EpochActs(
        rotate=True, rewrap=True, destroy=[]
    )
    for made in (new, None):
        found = acts(versions("1", made=made), nothing, 0)
        assert found == EpochActs(rotate=False, rewrap=True, destroy=[])


@pytest.mark.parametrize(("day", "gone"), [(8, []), (13.99, []), (14, ["1"]), (30, ["1"])])
def test_a_version_is_destroyed_an_epoch_after_the_rewrap_under_the_next(
    day: float, gone: list[str]
) -> None:
    """Never the newest, whatever its age."""
    found = acts(versions("1", "2"), times(v1=0, v2=7), day)
    assert (found.destroy, found.rotate) == (gone, bool(gone))


def test_a_rotation_by_hand_puts_nothing_off() -> None:
    """The older ones end when they would have; all that a later rewrap covers do."""
    enabled, known = versions("1", "2", "3"), times(v1=0, v2=3, v3=9)
    assert acts(enabled, known, 9.5) == NOTHING
    assert acts(enabled, known, 10) == EpochActs(rotate=False, rewrap=True, destroy=["1"])
    assert acts(enabled, known, 16) == EpochActs(rotate=True, rewrap=True, destroy=["1", "2"])


def test_a_version_that_was_made_and_not_recorded_is() -> None:
    """A process died between the two: all is rewrapped, and no third version made."""
    found = acts(versions("1", "2", made=START + 7 * DAY), times(v1=0), 7.5)
    assert found == EpochActs(rotate=False, rewrap=True, destroy=[])


def test_nobody_is_asked_where_nothing_is_due() -> None:
    """Nor again for what was destroyed."""
    now = START + 15 * DAY
    assert not is_perhaps_due(times("1", v1=0, v2=7, v3=14), epoch=WEEK, now=now)
    assert is_perhaps_due(times(v1=0, v2=7, v3=14), epoch=WEEK, now=now)


def test_without_a_version_that_is_enabled_nothing_is_done() -> None:
    """The provider refuses the next act itself."""
    assert acts([], times(v1=0), 90) == EpochActs(rotate=False, rewrap=False, destroy=())


@given(hours=st.lists(st.integers(1, 100), max_size=60))
def test_nothing_wraps_or_is_left_beyond_its_time(hours: list[int]) -> None:
    """Played with commands at any times: at each, the newest is younger than an epoch, and none
    that is there was superseded an epoch ago.
    """
    enabled, since, destroyed = versions("1"), {}, set()
    now, made = START, 1
    for hour in [1, *hours]:
        now += timedelta(hours=hour)
        known = KeyTimes(since=dict(since), destroyed=frozenset(destroyed))
        if not is_perhaps_due(known, epoch=WEEK, now=now):
            found = NOTHING
        else:
            found = epoch_acts(enabled, known, epoch=WEEK, now=now)
        if found.rotate:
            made += 1
            enabled = [*enabled, *versions(str(made))]
        if found.rewrap:
            since.setdefault(str(made), now)
        destroyed |= set(found.destroy)
        enabled = [v for v in enabled if v.id not in destroyed]
        assert now - since[enabled[-1].id] < WEEK
        assert all(now - since[str(int(v.id) + 1)] < WEEK for v in enabled[:-1])
