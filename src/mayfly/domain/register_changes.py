"""What changed in the register of sub-processors, and whether who subscribed was told in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

What = Literal["added", "changed", "retired"]
Entries = Mapping[str, Mapping[str, Any]]
"""Entries of an archived register by name, as `Processor.to_dict` writes them."""
_USED = ("announced", "active")
_TOLD = ("legal_name", "purpose", "data_categories", "locations", "parent", "effective")


@dataclass(frozen=True, kw_only=True)
class RegisterVersion:
    """One archived version: the canonical JSON, its SHA-256, and when it was first seen."""

    digest: str
    document: str
    recorded_at: datetime

    def entries(self) -> Entries:
        """By name."""
        return {entry["name"]: entry for entry in json.loads(self.document)["processors"]}


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """Who is told of changes. Where, is sealed elsewhere.

    Args:
        name: as the operator calls it.
        kind: how it is told.
        told: digest of the version that it knows whole: at first that of its subscription.
        since: when it subscribed.
    """

    name: str
    kind: Literal["mail", "webhook"]
    told: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class SentNotice:
    """One notice to one recipient.

    Args:
        recipient: name of the subscriber, or of what else it went to.
        content: SHA-256 of what it says.
        processor: name of the entry.
        what: how that changed.
        widens: whether more may be done by it than before.
        at: when it was sent, or begun.
        failure: empty where it was sent; `sending` while nobody knows; else a code.
    """

    recipient: str
    content: str
    processor: str
    what: str
    widens: bool
    at: datetime
    failure: str


@dataclass(frozen=True, kw_only=True)
class Objection:
    """The workspace does not want an entry engaged."""

    processor: str
    actor: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RegisterChange:
    """One change of one entry.

    Args:
        processor: name of the entry.
        what: how it changed.
        widens: whether more may be done than before: a new entry, country, category or purpose.
        entry: as it is now; of one that is gone, as it was.
        before: what was otherwise, of one that changed.
    """

    processor: str
    what: What
    widens: bool
    entry: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What a notice says."""
        return {"change": self.what, "processor": dict(self.entry), "before": dict(self.before)}

    def content(self) -> str:
        """SHA-256 of what a notice says, in hexadecimal digits."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def changes(old: Entries, new: Entries) -> Iterator[RegisterChange]:
    """What one has to be told of between two versions, by name."""
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        used_before = was is not None and was["status"] in _USED
        if now is None or now["status"] not in _USED:
            if was is not None and used_before:
                yield RegisterChange(processor=name, what="retired", widens=False, entry=now or was)
        elif was is None or not used_before:
            yield RegisterChange(processor=name, what="added", widens=True, entry=now)
        else:
            before = {key: was[key] for key in _TOLD if was[key] != now[key]}
            if before:
                yield RegisterChange(
                    processor=name,
                    what="changed",
                    widens=_widens(was, now),
                    entry=now,
                    before=before,
                )


def _widens(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    more = (set(now[key]) - set(was[key]) for key in ("locations", "data_categories"))
    sooner = now["status"] == "announced" and now["effective"] < was["effective"]
    other = any(now[key] != was[key] for key in ("purpose", "legal_name", "parent"))
    return any(more) or sooner or other


def untold(
    current: Entries,
    versions: Mapping[str, RegisterVersion],
    subscribers: Sequence[Subscriber],
    notices: Sequence[SentNotice],
    *,
    notice_days: int,
    now: datetime,
) -> dict[str, str]:
    """Entries that may not be used yet because somebody was not told so long before, and why.

    Args:
        current: the register as it is.
        versions: that are archived, by digest.
        subscribers: whoever has to be told.
        notices: that were sent, or not.
        notice_days: from the notice to the engagement.
        now: the time.
    """
    sent = {(n.recipient, n.content): n.at for n in notices if not n.failure}
    names = {s.name for s in subscribers}
    found: dict[str, str] = {}
    for notice in notices:
        due = notice.at + timedelta(days=notice_days)
        told = notice.recipient in names and notice.widens and not notice.failure
        if told and notice.processor in current and now < due:
            found[notice.processor] = f"told on {notice.at.date()}, {notice_days} days are not over"
    for subscriber in subscribers:
        for change in changes(versions[subscriber.told].entries(), current):
            if change.widens and (subscriber.name, change.content()) not in sent:
                found[change.processor] = f"subscriber {subscriber.name} was not told of it"
    return found


@dataclass(frozen=True, kw_only=True)
class RegisterNotice:
    """A change as a subscriber is told of it; `id` is the same each time it is sent."""

    change: RegisterChange
    workspace: str
    at: datetime

    @property
    def id(self) -> str:
        """Of what it says."""
        return f"msg_{self.change.content()[:32]}"

    def to_dict(self) -> dict[str, Any]:
        """Its fields, as a webhook gets them."""
        return {"workspace": self.workspace, **self.change.to_dict()}

    def title(self) -> str:
        """One line for people."""
        name = self.change.entry["legal_name"]
        return f"mayfly {self.workspace}: sub-processor {self.change.what}, {name}"

    def lines(self) -> list[str]:
        """What is known, one line each."""
        entry = self.change.entry
        keys = ("legal_name", "address", "contact", "purpose", "status", "announced", "effective")
        told = [f"{key}: {entry[key]}" for key in keys]
        told += [f"{key}: {', '.join(entry[key])}" for key in ("locations", "data_categories")]
        told += [
            f"objection_deadline: {entry['objection_deadline'] or entry['effective']}",
            *(f"before, {key}: {value}" for key, value in self.change.before.items()),
        ]
        return [f"change: {self.change.what}", *told, f"content: {self.change.content()}"]
