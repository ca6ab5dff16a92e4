"""Pausing syncs: what no run sends until somebody resumes them. Withdrawals go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mayfly.domain.errors import PolicyError
from mayfly.domain.runs import Pause
from mayfly.domain.settings import SyncSettings
from mayfly.ports.store import Store


def pause_syncs(
    store: Store, syncs: Sequence[SyncSettings], target: str, *, actor: str, now: datetime
) -> dict[str, bool]:
    """Pause some syncs under a target; by name, whether each was not paused yet."""
    return {
        s.name: store.pause(Pause(sync=s.id, target=target, actor=actor, since=now)) for s in syncs
    }


def resume_syncs(store: Store, syncs: Sequence[SyncSettings], target: str) -> dict[str, bool]:
    """End the pauses of some syncs; by name, whether each was paused."""
    return {s.name: store.resume(s.id, target) for s in syncs}


def pause_of(store: Store, sync: SyncSettings, target: str) -> Pause | None:
    """The pause in force."""
    return next((p for p in store.pauses(target) if p.sync == sync.id), None)


def refusal_of_pause(sync: SyncSettings, pause: Pause) -> PolicyError:
    """Why nothing but withdrawals goes."""
    return PolicyError(
        "sync_paused",
        f"Sync {sync.name} is paused since {pause.since:%Y-%m-%d %H:%M} UTC, by {pause.actor}.",
        hint=f"`mayfly resume {sync.name}` lets it go on; withdrawals are delivered all the same.",
    )
