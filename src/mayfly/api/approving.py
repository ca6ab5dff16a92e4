"""Approving and rejecting syncs, alone or by two people, as the commands print it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mayfly.adapters.processes import actor_id
from mayfly.bootstrap import App
from mayfly.bootstrap.keeping import store_of
from mayfly.config.load import load_project
from mayfly.domain.approval import fingerprint
from mayfly.domain.errors import UsageError
from mayfly.domain.runs import ApprovalRecord
from mayfly.domain.settings import SyncSettings
from mayfly.services import approve as approvals
from mayfly.services import people as lists
from mayfly.services.approve_signed import approve_signed, request_signed, statement
from mayfly.services.check_approvals import check_approvals
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.two_people import Act


def approve(
    app: App,
    syncs: Sequence[SyncSettings],
    actor: str | None,
    request: bool,
    signature: str | None,
) -> dict[str, Any]:
    """See `Project.approve`.

    Raises:
        UsageError: `one_sync`, a signature is of one sync; `signature_missing`.
        PolicyError: see `services.approve`.
    """
    pinned = _pinned(app, syncs)
    if signature is None and not request:
        records = approvals.approve_syncs(
            app.project,
            app.store,
            [s.name for s in syncs],
            actor=actor or actor_id(os.environ),
            now=app.clock.now(),
            compiled_of=pinned,
        )
        return _document(approved=[_approval(r) for r in records])
    name = _only(syncs)
    if signature is None:
        raise UsageError("signature_missing", "A request is signed: give the file with --sign.")
    now = app.clock.now()
    if request:
        asked = request_signed(app.project, app.store, name, signature, now=now, compiled_of=pinned)
        shown = {"sync": name, "fingerprint": asked.fingerprint, "author": asked.author}
        return _document(requested=[shown])
    record = approve_signed(app.project, app.store, name, signature, now=now, compiled_of=pinned)
    return _document(approved=[_approval(record)])


def reject(app: App, syncs: Sequence[SyncSettings], actor: str | None) -> dict[str, Any]:
    """See `Project.reject`."""
    rejections = approvals.reject_syncs(
        app.project,
        app.store,
        [s.name for s in syncs],
        actor=actor or actor_id(os.environ),
        now=app.clock.now(),
        compiled_of=_pinned(app, syncs),
    )
    shown = [{"sync": r.sync, "fingerprint": r.fingerprint, "actor": r.actor} for r in rejections]
    return _document(rejected=shown)


def waiting(app: App, syncs: Sequence[SyncSettings]) -> dict[str, Any]:
    """See `Project.pending`."""
    compiled = {s.name: app.compile(s, run="approve") for s in syncs}
    found = approvals.standings(
        app.project,
        app.store,
        list(compiled),
        compiled_of=lambda name: compiled[name].pinned,
        now=app.clock.now(),
    )
    rules = {
        name: {c.shown.name(s.column): s.suggested for s in c.suggestions}
        for name, c in compiled.items()
    }
    asked = [
        p.to_dict() | {"suggested": rules[p.sync].get(p.column or "")}
        for standing in found
        for p in standing.changes
    ]
    open_ = [s.sync for s in found if s.state in ("discovered", "pending")]
    columns = [
        {"sync": name} | suggestion.to_dict(compiled[name].shown)
        for name in open_
        for suggestion in compiled[name].suggestions
    ]
    return _document(pending=asked, syncs=[s.to_dict() for s in found], columns=columns)


def to_sign(app: App, syncs: Sequence[SyncSettings], request: bool) -> bytes:
    """See `Project.to_sign`."""
    pinned = _pinned(app, syncs)
    act: Act = "request" if request else "approve"
    name, now = _only(syncs), app.clock.now()
    return statement(app.project, app.store, name, act, now=now, compiled_of=pinned)


def people(app: App, *, accept: bool, request: bool, signature: str | None) -> dict[str, Any]:
    """See `Project.people`."""
    project, store = app.project, app.store
    if accept:
        lists.accept_people(project, store)
    elif signature is not None:
        lists.sign_change(project, store, "request" if request else "approve", signature)
    now = fingerprint(lists.people_document(project))
    shown = {
        "approvals": project.workspace.approvals,
        "names": sorted(project.workspace.people),
        "digest": now,
        "in_force": store.people() or None,
    }
    return _document(people=shown)


def check(root: Path, *, target: str = "dev", known: str | None = None) -> dict[str, Any]:
    """Whether the signatures in `approvals.lock` hold; needs the project files and nothing else.

    Args:
        root: the project's folder.
        target: that the project is loaded with.
        known: digest of a list of people that was accepted before. Where nobody says one, that
            which this installation's store has, if there is a store.
    """
    project = load_project(root, target=target)
    store = store_of(project) if known is None else None
    if store is not None and store.exists():
        known = store.people()
    found = check_approvals(project, known=known or "")
    document = _document(checked=[one.to_dict() for one in found])
    return document | {"ok": not any(one.code for one in found)}


def people_to_sign(app: App, request: bool) -> bytes:
    """See `Project.people_to_sign`."""
    act: Act = "request" if request else "approve"
    return lists.change_statement(app.project, app.store, act)


def _pinned(app: App, syncs: Sequence[SyncSettings]) -> approvals.CompiledOf:
    compiled: dict[str, CompiledSync] = {s.name: app.compile(s, run="approve") for s in syncs}
    return lambda name: compiled[name].pinned


def _only(syncs: Sequence[SyncSettings]) -> str:
    if len(syncs) != 1:
        raise UsageError(
            "one_sync", f"A signature is of one sync; {len(syncs)} are meant. Name one."
        )
    return syncs[0].name


def _approval(record: ApprovalRecord) -> dict[str, Any]:
    return {
        "sync": record.sync,
        "fingerprint": record.fingerprint,
        "actor": record.actor,
        "self_approved": record.self_approved,
    }


def _document(**parts: Any) -> dict[str, Any]:
    return {"schema": "mayfly/approve/1", "ok": True, "pending": [], "approved": [], **parts}
