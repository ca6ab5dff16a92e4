"""Telling a person what concerns them: told once to the caller, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.bootstrap import SPECS, App, subjects_of, where_state_is
from mayfly.domain.erasures import Regulation, due_at
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.ledger.entry import EntryType
from mayfly.ports.subjects import Recognise
from mayfly.services import suppress as suppressions
from mayfly.services.access import NOT_STATED, Looked, looked_at, recipient_of, standing_of
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.erase import recogniser
from mayfly.services.erasure_requests import Named, named_in
from mayfly.services.left_behind import left_behind

TYPES = ("access", "portability")


def access(app: App, content: bytes, regulation: Regulation) -> dict[str, Any]:
    """See `Project.access`.

    Raises:
        ConfigError: as `named_in`.
    """
    key = app.keyring.key("suppression")
    named = named_in(
        content,
        types=TYPES,
        regulation=regulation,
        now=app.clock.now(),
        key=key,
        canonical=suppressions.canonical_of,
    )
    recognise = recogniser(key, {digest for _, digest in named.entries})
    syncs = [_of_sync(app, sync, recognise) for sync in app.project.syncs.values()]
    seen = [sync["person"] for sync in syncs if sync["person"] is not None]
    rows = sum(max(p["model_rows"], p["present_rows"] + p["absent_rows"]) for p in seen)
    entry = app.workspace_entry(
        EntryType.ACCESS,
        target=app.project.target,
        sync="",
        run="",
        rows=rows,
        reason=f"access/{named.request}/answered",
    )
    app.ledger.append([entry])
    beyond = left_behind(app.ledger.recipients(), app.project)
    return {
        "schema": "mayfly/access/1",
        "ok": len(seen) == len(syncs),
        "request": named.request,
        "target": app.project.target,
        "regulation": named.regulation.value,
        "received_at": named.received.isoformat(),
        "due_at": due_at(named.regulation, named.received).isoformat(),
        "suppressed": _is_suppressed(app, named),
        "requests": _open_requests(app, named),
        "syncs": syncs,
        "left_behind": [asdict(recipient) for recipient in beyond],
    }


def _of_sync(app: App, sync: SyncSettings, recognise: Recognise) -> dict[str, Any]:
    settings = app.project.destinations[sync.destination]
    try:
        compiled = app.compile(sync, run="access")
    except EngineError as error:
        recipient = {
            "sync": sync.id,
            "destination": sync.destination,
            "type": settings.type,
            **dict.fromkeys(("recipient", "purpose", "lawful_basis"), NOT_STATED),
            "countries": [],
            "fields": [],
        }
        return {**recipient, "code": error.code, "person": None}
    recipient = recipient_of(compiled, SPECS[settings.type], settings)
    return looked_at(recipient, _looking(app, compiled, recognise))


def _looking(
    app: App, compiled: CompiledSync, recognise: Recognise
) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        spec, sync = compiled.spec, compiled.sync
        if spec is None:
            raise first_refusal(compiled) or UsageError("not_compiled", "It cannot be compiled.")
        place = where_state_is(app.project, compiled.model.source)
        spool, target = app.spool(), app.project.target
        looked = Looked(
            spec=spec,
            subjects=subjects_of(app, compiled.model.source, spec),
            kept=any(state.info.sid == spec.identity.sid for state in app.states().of(place)),
            worker=app.worker(compiled),
            spool=spool,
            held=[h for h in spool.held() if (h.sync, h.target) == (sync.id, target)],
        )
        return standing_of(looked, recognise)

    return look


def _is_suppressed(app: App, named: Named) -> bool:
    """Whether an identifier of the request is on the list."""
    listed = app.store.suppression_digests().cast(pa.binary(32))
    asked = pa.array([digest for _, digest in named.entries], pa.binary(32))
    return bool(pc.any(pc.is_in(asked, value_set=listed)).as_py())


def _open_requests(app: App, named: Named) -> list[dict[str, Any]]:
    """Requests that are open for the person; of one that has ended nothing tells whose it was."""
    asked, now = {digest for _, digest in named.entries}, app.clock.now()
    return [
        {
            "request": request.request,
            "kind": request.kind.value,
            "received_at": request.received_at.isoformat(),
            "due_at": request.due_at.isoformat(),
            "days_left": request.days_left(now),
        }
        for request in app.store.erasures()
        if request.ended_at is None and asked & set(app.store.erasure_digests(request.request))
    ]
