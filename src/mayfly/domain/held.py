"""A batch that must wait outside the warehouse: what is known of it besides its sealed rows.

Only ids, names, counts and times: no value of a row and no digest of one can enter, since every
text is held to the short alphabet of identifiers that entries of the ledger have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from mayfly.domain.retention import LIMITS, RetentionClass

_ID = re.compile(r"[0-9a-f]{32}")
_TEXT = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
_NEEDED = ("workspace", "sync", "run", "operation")
_COUNT_MAX = 2**53 - 1


class HoldException(StrEnum):
    """The only two reasons for which customer data may wait beyond its target."""

    DESTINATION_OUTAGE = "destination_outage"
    SCHEMA_PENDING_APPROVAL = "schema_pending_approval"


# An append is in doubt where its destination went away with the answer.
_EXCEPTED = frozenset((*HoldException, "in_doubt"))


@dataclass(frozen=True, kw_only=True)
class HeldBatch:
    """One batch in the spool.

    Args:
        id: 32 hexadecimal digits, unique to this batch of this run.
        workspace: id of the workspace.
        region: region of the worker; empty where none is configured.
        target: the target the run worked on; may be empty.
        sync: id of the sync.
        run: id of the run.
        batch: number of the batch in its run.
        operation: the batch's kind of change.
        identifier: field of the identifier that a removal is about; None where it is about rows.
        rows: how many rows it holds.
        cls: customer data or temporary data.
        exception: why it may wait beyond the target of its class; None where nothing was named.
        read_at_ms: when the first of its rows was read from the source, ms since 1970 in UTC.
        purge_by_ms: when it must be gone; at most the cap of its class after `read_at_ms`. It is
            set once: no retry, and no second hold of the same batch, moves it.

    Raises:
        ValueError: a field holds anything else. The message names it and never repeats its text.
    """

    id: str
    workspace: str
    region: str
    target: str
    sync: str
    run: str
    batch: int
    operation: str
    identifier: str | None
    rows: int
    cls: RetentionClass
    exception: HoldException | None
    read_at_ms: int
    purge_by_ms: int

    def __post_init__(self) -> None:
        if not _matches(_ID, self.id):
            raise ValueError("held batch id must be 32 hexadecimal digits")
        self._check_texts()
        for name in ("batch", "rows", "read_at_ms", "purge_by_ms"):
            number = getattr(self, name)
            if type(number) is not int or not 0 <= number <= _COUNT_MAX:
                raise ValueError(f"held batch {name} must be a count from 0")
        if not isinstance(self.cls, RetentionClass):
            raise ValueError("held batch cls must be a retention class")
        if self.exception is not None and not isinstance(self.exception, HoldException):
            raise ValueError("held batch exception must be one of the two, or none")
        cap_ms = latest_purge_ms(self.read_at_ms, self.cls, HoldException.DESTINATION_OUTAGE)
        if not self.read_at_ms < self.purge_by_ms <= cap_ms:
            raise ValueError("held batch purge_by_ms must lie within the cap after read_at_ms")

    def _check_texts(self) -> None:
        for name in ("workspace", "region", "target", "sync", "run", "operation", "identifier"):
            text = getattr(self, name)
            if text is None and name == "identifier":
                continue
            if not _matches(_TEXT, text):
                raise ValueError(f"held batch {name} must be an identifier of at most 128 letters")
            if not text and (name in _NEEDED or name == "identifier"):
                raise ValueError(f"held batch {name} must not be empty")


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def is_exception(reason: str) -> bool:
    """Whether it lets data wait beyond the target of its class."""
    return reason in _EXCEPTED


def limit_seconds(cls: RetentionClass, reason: str) -> int:
    """How long data of a class may be there: its cap where one of the two exceptions is the reason
    that it waits, else its target.

    Args:
        cls: customer data or temporary data.
        reason: as the ledger has it.

    Raises:
        ValueError: the class has no limit, so that it cannot be held.
    """
    limit = LIMITS[cls]
    if limit.cap_seconds is None or limit.target_seconds is None:
        raise ValueError("held batch cls must be a class that has a cap")
    return limit.cap_seconds if is_exception(reason) else limit.target_seconds


def latest_purge_ms(read_at_ms: int, cls: RetentionClass, exception: HoldException | None) -> int:
    """The last moment at which data read then may be there, ms since 1970.

    Raises:
        ValueError: as `limit_seconds`.
    """
    return read_at_ms + limit_seconds(cls, exception.value if exception else "") * 1000
