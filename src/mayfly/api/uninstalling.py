"""Taking Mayfly out of a source of a project."""

from __future__ import annotations

from typing import Any

from mayfly.api.findings import require_source
from mayfly.bootstrap import App
from mayfly.domain.errors import PolicyError


def uninstalling(app: App, name: str, *, force: bool, act: bool = False) -> dict[str, Any]:
    """What there is of Mayfly's in a source, or with `act` was: it is then taken out.

    Raises:
        UsageError: `unknown_source`.
        PolicyError: `anchor_in_source`; else as `Uninstaller.require`.
    """
    require_source(app.project, name)
    anchors = [a.name for a in app.project.anchors.values() if a.source == name]
    if anchors:
        # It would be made anew with the next checkpoint.
        raise PolicyError(
            "anchor_in_source",
            f"Anchor {anchors[0]} keeps checkpoints of the ledger in source {name}.",
            hint="Take the anchor out of mayfly.yml first, and copy its table elsewhere.",
        )
    uninstaller = app.uninstaller(name)
    if act:
        found = uninstaller.uninstall(force=force)
    else:
        found = uninstaller.look()
        uninstaller.require(found, force=force)
    return {"schema": "mayfly/uninstall/1", "ok": True, "dropped": act, **found.to_dict()}
