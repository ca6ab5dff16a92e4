"""Telling subscribers of changes in the register, each once, and keeping what was told.

A notice is claimed before it is sent. What a process died over may have arrived: it is not sent
again unless somebody asks for it, and counts as not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mayfly.domain.errors import EngineError
from mayfly.domain.processors import Processor, canonical, digest
from mayfly.domain.register_changes import (
    Entries,
    RegisterChange,
    RegisterNotice,
    RegisterVersion,
    SentNotice,
    Subscriber,
    changes,
    untold,
)
from mayfly.domain.settings import Project
from mayfly.ports.alerts import AlertChannel
from mayfly.ports.register import RegisterStore

Open = Callable[[Subscriber], AbstractContextManager[AlertChannel]]
SENDING = "sending"
FEED = "atom"
"""Recipient of what is written to a file."""


def archive(
    store: RegisterStore, processors: Mapping[str, Processor], now: datetime
) -> RegisterVersion:
    """Keep the register as it is, where it is not kept yet."""
    version = RegisterVersion(
        digest=digest(processors), document=canonical(processors).decode(), recorded_at=now
    )
    store.archive_register(version)
    return version


def notify(
    store: RegisterStore,
    project: Project,
    *,
    now: Callable[[], datetime],
    open_: Open,
    again: bool = False,
) -> list[SentNotice]:
    """Tell each subscriber what changed since the version it knows; what was tried.

    Args:
        store: remembers who knows what.
        project: with its register.
        now: the time.
        open_: the way to a subscriber.
        again: send what a process died over once more.
    """
    current = archive(store, project.processors, now())
    versions = {v.digest: v for v in store.register_versions()}
    sent = {(n.recipient, n.content) for n in store.notices() if not n.failure}
    tried: list[SentNotice] = []
    for subscriber in store.subscribers():
        whole = True
        for change in changes(versions[subscriber.told].entries(), current.entries()):
            if (subscriber.name, change.content()) in sent:
                continue
            notice = _notice(subscriber.name, change, now())
            if not store.claim_notice(notice, again=again):
                whole = False
                continue
            done = _sent(store, project, subscriber, change, open_, now)
            whole &= not done.failure
            tried.append(done)
        if whole:
            store.note_told(subscriber.name, current.digest)
    return tried


def _sent(
    store: RegisterStore,
    project: Project,
    subscriber: Subscriber,
    change: RegisterChange,
    open_: Open,
    now: Callable[[], datetime],
) -> SentNotice:
    at, failure = now(), ""
    message = RegisterNotice(change=change, workspace=project.workspace.name, at=at)
    try:
        with open_(subscriber) as channel:
            channel.send(message)
    except EngineError as error:
        failure = error.code
    store.note_notice(subscriber.name, change.content(), at=at, failure=failure)
    return _notice(subscriber.name, change, at, failure)


def _notice(
    recipient: str, change: RegisterChange, at: datetime, failure: str = SENDING
) -> SentNotice:
    return SentNotice(
        recipient=recipient,
        content=change.content(),
        processor=change.processor,
        what=change.what,
        widens=change.widens,
        at=at,
        failure=failure,
    )


def not_told(store: RegisterStore, project: Project, now: datetime) -> dict[str, str]:
    """Entries that may not be used yet because somebody was not told in time, and why."""
    subscribers = store.subscribers()
    if not subscribers:
        return {}
    return untold(
        {name: p.to_dict() for name, p in project.processors.items()},
        {v.digest: v for v in store.register_versions()},
        subscribers,
        store.notices(),
        notice_days=project.register.notice_days,
        now=now,
    )


def feed(versions: Sequence[RegisterVersion], workspace: str, workspace_id: str) -> bytes:
    """All changes between archived versions as an Atom feed, the last first."""
    root = Element("feed", xmlns="http://www.w3.org/2005/Atom")
    SubElement(root, "id").text = f"urn:mayfly:register:{workspace_id}"
    SubElement(root, "title").text = f"Sub-processors of {workspace}"
    SubElement(SubElement(root, "author"), "name").text = workspace
    last = max((v.recorded_at for v in versions), default=datetime(1970, 1, 1, tzinfo=UTC))
    SubElement(root, "updated").text = last.isoformat(timespec="seconds")
    for version, change in reversed(feed_changes(versions)):
        notice = RegisterNotice(change=change, workspace=workspace, at=version.recorded_at)
        entry = SubElement(root, "entry")
        SubElement(entry, "id").text = f"urn:sha256:{change.content()}"
        SubElement(entry, "title").text = notice.title()
        SubElement(entry, "updated").text = version.recorded_at.isoformat(timespec="seconds")
        SubElement(entry, "content", type="text").text = "\n".join(notice.lines())
    indent(root)
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return f"{head}\n{tostring(root, 'unicode')}\n".encode()


def feed_changes(
    versions: Sequence[RegisterVersion],
) -> list[tuple[RegisterVersion, RegisterChange]]:
    """Each change with the version that brought it, the first version's entries as added."""
    found: list[tuple[RegisterVersion, RegisterChange]] = []
    before: Entries = {}
    for version in versions:
        entries = version.entries()
        found += [(version, change) for change in changes(before, entries)]
        before = entries
    seen: set[str] = set()
    fresh = []
    for version, change in found:
        if change.content() not in seen:
            seen.add(change.content())
            fresh.append((version, change))
    return fresh


def note_feed(store: RegisterStore, now: datetime) -> list[SentNotice]:
    """Note which changes a feed that was written has; those that are new to it."""
    fresh = []
    for _, change in feed_changes(store.register_versions()):
        notice = _notice(FEED, change, now)
        if store.claim_notice(notice, again=True):
            store.note_notice(FEED, change.content(), at=now, failure="")
            fresh.append(_notice(FEED, change, now, ""))
    return fresh
