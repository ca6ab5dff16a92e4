"""Which runs a schedule asks for, whatever becomes of the earlier ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mayfly.domain.runs import Ticking
from mayfly.services.ticks import Seen, begun, ended, first_tick, ticked

TEXT = "every 15 minutes"
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DONE = Seen(status="succeeded")


def at(minutes: float) -> datetime:
    """So long after the beginning."""
    return BEGAN + timedelta(minutes=minutes)


def known() -> Ticking:
    """As first seen at the beginning."""
    return first_tick("vip", "dev", TEXT, at(0))


def test_nothing_is_asked_for_before_the_first_tick() -> None:
    """Nor is anything noted where nothing is due."""
    assert known().next_at == at(15)
    assert ticked(known(), TEXT, Seen(), at(14)) == known()


def test_a_tick_asks_for_a_run_until_it_has_ended() -> None:
    """Under the time of the tick, whenever somebody looked."""
    asked = ticked(known(), TEXT, DONE, at(15.5))
    assert (asked.asked_at, asked.next_at, asked.dropped) == (at(15), at(30), 0)
    assert ticked(asked, TEXT, DONE, at(16)) == asked
    over = ended(begun(asked))
    assert (over.asked_at, over.attempts) == (None, 0)


def test_ticks_that_nobody_was_there_for_are_one() -> None:
    """After a night, one run and not forty."""
    asked = ticked(known(), TEXT, DONE, at(600))
    assert (asked.asked_at, asked.next_at, asked.dropped) == (at(15), at(615), 0)


@pytest.mark.parametrize("status", ["running", "in_doubt", "held"])
def test_a_tick_while_something_goes_on_is_dropped_and_counted(status: str) -> None:
    """What is in doubt or held counts as what runs."""
    found = ticked(known(), TEXT, Seen(status=status), at(15))
    assert (found.asked_at, found.next_at, found.dropped) == (None, at(30), 1)
    waiting = ticked(replace(known(), asked_at=at(0)), TEXT, DONE, at(15))
    assert (waiting.asked_at, waiting.dropped) == (at(0), 1)


def test_a_paused_sync_ticks_not() -> None:
    """And drops nothing; once it is resumed, it is the next tick that asks."""
    paused = ticked(known(), TEXT, Seen(status="succeeded", paused=True), at(15))
    assert (paused.asked_at, paused.next_at, paused.dropped) == (None, at(30), 0)
    assert ticked(paused, TEXT, DONE, at(20)).asked_at is None
    assert ticked(paused, TEXT, DONE, at(30)).asked_at == at(30)
    for seen in (Seen(status="held", paused=True), Seen(interrupted=True, paused=True)):
        assert ticked(known(), TEXT, seen, at(1)) == known()


def test_what_is_held_is_asked_for_with_longer_and_longer_pauses() -> None:
    """Without a tick, and from the first pause again once it was not held."""
    held, now, pauses, one = Seen(status="held"), at(0), [], known()
    for _ in range(3):
        one = ticked(one, TEXT, held, now)
        assert one.again_at is not None
        pauses.append((one.again_at - now).total_seconds())
        assert ticked(one, TEXT, held, one.again_at - timedelta(seconds=1)).asked_at is None
        now = one.again_at
        one = ticked(one, TEXT, held, now)
        assert one.asked_at == now
        one = ended(begun(one))
    assert pauses == [5.0, 10.0, 20.0]
    over = ticked(one, TEXT, DONE, now)
    assert (over.probes, over.again_at, over.asked_at) == (0, None, None)


def test_a_pause_that_the_destination_asked_for_is_kept() -> None:
    """It is asked no earlier, though ours would be shorter."""
    held = Seen(status="held", asked_again_at=at(10))
    assert ticked(known(), TEXT, held, at(0)).again_at == at(10)


def test_what_was_interrupted_is_asked_for_at_once() -> None:
    """Its process ended without a word: nobody else goes on with it."""
    seen = Seen(status="running", interrupted=True)
    assert ticked(known(), TEXT, seen, at(1)).asked_at == at(1)


def test_another_schedule_begins_anew() -> None:
    """What was asked for under the old one stays asked for."""
    one = replace(known(), asked_at=at(0), dropped=3)
    other = ticked(one, "every 2 hours", DONE, at(20))
    assert (other.next_at, other.asked_at, other.dropped) == (at(120), at(0), 3)
