"""Which events are alerts, and which end one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mayfly.domain.alerts import AlertKind
from mayfly.ports.ledger import OpenBatch, OpenCopy
from mayfly.services.alert_rules import AlertRules, Change, alert_of_opening
from mayfly.services.events import (
    ErasuresDue,
    OverTarget,
    ReviewsOverdue,
    RunEnded,
    RunStarted,
    WithdrawalsLate,
)
from mayfly.services.over_target import rows_over_target, waiting_over_target

STARTED = RunStarted(sync="to_crm", target="dev", run="r1", mode="upsert", dry=False)
ENDED = RunEnded(
    sync="to_crm",
    target="dev",
    run="r1",
    status="succeeded",
    code="",
    batches=1,
    planned=3,
    delivered=3,
    rejected=0,
    held=0,
    seconds=1.0,
)
LATE = WithdrawalsLate(sync="to_crm", target="dev", run="r1", late=2, waiting=0, seconds=90_000.0)
OVER = OverTarget(sync="to_crm", target="dev", run="r1", what="copy", seconds=90_000.0)
OF_NO_RUN = {AlertKind.REVIEW_OVERDUE, AlertKind.ERASURE_DUE}
"""No run that went clears them."""
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def raised(changes: list[Change]) -> dict[str, tuple[str, str, int]]:
    """What was raised: subject, code and count by kind."""
    found = [c.alert for c in changes if c.raised]
    return {a.kind.value: (a.subject, a.code, a.count) for a in found}


def cleared(changes: list[Change]) -> set[AlertKind]:
    """Kinds that have cleared."""
    return {c.alert.kind for c in changes if not c.raised}


@pytest.mark.parametrize(
    ("status", "code", "kind", "subject"),
    [
        ("failed", "destination_refused", "failed", "to_crm"),
        ("refused", "mass_change", "failed", "to_crm"),
        ("in_doubt", "in_doubt", "failed", "to_crm"),
        ("held", "destination_unreachable", "held", "to_crm"),
        ("refused", "not_approved", "approval_waiting", "to_crm"),
        ("refused", "approval_changed", "approval_waiting", "to_crm"),
        ("refused", "withheld_threshold", "clear_value_found", "to_crm"),
        ("held", "keys_unavailable", "keys_unavailable", "keys"),
        ("refused", "keys_denied", "keys_unavailable", "keys"),
        ("failed", "ledger_inconsistent", "ledger_inconsistent", "ledger"),
    ],
)
def test_an_end_is_one_alert(status: str, code: str, kind: str, subject: str) -> None:
    """Of the kind that its status and code say, and nothing clears by it."""
    changes = AlertRules().changes(replace(ENDED, status=status, code=code))
    assert raised(changes) == {kind: (subject, code, 0)}
    assert cleared(changes) == set()


@pytest.mark.parametrize(
    ("status", "code"), [("cancelled", "run_cancelled"), ("refused", "sync_paused")]
)
def test_what_an_operator_asked_for_is_no_alert(status: str, code: str) -> None:
    """Of a pause and of a run that was cancelled nobody is told."""
    assert AlertRules().changes(replace(ENDED, status=status, code=code)) == []


def test_a_run_that_went_clears_every_kind() -> None:
    """Of its sync, and of keys and ledger, without which it would not have gone; of sub-processors
    a sweep alone knows.
    """
    assert cleared(AlertRules().changes(ENDED)) == set(AlertKind) - OF_NO_RUN


def test_what_a_run_raised_its_own_end_does_not_clear() -> None:
    """Late withdrawals and clear values of a run that delivered the rest; the next one clears."""
    rules = AlertRules()
    assert rules.changes(STARTED) == []
    assert raised(rules.changes(LATE)) == {"withdrawal_late": ("to_crm", "", 2)}
    changes = rules.changes(replace(ENDED, status="partial", withheld_guard=3, clear_values=2))
    assert raised(changes) == {"clear_value_found": ("to_crm", "", 2)}
    kept = {AlertKind.WITHDRAWAL_LATE, AlertKind.CLEAR_VALUE_FOUND}
    assert cleared(changes) == set(AlertKind) - kept - OF_NO_RUN
    rules.changes(STARTED)
    assert cleared(rules.changes(ENDED)) >= kept


def test_what_waits_too_long_is_an_alert() -> None:
    """With its age; what was found before a run, the run clears."""
    rules = AlertRules()
    assert raised(rules.changes(OVER)) == {"over_target": ("to_crm", "copy", 90_000)}
    rules.changes(STARTED)
    assert AlertKind.OVER_TARGET in cleared(rules.changes(ENDED))


def test_a_dry_run_is_no_alert() -> None:
    """It neither raises nor clears."""
    rules = AlertRules()
    rules.changes(replace(STARTED, dry=True))
    assert rules.changes(replace(ENDED, status="failed", code="x")) == []


@pytest.mark.parametrize(
    ("code", "subject"), [("keys_unavailable", "keys"), ("ledger_inconsistent", "ledger")]
)
def test_a_project_that_does_not_open_is_an_alert(code: str, subject: str) -> None:
    """Where its keys or its ledger are why."""
    found = alert_of_opening(code, "dev")
    assert found is not None
    assert (found.kind.value, found.subject) == (code, subject)
    assert alert_of_opening("store_unavailable", "dev") is None


def copy(hours: float, run: str) -> OpenCopy:
    """A working copy of that age."""
    return OpenCopy(sync="id", target="dev", run=run, created_at=NOW - timedelta(hours=hours))


def batch(hours: float, run: str, number: int = 0) -> OpenBatch:
    """A sealed batch of that age."""
    at = NOW - timedelta(hours=hours)
    return OpenBatch(sync="id", target="dev", run=run, batch=number, rows=1, held_at=at)


def test_targets_are_8_hours_for_rows_and_24_for_copies() -> None:
    """Exactly at its target nothing is late; of a run the oldest batch is told."""
    copies = [copy(24, "r1"), copy(24.01, "r2")]
    batches = [batch(8, "r3"), batch(8.01, "r4"), batch(9, "r4", 1)]
    found = waiting_over_target(copies, batches, {"id": "to_crm"}, NOW)
    assert [(e.sync, e.run, e.what, e.seconds) for e in found] == [
        ("to_crm", "r2", "copy", 86_436.0),
        ("to_crm", "r4", "sealed", 32_400.0),
    ]
    assert rows_over_target("s", "dev", "r", 28_800.0) == []
    assert [e.seconds for e in rows_over_target("s", "dev", "r", 28_801.0)] == [28_801.0]


def test_a_late_review_is_raised_by_one_sweep_and_cleared_by_another() -> None:
    """How many there are, of the whole register; none clears it."""
    rules = AlertRules()
    late = rules.changes(ReviewsOverdue(target="dev", overdue=2))
    assert raised(late) == {"review_overdue": ("processors", "", 2)}
    over = rules.changes(ReviewsOverdue(target="dev", overdue=0))
    assert cleared(over) == {AlertKind.REVIEW_OVERDUE}


def test_requests_that_are_due_are_raised_until_none_is() -> None:
    """How many there are, of the target."""
    rules = AlertRules()
    due = rules.changes(ErasuresDue(target="dev", due=3))
    assert raised(due) == {"erasure_due": ("erasures", "", 3)}
    assert cleared(rules.changes(ErasuresDue(target="dev", due=0))) == {AlertKind.ERASURE_DUE}
