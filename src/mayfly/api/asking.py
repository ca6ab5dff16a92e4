"""What operators ask of syncs and runs, as the commands print it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from mayfly.adapters.processes import actor_id
from mayfly.bootstrap import App
from mayfly.domain.settings import SyncSettings
from mayfly.services.pausing import pause_syncs, resume_syncs
from mayfly.services.run_log import left_out
from mayfly.services.stopping import ask_to_end, run_of


def pause(app: App, syncs: Sequence[SyncSettings], actor: str | None) -> dict[str, Any]:
    """See `Project.pause`."""
    target, by = app.project.target, actor or actor_id(os.environ)
    changed = pause_syncs(app.store, syncs, target, actor=by, now=app.clock.now())
    pauses = {p.sync: p for p in app.store.pauses(target)}
    known = [(sync.name, pauses[sync.id]) for sync in syncs if sync.id in pauses]
    return {
        "schema": "mayfly/pause/1",
        "ok": True,
        "syncs": [
            {
                "sync": name,
                "changed": changed[name],
                "actor": known_pause.actor,
                "since": known_pause.since.isoformat(),
            }
            for name, known_pause in known
        ],
    }


def cancel(app: App, run_id: str, actor: str | None) -> dict[str, Any]:
    """See `Project.cancel`."""
    run = ask_to_end(
        app.store,
        run_id,
        actor=actor or actor_id(os.environ),
        now=app.clock.now(),
        alive=app.alive,
    )
    shown = {"run": run.run_id, "sync": run.sync, "target": run.target}
    return {"schema": "mayfly/cancel/1", "ok": True, **shown}


def logs(app: App, run_id: str) -> dict[str, Any]:
    """See `Project.logs`."""
    run = run_of(app.store, run_id)
    events = app.store.events(run_id)
    return {
        "schema": "mayfly/logs/1",
        "ok": True,
        "run": run.run_id,
        "sync": run.sync,
        "target": run.target,
        "left_out": left_out(events),
        "events": [json.loads(line) for _, line in events],
    }


def resume(app: App, syncs: Sequence[SyncSettings]) -> dict[str, Any]:
    """See `Project.resume`."""
    changed = resume_syncs(app.store, syncs, app.project.target)
    shown = [{"sync": name, "changed": was} for name, was in changed.items()]
    return {"schema": "mayfly/resume/1", "ok": True, "syncs": shown}
