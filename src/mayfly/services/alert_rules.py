"""Which events are alerts, and which end one."""

from __future__ import annotations

from dataclasses import dataclass, field

from mayfly.domain.alerts import ERASURES, KEYS, LEDGER, PROCESSORS, Alert, AlertKind
from mayfly.services.events import (
    ErasuresDue,
    Event,
    OverTarget,
    ReviewsOverdue,
    RunEnded,
    RunStarted,
    WithdrawalsLate,
)

_KEY_CODES = frozenset(
    "keys_unavailable keys_denied key_missing key_malformed key_unknown keys_unreadable "
    "keys_too_open keys_elsewhere".split()
)
_LEDGER_CODES = frozenset(
    "ledger_inconsistent ledger_missing entry_malformed checkpoint_malformed "
    "checkpoint_unsigned".split()
)
_APPROVAL_CODES = frozenset(
    "not_approved approval_changed approvals_lock_differs approval_unsigned approval_expired "
    "approval_not_asked".split()
)
_ASKED_FOR = frozenset({"sync_paused", "run_cancelled"})
"""Codes of runs that ended because an operator said so."""
_WENT = frozenset({"succeeded", "no_changes", "partial"})
_OF_A_SYNC = (
    AlertKind.FAILED,
    AlertKind.HELD,
    AlertKind.OVER_TARGET,
    AlertKind.APPROVAL_WAITING,
    AlertKind.WITHDRAWAL_LATE,
    AlertKind.CLEAR_VALUE_FOUND,
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """An alert that is raised, or that has cleared."""

    alert: Alert
    raised: bool


def kind_of_code(code: str) -> AlertKind | None:
    """The kind of alert that a code of its own has; None where it is one of many failures."""
    if code in _KEY_CODES:
        return AlertKind.KEYS_UNAVAILABLE
    if code in _LEDGER_CODES:
        return AlertKind.LEDGER_INCONSISTENT
    if code == "withheld_threshold":
        return AlertKind.CLEAR_VALUE_FOUND
    return AlertKind.APPROVAL_WAITING if code in _APPROVAL_CODES else None


def alert_of_opening(code: str, target: str) -> Alert | None:
    """What is told where a project cannot be opened; None for what no alert is about."""
    kind = kind_of_code(code)
    if kind is None:
        return None
    return Alert(kind=kind, subject=_subject(kind, ""), target=target, code=code)


@dataclass(kw_only=True)
class AlertRules:
    """Keeps in mind which runs are dry, and what each run has raised until its end."""

    _dry: set[str] = field(default_factory=set)
    _raised: dict[str, set[AlertKind]] = field(default_factory=dict)

    def changes(self, event: Event) -> list[Change]:
        """What an event raises and clears."""
        match event:
            case RunStarted():
                self._raised[event.sync] = set()
                if event.dry:
                    self._dry.add(event.run)
            case WithdrawalsLate():
                return self._raise(event, AlertKind.WITHDRAWAL_LATE, code="", count=event.late)
            case OverTarget():
                return self._raise(
                    event, AlertKind.OVER_TARGET, code=event.what, count=int(event.seconds)
                )
            case ReviewsOverdue():
                kind = AlertKind.REVIEW_OVERDUE
                alert = Alert(
                    kind=kind, subject=PROCESSORS, target=event.target, count=event.overdue
                )
                return [Change(alert=alert, raised=event.overdue > 0)]
            case ErasuresDue():
                kind = AlertKind.ERASURE_DUE
                alert = Alert(kind=kind, subject=ERASURES, target=event.target, count=event.due)
                return [Change(alert=alert, raised=event.due > 0)]
            case RunEnded() if event.run in self._dry:
                self._dry.discard(event.run)
            case RunEnded():
                return self._ended(event)
        return []

    def _ended(self, event: RunEnded) -> list[Change]:
        raised = []
        if event.clear_values:
            raised += self._raise(
                event, AlertKind.CLEAR_VALUE_FOUND, code=event.code, count=event.clear_values
            )
        if event.status == "held" and kind_of_code(event.code) is None:
            raised += self._raise(event, AlertKind.HELD, code=event.code, count=event.held)
        elif event.status not in _WENT and event.code not in _ASKED_FOR:
            kind = kind_of_code(event.code) or AlertKind.FAILED
            raised += self._raise(event, kind, code=event.code or event.status, count=0)
        return [*raised, *self._cleared(event)]

    def _cleared(self, event: RunEnded) -> list[Change]:
        """A run that went clears what it has not raised itself."""
        kept = self._raised.pop(event.sync, set())
        if event.status not in _WENT:
            return []
        over = [kind for kind in _OF_A_SYNC if kind not in kept]
        over += [AlertKind.KEYS_UNAVAILABLE, AlertKind.LEDGER_INCONSISTENT]
        return [
            Change(
                alert=Alert(kind=kind, subject=_subject(kind, event.sync), target=event.target),
                raised=False,
            )
            for kind in over
        ]

    def _raise(
        self,
        event: RunEnded | WithdrawalsLate | OverTarget,
        kind: AlertKind,
        *,
        code: str,
        count: int,
    ) -> list[Change]:
        self._raised.setdefault(event.sync, set()).add(kind)
        alert = Alert(
            kind=kind,
            subject=_subject(kind, event.sync),
            target=event.target,
            code=code,
            run=event.run,
            count=count,
        )
        return [Change(alert=alert, raised=True)]


def _subject(kind: AlertKind, sync: str) -> str:
    match kind:
        case AlertKind.KEYS_UNAVAILABLE:
            return KEYS
        case AlertKind.LEDGER_INCONSISTENT:
            return LEDGER
        case _:
            return sync
