"""Who is told of changes in the register, and objections to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.adapters.processes import actor_id
from mayfly.bootstrap import App
from mayfly.bootstrap.subscribers import forget_address, opened_subscriber, store_address
from mayfly.domain.errors import UsageError
from mayfly.domain.names import is_name
from mayfly.domain.processors import digest
from mayfly.domain.register_changes import Objection, SentNotice, Subscriber
from mayfly.services.notify_processors import FEED, archive, feed, note_feed, notify

SCHEMA = "mayfly/processors/1"


def notified(app: App, atom: Path | None, *, again: bool) -> dict[str, Any]:
    """See `ProcessorActs.notify_processors`."""
    now, store = app.clock.now, app.store
    tried = notify(store, app.project, now=now, open_=partial(opened_subscriber, app), again=again)
    if atom is not None:
        workspace = app.project.workspace.name
        _write(atom, feed(store.register_versions(), workspace, app.workspace_id))
        tried += note_feed(store, now())
    doubt = [n for n in store.notices() if n.failure == "sending"]
    return {
        "schema": SCHEMA,
        "ok": not doubt and not any(n.failure for n in tried),
        "act": "notify",
        "digest": digest(app.project.processors),
        "notices": notices(tried),
        "in_doubt": notices(doubt),
    }


def subscribed(app: App, name: str, text: str) -> dict[str, Any]:
    """See `ProcessorActs.subscribe_to_processors`.

    Raises:
        UsageError: `bad_name`, `subscriber_known`.
        ConfigError: as `store_address`.
    """
    if not is_name(name) or name == FEED:
        hint = f"Use a-z, 0-9 and _, begin with a letter; not {FEED}."
        raise UsageError("bad_name", "This cannot be the name of a subscriber.", hint=hint)
    if any(s.name == name for s in app.store.subscribers()):
        hint = "Take it out first: `mayfly processors unsubscribe`."
        raise UsageError("subscriber_known", f"Subscriber {name} is there already.", hint=hint)
    version = archive(app.store, app.project.processors, app.clock.now())
    kind = store_address(app, name, text)
    subscriber = Subscriber(
        name=name,
        kind="mail" if kind == "mail" else "webhook",
        told=version.digest,
        since=app.clock.now(),
    )
    app.store.subscribe(subscriber)
    return _changed(app, "subscribe", name)


def unsubscribed(app: App, name: str) -> dict[str, Any]:
    """See `ProcessorActs.unsubscribe_from_processors`.

    Raises:
        UsageError: `unknown_subscriber`.
    """
    forget_address(app, name)
    if not app.store.unsubscribe(name):
        known = ", ".join(s.name for s in app.store.subscribers()) or "none"
        hint = f"There are: {known}."
        raise UsageError("unknown_subscriber", "There is no subscriber of that name.", hint=hint)
    return _changed(app, "unsubscribe", name)


def objected(app: App, name: str, actor: str | None, *, withdraw: bool) -> dict[str, Any]:
    """See `ProcessorActs.object_to_processor`.

    Raises:
        UsageError: `unknown_processor`.
    """
    if withdraw:
        app.store.withdraw_objection(name)
        return _changed(app, "object", name)
    if name not in app.project.processors:
        known = ", ".join(sorted(app.project.processors)) or "none"
        hint = f"The register has: {known}."
        raise UsageError("unknown_processor", "There is no sub-processor of that name.", hint=hint)
    by = actor or actor_id(os.environ)
    app.store.object(Objection(processor=name, actor=by, at=app.clock.now()))
    return _changed(app, "object", name)


def notices(found: Sequence[SentNotice]) -> list[dict[str, Any]]:
    """As they are printed."""
    return [
        {
            "recipient": n.recipient,
            "processor": n.processor,
            "change": n.what,
            "content": n.content,
            "at": n.at.isoformat(),
            "failure": n.failure,
        }
        for n in found
    ]


def objections(app: App) -> list[dict[str, Any]]:
    """Those in force."""
    return [
        {"processor": o.processor, "actor": o.actor, "at": o.at.isoformat()}
        for o in app.store.objections()
    ]


def kept(app: App) -> dict[str, Any]:
    """What the store remembers of the register."""
    return {
        "versions": [
            {"digest": v.digest, "recorded_at": v.recorded_at.isoformat()}
            for v in app.store.register_versions()
        ],
        "subscribers": [
            {"name": s.name, "kind": s.kind, "since": s.since.isoformat(), "told": s.told}
            for s in app.store.subscribers()
        ],
        "notices": notices(app.store.notices()),
        "objections": objections(app),
    }


def _changed(app: App, act: str, name: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ok": True,
        "act": act,
        "name": name,
        "subscribers": [s.name for s in app.store.subscribers()],
        "objections": objections(app),
    }


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        raise UsageError(
            "file_not_written", "The feed cannot be written there.", hint="Check the folder."
        ) from None
