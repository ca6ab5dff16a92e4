"""Entries of the ledger: what happened, in ids and counts.

No value of a row and no digest of one can enter: every text is held to a short alphabet of
identifiers, and a type has no field for content. An entry is written as one line of canonical
JSON (RFC 8785); the bytes of that line, without its end, are the leaf of the tree.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import rfc8785

from mayfly.domain.errors import IntegrityError

_TEXT = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_ROOT = re.compile(r"[0-9a-f]{64}")
_NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.:/+=-]")
_COUNT_MAX = 2**53 - 1  # the largest integer that canonical JSON carries exactly
_TEXT_FIELDS = (
    *("workspace", "region", "target", "sync", "run", "operation", "destination"),
    *("reason", "software", "kek_version", "actor", "object", "before", "after"),
)
_LEFT_OUT_EMPTY = ("kek_version", "final_at", "actor", "object", "before", "after")


class EntryType(StrEnum):
    """What an entry records."""

    CREATED = "created"  # a working copy was made for a run
    DELIVERED = "delivered"  # a batch was acknowledged by its destination
    DROPPED = "dropped"  # the working copy of a run was dropped
    REFUSED = "refused"  # a run was refused by policy
    HELD = "held"  # a run ended and its working copy waits; with a batch: it is sealed
    STATE_DROPPED = "state_dropped"  # what a sync had delivered was forgotten
    STATE_ADOPTED = "state_adopted"  # it became that of another sync or installation
    PURGED = "purged"  # a sealed batch was destroyed
    EXPIRED = "expired"  # it was, undelivered, when its time was over
    REWRAPPED = "rewrapped"  # keys that wait are about to be wrapped under another version
    KEK_DESTROYED = "kek_destroyed"  # a version of the key encryption key was
    ERASURE = "erasure"  # how far a destination is with the erasure of a person, or its end
    ACCESS = "access"  # a person was told what concerns them: the receipt, in counts
    DELETION = "deletion"  # a step of the deletion of the workspace was done
    ACT = "act"  # somebody did something to the workspace
    SUPPRESSION = "suppression"  # the suppression list is another: its count and its root
    REPORTED = "reported"  # a version of a record of processing was issued: its digest, its number


AS_DELIVERED = "as_delivered/"
"""What the reason of `state_adopted` begins with where nothing had been delivered from here: a
state was made of what another tool had."""
KEY_DESTROYED = "key_destroyed"
"""Reason of `held`: the batch's data key is destroyed, and its sealed bytes may be there."""
BYTES_REMOVED = "bytes_removed"
"""Reason of `purged` and `expired`: its key was destroyed before, or its hold was cut off, and its
sealed bytes are gone now."""

