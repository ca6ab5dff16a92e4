"""What is asked for one person, when it is due, and how far each destination is with it."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

REMIND_DAYS = 7
_CCPA_DAYS = 45


class RequestKind(StrEnum):
    """What is asked for."""

    ERASURE = "erasure"
    OBJECTION = "objection"
    RESTRICTION = "restriction"


class Regulation(StrEnum):
    """Whose time limit holds."""

    GDPR = "gdpr"
    CCPA = "ccpa"


class Extension(StrEnum):
    """Why a request takes longer, as GDPR Article 12(3) and the CCPA let it."""

    COMPLEXITY = "complexity"
    NUMBER = "number"


class StepStatus(StrEnum):
    """How far a destination is.

    `confirmed` only where it answered for this very person; a count, or an answer for the whole
    request, is `accepted`.
    """

    NEVER_SENT = "never_sent"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


ANSWERED = (
    StepStatus.NEVER_SENT,
    StepStatus.ACCEPTED,
    StepStatus.CONFIRMED,
    StepStatus.UNSUPPORTED,
)
"""What nothing more is asked of a destination for."""


@dataclass(frozen=True, kw_only=True)
class ErasureRequest:
    """One request, without the person: ids, codes and times.

    Args:
        request: its id.
        target: that it was made under.
        kind, regulation: see there.
        received_at: in UTC; the time limit begins then.
        due_at: when it ends.
        extension: why it was made longer; empty where it was not.
        ended_at: when the last step was done, or it was cancelled; None while one is open.
        cancelled: whether it was, before anybody was asked.
    """

    request: str
    target: str
    kind: RequestKind
    regulation: Regulation
    received_at: datetime
    due_at: datetime
    extension: str = ""
    ended_at: datetime | None = None
    cancelled: bool = False

    def days_left(self, now: datetime) -> int:
        """Whole days until it is due; less than 0 where it is overdue."""
        return (self.due_at - now) // timedelta(days=1)

    def needs_attention(self, now: datetime) -> bool:
        """Whether it is open and due soon, or overdue."""
        return self.ended_at is None and self.days_left(now) < REMIND_DAYS

    def extended(self, why: Extension) -> ErasureRequest:
        """The request with the longer time limit; once only.

        Raises:
            ValueError: it was made longer before.
        """
        if self.extension:
            raise ValueError("a request is extended once")
        due = due_at(self.regulation, self.received_at, extended=True)
        return replace(self, due_at=due, extension=why.value)


@dataclass(frozen=True, kw_only=True)
class ErasureStep:
    """One sync's part of a request.

    Args:
        sync: id of the sync.
        destination: its name.
        status: see there.
        rows: rows of the state that were found to be the person's.
        code: of what is in the way, or of why it is not supported; empty where nothing is.
        forgotten: whether nothing of the person is left in the sync's state.
        changed_at: in UTC.
    """

    sync: str
    destination: str
    status: StepStatus
    rows: int = 0
    code: str = ""
    forgotten: bool = False
    changed_at: datetime

    @property
    def was_asked(self) -> bool:
        """Whether its destination was, or may have been, asked."""
        return self.rows > 0 or self.status in (
            StepStatus.ACCEPTED,
            StepStatus.CONFIRMED,
            StepStatus.UNSUPPORTED,
        )

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done."""
        return self.forgotten and self.status in ANSWERED


def due_at(regulation: Regulation, received_at: datetime, *, extended: bool = False) -> datetime:
    """The end of the time limit: GDPR one month, three where it is extended; CCPA 45 days, 90."""
    if regulation is Regulation.CCPA:
        return received_at + timedelta(days=_CCPA_DAYS * (2 if extended else 1))
    return _months_later(received_at, 3 if extended else 1)


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day so many months on, or that month's last."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
