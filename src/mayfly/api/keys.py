"""The key encryption key of a project: its versions, a new one, and rewrapping."""

from __future__ import annotations

from typing import Any, Literal

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap import App
from mayfly.domain.errors import EngineError

KeyAct = Literal["versions", "rotate", "rewrap"]


def act_on_keys(app: App, act: KeyAct) -> dict[str, Any]:
    """Do it, and tell provider, protection and versions as they are then.

    `rotate` makes a version and rewraps; where it was cut off in between, `rewrap` goes on.

    Raises:
        EngineError: whatever the provider raises.
    """
    with allow_hosts(key_hosts(app.project.keys)):
        if act == "rotate":
            app.keys.rotate()
        rewrapped = None
        if act != "versions":
            rewrapped = app.keyring.rewrap() + app.spool().rewrap()
        return {
            "schema": "mayfly/keys/1",
            "ok": True,
            "act": act,
            **where_keys_lie(app),
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


def where_keys_lie(app: App) -> dict[str, str]:
    """Provider and protection, as reports print them; `unknown` where the provider is away."""
    with allow_hosts(key_hosts(app.project.keys)):
        try:
            protection = app.keys.protection()
        except EngineError:
            protection = "unknown"
    return {"provider": app.project.keys.provider, "protection": protection}
