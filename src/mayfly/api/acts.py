"""What administrative acts are about, and what it was before and after each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.processes import actor_id
from mayfly.bootstrap import App
from mayfly.bootstrap.audit import audit_log
from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.services.approvals_lock import LOCK_FILE
from mayfly.services.audit import State, acts_of
from mayfly.services.two_people import AI_TRANSFER, OF_WORKSPACE

Objects = Mapping[str, State]


def recording(
    app: App, action: str, objects: Objects, *, actor: str | None = None, rows: int = 0
) -> AbstractContextManager[None]:
    """Around an act; see `AuditLog.acting`."""
    who = actor or actor_id(os.environ)
    return audit_log(app).acting(action, objects, actor=who, rows=rows)


def settle(app: App) -> None:
    """Record what other processes did and could not record."""
    audit_log(app).settle()


def of_syncs(app: App, syncs: Sequence[SyncSettings]) -> Objects:
    """Whether each is approved, rejected, paused."""
    return {f"sync/{sync.id}": partial(_sync, app, sync) for sync in syncs}


def of_waiting(app: App, syncs: Sequence[SyncSettings]) -> Objects:
    """What waits of each, by the ledger's word."""
    return {f"sync/{sync.id}": partial(_waiting, app, sync) for sync in syncs}


def of_run(app: App, run: str) -> Objects:
    """Whether it is to end."""
    return {f"run/{run}": partial(_run, app, run)}


def of_people(app: App) -> Objects:
    """The list in force, and what of another is signed."""
    return {"people": partial(_people, app)}


def of_suppressions(app: App) -> Objects:
    """The list, by its version and counts."""
    return {"suppressions": partial(_suppressions, app)}


def of_requests(app: App) -> Objects:
    """Requests for people, and how far each destination is."""
    return {"requests": partial(_requests, app)}


def of_connection(app: App, name: str) -> Objects:
    """A destination's connection, without what is sealed in it."""
    return {f"destination/{name}": partial(_connection, app, name)}


def of_keys(app: App, version: str = "") -> Objects:
    """Versions of the key encryption key."""
    return {f"keys/{version}" if version else "keys": partial(_keys, app)}


def of_state(app: App, name: str) -> Objects:
    """One state, by its own name or by the sync that uses it."""
    return {f"state/{name}": lambda: app.states().find(name).to_dict()}


def of_ai(app: App) -> Objects:
    """What was signed of the transfer of AI."""
    return {"ai": partial(_ai, app)}


def of_register(app: App) -> Objects:
    """Who is told of the register of sub-processors, and what was objected to."""
    return {"processors": partial(_register, app)}


def of_source(app: App, name: str) -> Objects:
    """What there is of Mayfly's in a source."""
    if name not in app.project.sources:
        return of_name("source", name)  # the act itself refuses it
    return {f"source/{name}": lambda: app.uninstaller(name).look().to_dict()}


def of_name(kind: str, name: str) -> Objects:
    """Of which nothing is compared."""
    return {f"{kind}/{name}": dict}


def _sync(app: App, sync: SyncSettings) -> dict[str, Any]:
    store, target = app.store, app.project.target
    approval = store.approval(sync.id, target)
    mine = (sync.id, target)
    return {
        "approved": approval.fingerprint if approval else None,
        "approver": approval.at.isoformat() if approval else None,
        "rejected": [r.fingerprint for r in store.rejections() if (r.sync, r.target) == mine],
        "paused": any(p.sync == sync.id for p in store.pauses(target)),
    }


def _waiting(app: App, sync: SyncSettings) -> dict[str, Any]:
    mine = (sync.id, app.project.target)
    copies = [c.run for c in app.ledger.open_copies() if (c.sync, c.target) == mine]
    batches = [[b.run, b.batch] for b in app.ledger.open_batches() if (b.sync, b.target) == mine]
    return {"copies": copies, "sealed": batches}


def _run(app: App, run: str) -> dict[str, Any]:
    found = app.store.run(run)
    if found is None:
        return {}
    signals = app.store.signals(run, found.sync, found.target)
    return {"status": found.status, "cancelled": signals.cancelled}


def _people(app: App) -> dict[str, Any]:
    path = app.project.root / LOCK_FILE
    lock = path.read_text("utf-8") if path.is_file() else ""
    return {"in_force": app.store.people(), "lock": fingerprint({"text": lock})}


def _suppressions(app: App) -> dict[str, Any]:
    store = app.store
    return {"version": store.suppression_version(), "kinds": dict(store.suppression_counts())}


def _requests(app: App) -> dict[str, Any]:
    store = app.store
    return {
        request.request: {
            "kind": request.kind.value,
            "due": request.due_at.isoformat(),
            "ended": request.ended_at.isoformat() if request.ended_at else None,
            "steps": {s.sync: s.status.value for s in store.erasure_steps(request.request)},
        }
        for request in store.erasures()
    }


def _ai(app: App) -> dict[str, Any]:
    record = app.store.approval(AI_TRANSFER, OF_WORKSPACE)
    return {} if record is None else {"approved": record.fingerprint}


def _register(app: App) -> dict[str, Any]:
    """Without names of subscribers, which may be of people."""
    store = app.store
    return {
        "subscribers": len(store.subscribers()),
        "notices": len(store.notices()),
        "objections": sorted(o.processor for o in store.objections()),
    }


def _connection(app: App, name: str) -> dict[str, Any]:
    state, _ = app.store.connection(app.connections.place(name).key)
    return {"connection": str(state)} if state is not None else {}


def _keys(app: App) -> dict[str, Any]:
    with allow_hosts(key_hosts(app.project.keys)):
        return {"versions": [[v.id, v.state] for v in app.keys.versions()]}


def listed(app: App, *, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """See `Project.audit`."""
    found = acts_of(app.ledger.entries(), app.store.actors(), since=since, until=until)
    return {"schema": "mayfly/audit/1", "ok": True, "forgotten": None, "acts": found}


def forgotten(app: App, actor: str) -> dict[str, Any]:
    """See `Project.forget_actor`.

    Raises:
        UsageError: `unknown_actor`.
    """
    if not app.store.forget_actor(actor):
        raise UsageError(
            "unknown_actor",
            "No name is known of an actor of that id.",
            hint="`mayfly audit` shows ids and names.",
        )
    return {"schema": "mayfly/audit/1", "ok": True, "forgotten": actor, "acts": []}
