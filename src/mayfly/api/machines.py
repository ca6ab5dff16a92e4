"""What lies on this machine alone although others share the store: findings of `doctor`."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.api.findings import Finding, finding
from mayfly.bootstrap import App

MACHINE_CODES = ("one_machine",)
_HINT = "Run these syncs on one machine only; see docs/howto/many-machines.md."


def machine_findings(app: App) -> list[Finding]:
    """Of a shared store: syncs whose state or sealed batches no other machine has."""
    if not app.store.is_shared:
        return []
    project = app.project
    local = [
        name
        for name, sync in project.syncs.items()
        if project.sources[project.models[sync.model].source].state == "local"
    ]
    held = [name for name, sync in project.syncs.items() if sync.on_outage == "hold"]
    return [
        *_of(local, "keep their state in `.mayfly/state` here: another would send all again"),
        *_of(held, "seal what waits with keys in `.mayfly/spool.sqlite` of this machine"),
    ]


def _of(syncs: Sequence[str], what: str) -> list[Finding]:
    if not syncs:
        return []
    return [
        finding(
            "one_machine",
            f"Other machines may share the store, and syncs {', '.join(syncs)} {what}.",
            _HINT,
        )
    ]