HELD_AGE_MAX_MS = 10**11
"""Far more than anything is held for, and no more than a time can be earlier."""
_OF_A_RUN = (EntryType.CREATED, EntryType.DELIVERED, EntryType.DROPPED, EntryType.HELD)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One act of the engine.

    Args:
        type: what happened.
        workspace: id of the workspace.
        region: region of the worker; empty where none is configured.
        target: the target the run worked on, such as `dev`.
        sync: id of the sync.
        run: id of the run; unique in the ledger.
        batch: number of the batch in its run, None where the entry is not about one.
        rows: how many rows it is about.
        age_ms: how long its rows were held when this happened, from their read into a worker; None
            where the entry is not about rows that were.
        operation: the batch's kind of change; empty where the entry is not about one.
        destination: name of the destination.
        reason: a code of ours, such as `done` or `outage`.
        software: name and version of what wrote the entry.
        kek_version: version of the key encryption key that a sealed batch's data key is wrapped
            under; empty, and not in the line, where the entry is not about one, or is older.
        final_at: from when on a version that was destroyed cannot be restored, written as `at`;
            empty, and not in the line, as before.
        actor: of an act, the random id of who did it; as the next three empty, and not in the line,
            of every other entry.
        object: kind and name of what an act is about, such as `sync/to_crm`.
        before, after: SHA-256 of what that was and is, in hex; empty, and not in the line, where it
            was nothing or cannot be told.
        seq: position in the ledger from 0. The ledger gives it; None until then.
        at: time of recording, RFC 3339 in UTC with microseconds. The ledger gives it.

    Raises:
        ValueError: a text holds anything but up to 128 characters of an identifier, or a number
            is negative or too large. The message names the field and never repeats the text.
    """

    type: EntryType
    workspace: str
    sync: str
    run: str
    region: str = ""
    target: str = ""
    batch: int | None = None
    rows: int = 0
    age_ms: int | None = None
    operation: str = ""
    destination: str = ""
    reason: str = ""
    software: str = ""
    kek_version: str = ""
    final_at: str = ""
    actor: str = ""
    object: str = ""
    before: str = ""
    after: str = ""
    seq: int | None = None
    at: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", EntryType(self.type))
        for name in _TEXT_FIELDS:
            text = getattr(self, name)
            if not isinstance(text, str) or not _TEXT.fullmatch(text):
                raise ValueError(f"entry field {name} must be an identifier of at most 128 letters")
        for name in ("rows", "batch", "seq", "age_ms"):
            number = getattr(self, name)
            if number is None and name != "rows":
                continue
            if type(number) is not int or not 0 <= number <= _COUNT_MAX:
                raise ValueError(f"entry field {name} must be a count from 0")
        for time in (self.at, self.final_at or None):
            if time is not None:
                parse_time(time)
        if self.type in _OF_A_RUN and not self.run:
            raise ValueError("entry field run must name the run")
        if self.type is EntryType.DELIVERED and self.batch is None:
            raise ValueError("entry field batch must name the delivered batch")
        if self.type is EntryType.HELD and (self.age_ms or 0) > HELD_AGE_MAX_MS:
            raise ValueError("entry field age_ms must be an age that something held can have")
        self._check_act()
        if self.type is EntryType.SUPPRESSION and not _ROOT.fullmatch(self.reason):
            raise ValueError("entry field reason must be the root of the list in hex")

    def _check_act(self) -> None:
        """Only acts say who did what to which object."""
        said = (self.actor, self.object, self.before, self.after)
        if self.type is not EntryType.ACT and any(said):
            raise ValueError("entry fields actor, object, before and after are an act's alone")
        if self.type is EntryType.ACT and not (self.actor and self.object and self.operation):
            raise ValueError("entry fields actor, object and operation must name an act's")
        for mark in (self.before, self.after):
            if mark and not _ROOT.fullmatch(mark):
                raise ValueError("entry fields before and after must be SHA-256 in hex")

    def placed(self, *, seq: int, at: datetime) -> Entry:
        """A copy with its position and time.

        Raises:
            ValueError: the entry has a position already, or the time has no zone.
        """
        if self.seq is not None or self.at is not None:
            raise ValueError("the ledger gives seq and at; they must be left out")
        return replace(self, seq=seq, at=format_time(at))

    def to_line(self) -> bytes:
        """The entry as canonical JSON, without the line's end.

        Raises:
            ValueError: the entry has no position or time yet.
        """
        if self.seq is None or self.at is None:
            raise ValueError("an entry is written once the ledger gave it seq and at")
        document = asdict(self) | {"type": self.type.value}
        left_out = [name for name in _LEFT_OUT_EMPTY if not document[name]]
        return rfc8785.dumps({k: v for k, v in document.items() if k not in left_out})

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """The entry that `to_line` wrote.

        Raises:
            IntegrityError: `entry_malformed`, the line is not the canonical form of an entry.
        """
        try:
            document = json.loads(line)
            missing = {field.name for field in fields(cls)} - set(document)
            if not missing <= set(_LEFT_OUT_EMPTY):
                raise ValueError("other fields than an entry's")
            entry = cls(**document)
            if entry.to_line() != line:
                raise ValueError("not canonical")
        except (ValueError, TypeError, RecursionError):
            raise IntegrityError(
                "entry_malformed", "A line of the ledger is not an entry in canonical JSON."
            ) from None
        return entry


def held_since(entry: Entry) -> datetime:
    """From when on what a `held` entry tells of has been there: one that was sealed again says how
    long it had waited before.

    Raises:
        ValueError: the entry has no time.
    """
    return parse_time(entry.at or "") - timedelta(milliseconds=entry.age_ms or 0)


def identifier_of(name: str) -> str:
    """A foreign name, such as a key version's, as an entry can hold it: its last 128 signs, a dash
    for each that none may have.
    """
    return _NO_IDENTIFIER.sub("-", name)[-128:]


def format_time(at: datetime) -> str:
    """A time as entries write it.

    Raises:
        ValueError: the time has no zone.
    """
    if at.tzinfo is None:
        raise ValueError("a ledger time needs a zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_time(text: str) -> datetime:
    """The time that `format_time` wrote.

    Raises:
        ValueError: the text is in any other form.
    """
    if not _AT.fullmatch(text):
        raise ValueError("a ledger time is YYYY-MM-DDTHH:MM:SS.ffffffZ")
    return datetime.fromisoformat(text)
