"""What a list of consent events says at a moment, one rule at a time."""

from __future__ import annotations

from typing import Any

import pytest

from mayfly.domain.consent import ConsentEvent, Spellings, consent_at

NOW = 1_000
RULES = Spellings(purposes=("ads",), granted=("given", True), unknown=("asked",))


def event(state: Any, at: int | None, **more: Any) -> ConsentEvent:
    """One about ads."""
    return ConsentEvent(**({"purpose": "ads", "state": state, "at_us": at} | more))


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], None),
        ([event("given", 1)], True),
        ([event("given", NOW)], True),
        ([event("given", 1), event("withdrawn", 2)], False),
        ([event("withdrawn", 1), event("given", 2)], True),
        ([event("given", 2), event("given", 2)], True),
        ([event("given", 2), event("withdrawn", 2)], None),
        ([event("withdrawn", 1), event("given", NOW + 1)], None),
        ([event("given", 1), event("withdrawn", NOW + 1)], None),
        ([event("given", 1), event("given", None)], None),
        ([event(None, 1)], None),
        ([event("asked", 1)], None),
        ([event("Given", 1)], False),
        ([event(1, 1)], False),
        ([event(True, 1)], True),
        ([event("given", 1, purpose="mail")], None),
        ([event("given", 1), event("given", 2, purpose=None)], None),
        ([event("given", 2), event("withdrawn", 1, purpose=None)], True),
    ],
)
def test_the_latest_event_wins_and_what_is_not_known_is_no(
    events: list[ConsentEvent], said: bool | None
) -> None:
    """Ties that differ, the future, and what lacks a time, a state or a purpose say nothing."""
    assert consent_at(events, RULES, NOW) is said


@pytest.mark.parametrize(
    ("until", "without_end", "said"),
    [
        *((NOW + 1, False, True), (NOW, False, None), (1, False, None), (None, False, None)),
        *((None, True, True), (NOW, True, None)),
    ],
)
def test_a_grant_that_is_over_says_nothing(
    until: int | None, without_end: bool, said: bool | None
) -> None:
    """Nor does one of no end, unless that is declared to mean for ever."""
    rules = Spellings(purposes=("ads",), granted=("given",), ends=True, without_end=without_end)
    assert consent_at([event("given", 1, until_us=until)], rules, NOW) is said
    assert consent_at([event("withdrawn", 1, until_us=until)], rules, NOW) is False


def test_only_grants_need_a_source() -> None:
    """Whoever withdraws is believed, wherever it came from."""
    rules = Spellings(purposes=("ads",), granted=("given",), sources=("web",))
    for source, said in (("web", True), ("shop", None), (None, None)):
        assert consent_at([event("given", 1, source=source)], rules, NOW) is said
        assert consent_at([event("withdrawn", 1, source=source)], rules, NOW) is False
