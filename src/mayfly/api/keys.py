"""The key encryption key of a project: its versions, a new one, and rewrapping."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Literal

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.files import locked_alone
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap import App
from mayfly.domain.errors import EngineError
from mayfly.ledger.entry import EntryType, format_time, identifier_of
from mayfly.ports.keys import newest_version
from mayfly.services.key_epoch import epoch_acts, is_perhaps_due

KeyAct = Literal["versions", "rotate", "rewrap", "destroy"]


def act_on_keys(app: App, act: KeyAct, version: str = "") -> dict[str, Any]:
    """Do it, and tell provider, protection and versions as they are then.

    `rotate` makes a version and rewraps; where it was cut off in between, `rewrap` goes on.
    All but `versions` waits for other processes of this machine that do so. `destroy` rewraps
    first, so that of this machine nothing is lost; where a key cannot be rewrapped nothing is
    destroyed. Repeated after a crash it is recorded once more.

    Args:
        app: of the project.
        act: what to do.
        version: which one is to be destroyed.

    Raises:
        EngineError: whatever the provider raises.
    """
    alone = nullcontext() if act == "versions" else _alone(app)
    with allow_hosts(key_hosts(app.project.keys)), alone:
        if act == "rotate":
            app.keys.rotate()
        rewrapped = None
        if act != "versions":
            rewrapped = _rewrapped(app)
        return {
            "schema": "mayfly/keys/1",
            "ok": True,
            "act": act,
            **where_keys_lie(app),
            "destroyed": _destroyed(app, _listed(app, version)) if act == "destroy" else None,
            "versions": [
                {
                    "version": version.id,
                    "state": version.state,
                    "created": version.created.isoformat() if version.created else None,
                }
                for version in app.keys.versions()
            ],
            "rewrapped": rewrapped,
        }


def keep_epoch(app: App) -> None:
    """Where the settings name an epoch: a new version once the newest has served, everything
    rewrapped, and what was superseded an epoch ago destroyed. Where a key cannot be rewrapped
    nothing is destroyed.

    Raises:
        EngineError: whatever the provider raises; the next call goes on.
    """
    if app.project.keys.epoch_days is None:
        return
    epoch, now = timedelta(days=app.project.keys.epoch_days), app.clock.now()
    if not is_perhaps_due(app.ledger.key_times(), epoch=epoch, now=now):
        return
    with allow_hosts(key_hosts(app.project.keys)), _alone(app):
        times = app.ledger.key_times()  # anew: another process may have been first
        enabled = [version for version in app.keys.versions() if version.state == "enabled"]
        acts = epoch_acts(enabled, times, epoch=epoch, now=now)
        if acts.rotate:
            app.keys.rotate()
        if acts.rewrap:
            _rewrapped(app)
        for version in acts.destroy:
            _destroyed(app, version)


def _alone(app: App) -> AbstractContextManager[None]:
    """One process of this machine at a time changes versions, or rewraps and destroys."""
    return locked_alone(app.project.root / ".mayfly" / "keys.lock")


def _rewrapped(app: App) -> int:
    """How many keys. Recorded before: what waits sealed may be under the version from here on."""
    name = identifier_of(newest_version(app.keys))
    app.ledger.append([app.workspace_entry(EntryType.REWRAPPED, sync="", run="", kek_version=name)])
    return app.keyring.rewrap() + app.spool().rewrap() + app.connections.vault.rewrap()


def _listed(app: App, version: str) -> str:
    """The version as the provider names it; of an ARN the last part may be given alone."""
    names = [known.id for known in app.keys.versions()]
    return next((name for name in names if name.rpartition("/")[2] == version), version)


def _destroyed(app: App, version: str) -> dict[str, str | None]:
    final = app.keys.destroy(version)
    now = app.clock.now()
    app.ledger.append(
        [
            app.workspace_entry(
                EntryType.KEK_DESTROYED,
                sync="",
                run="",
                reason=name,
                final_at=format_time(final or now),
            )
            for name in [identifier_of(version), *_gone_with(app, version)]
        ]
    )
    return {"version": version, "final_at": final.isoformat() if final else None}


def _gone_with(app: App, version: str) -> Sequence[str]:
    """Others that are gone and not on record: some providers destroy what is older, too."""
    gone = [v.id for v in app.keys.versions() if v.state == "destroyed" and v.id != version]
    recorded = app.ledger.key_times().destroyed
    return [name for name in map(identifier_of, gone) if name not in recorded]


def where_keys_lie(app: App) -> dict[str, str]:
    """Provider and protection, as reports print them; `unknown` where the provider is away."""
    with allow_hosts(key_hosts(app.project.keys)):
        try:
            protection = app.keys.protection()
        except EngineError:
            protection = "unknown"
    return {"provider": app.project.keys.provider, "protection": protection}
