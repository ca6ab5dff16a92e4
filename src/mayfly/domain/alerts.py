"""What an operator is told of without asking: a kind, ids, a code and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What happened."""

    FAILED = "failed"  # a run failed, was refused, or left batches in doubt
    HELD = "held"  # a run waits for a destination or a warehouse
    OVER_TARGET = "over_target"  # rows or a working copy stayed longer than their target
    APPROVAL_WAITING = "approval_waiting"  # a run asks for an approval
    KEYS_UNAVAILABLE = "keys_unavailable"  # a key is missing, denied or out of reach
    WITHDRAWAL_LATE = "withdrawal_late"  # withdrawals were not answered within a day
    CLEAR_VALUE_FOUND = "clear_value_found"  # the guard withheld a value in clear
    LEDGER_INCONSISTENT = "ledger_inconsistent"  # the ledger does not verify
    REVIEW_OVERDUE = "review_overdue"  # the security of a sub-processor was to be reviewed
    ERASURE_DUE = "erasure_due"  # a request for a person is due soon, or overdue


KEYS = "keys"
LEDGER = "ledger"
PROCESSORS = "processors"
ERASURES = "erasures"
"""Subjects of what is not about one sync."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something to tell.

    Args:
        kind: what happened.
        subject: name of the sync, or `keys`, `ledger`, `processors` or `erasures`.
        target: the target it happened under.
        code: of ours; empty where there is none.
        run: id of the run; empty where it is about none.
        count: how many rows, or seconds over a target; 0 where there is nothing to count.
    """

    kind: AlertKind
    subject: str
    target: str
    code: str = ""
    run: str = ""
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class Notice:
    """An alert as a channel is told of it.

    Args:
        id: the same each time the notice is sent.
        state: `raised`, `cleared`, or `test`.
        alert: what it is about; of one that is cleared kind, subject and target alone.
        workspace: name of the workspace.
        at: when, in UTC.
    """

    id: str
    state: str
    alert: Alert
    workspace: str
    at: datetime

    def to_dict(self) -> dict[str, str | int]:
        """Its fields, as a webhook gets them."""
        return {
            "state": self.state,
            "kind": self.alert.kind.value,
            "workspace": self.workspace,
            "target": self.alert.target,
            "subject": self.alert.subject,
            "code": self.alert.code,
            "run": self.alert.run,
            "count": self.alert.count,
        }

    def title(self) -> str:
        """One line for people."""
        alert = self.alert
        return f"mayfly {self.workspace}: {alert.kind.value} {self.state}, {alert.subject}"

    def lines(self) -> list[str]:
        """What is known, one line each."""
        told = [f"{key}: {value}" for key, value in self.to_dict().items() if value not in ("", 0)]
        return [*told, f"at: {self.at.isoformat(timespec='seconds')}"]


@dataclass(frozen=True, kw_only=True)
class OpenAlert:
    """An alert that one channel was told of, or should have been, and that has not cleared.

    Args:
        channel, kind, subject, target: which it is.
        since: when it was first raised.
        told_at: when the channel was last told, or was to be.
        failure: why it could not be; `sending` while it is tried; empty once it was.
    """

    channel: str
    kind: str
    subject: str
    target: str
    since: datetime
    told_at: datetime
    failure: str
