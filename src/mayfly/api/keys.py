"""The key encryption key of a project: its versions, a new one, and rewrapping."""

from __future__ import annotations

import re
from typing import Any, Literal

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap import App
from mayfly.domain.errors import EngineError
from mayfly.ledger.entry import EntryType

KeyAct = Literal["versions", "rotate", "rewrap", "destroy"]
# What a text of the ledger cannot hold; names of versions are resource names or numbers.
_NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.:/+=-]")


def act_on_keys(app: App, act: KeyAct, version: str = "") -> dict[str, Any]:
    """Do it, and tell provider, protection and versions as they are then.

    `rotate` makes a version and rewraps; where it was cut off in between, `rewrap` goes on.
    `destroy` rewraps first, so that of this machine nothing is lost; where a key cannot be
    rewrapped nothing is destroyed. Repeated after a crash it is recorded once more.

    Args:
        app: of the project.
        act: what to do.
        version: which one is to be destroyed.

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
            "destroyed": _destroyed(app, version) if act == "destroy" else None,
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


def _destroyed(app: App, version: str) -> dict[str, str | None]:
    final = app.keys.destroy(version)
    name = _NO_IDENTIFIER.sub("-", version)[-128:]
    entry = app.states().entry(EntryType.KEK_DESTROYED, sync="", run="", reason=name)
    app.ledger.append([entry])
    return {"version": version, "final_at": final.isoformat() if final else None}


def where_keys_lie(app: App) -> dict[str, str]:
    """Provider and protection, as reports print them; `unknown` where the provider is away."""
    with allow_hosts(key_hosts(app.project.keys)):
        try:
            protection = app.keys.protection()
        except EngineError:
            protection = "unknown"
    return {"provider": app.project.keys.provider, "protection": protection}
