"""Requests for a person: when they are due, and when they remind of themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mayfly.domain.erasures import (
    ErasureRequest,
    ErasureStep,
    Extension,
    Regulation,
    RequestKind,
    StepStatus,
    due_at,
)

RECEIVED = datetime(2026, 11, 30, 9, tzinfo=UTC)


def request(regulation: Regulation = Regulation.GDPR) -> ErasureRequest:
    """Received on the last day of November."""
    return ErasureRequest(
        request="r",
        target="dev",
        kind=RequestKind.ERASURE,
        regulation=regulation,
        received_at=RECEIVED,
        due_at=due_at(regulation, RECEIVED),
    )


@pytest.mark.parametrize(
    ("regulation", "due", "longer"),
    [
        (Regulation.GDPR, datetime(2026, 12, 30, 9), datetime(2027, 2, 28, 9)),
        (Regulation.CCPA, datetime(2027, 1, 14, 9), datetime(2027, 2, 28, 9)),
    ],
)
def test_a_time_limit_is_made_longer_once(
    regulation: Regulation, due: datetime, longer: datetime
) -> None:
    """A month, the last of a short one included, or 45 days; three months, or 90 days."""
    asked = request(regulation)
    assert asked.due_at == due.replace(tzinfo=UTC)
    extended = asked.extended(Extension.COMPLEXITY)
    assert (extended.due_at, extended.extension) == (longer.replace(tzinfo=UTC), "complexity")
    with pytest.raises(ValueError, match="once"):
        extended.extended(Extension.NUMBER)


def test_it_reminds_of_itself_in_its_last_week_and_after() -> None:
    """Of what has ended nobody is reminded."""
    asked = request()
    assert not asked.needs_attention(asked.due_at - timedelta(days=7))
    assert asked.needs_attention(asked.due_at - timedelta(days=6, hours=23))
    assert asked.days_left(asked.due_at + timedelta(hours=1)) == -1


@pytest.mark.parametrize("status", list(StepStatus))
def test_a_step_is_done_only_when_it_was_answered_and_is_forgotten(status: StepStatus) -> None:
    """What is asked for, or failed, never counts as done."""
    open_ = status in (StepStatus.REQUESTED, StepStatus.FAILED)
    step = ErasureStep(sync="s", destination="d", status=status, changed_at=RECEIVED)
    assert not step.is_done
    assert replace(step, forgotten=True).is_done is not open_
