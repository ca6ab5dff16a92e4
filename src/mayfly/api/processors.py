"""The register of sub-processors, as it is shown."""

from __future__ import annotations

from typing import Any

from mayfly.bootstrap import App
from mayfly.bootstrap.registry import SPECS
from mayfly.domain.errors import UsageError
from mayfly.domain.places import DEFAULT_GEOGRAPHY
from mayfly.domain.processors import Processor, review_overdue, why_not_engaged
from mayfly.services.register import Register, register_of

SCHEMA = "mayfly/processors/1"


def register(app: App) -> Register:
    """The register of a project that is open."""
    return register_of(app.project, SPECS)


def listed(app: App) -> dict[str, Any]:
    """See `Project.processors`."""
    found = register(app)
    return _document(app, "list", found, found.processors)


def shown(app: App, name: str) -> dict[str, Any]:
    """See `Project.processor`.

    Raises:
        UsageError: `unknown_processor`.
    """
    found = register(app)
    entries = [p for p in found.processors if p.name == name]
    if not entries:
        known = ", ".join(p.name for p in found.processors) or "none"
        hint = f"The register has: {known}."
        raise UsageError("unknown_processor", "There is no sub-processor of that name.", hint=hint)
    return _document(app, "show", found, entries)


def _document(
    app: App, act: str, found: Register, entries: list[Processor] | tuple[Processor, ...]
) -> dict[str, Any]:
    lists = {
        key: [_entry(app, p) for p in entries if p.kind == kind]
        for key, kind in (("infrastructure",) * 2, ("ai",) * 2, ("affiliates", "affiliate"))
    }
    return {
        "schema": SCHEMA,
        "ok": True,
        "act": act,
        "digest": found.digest,
        "ai_switch": app.project.workspace.ai,
        **lists,
        "recipients": [r.to_dict() for r in found.recipients] if act == "list" else [],
    }


def _entry(app: App, processor: Processor) -> dict[str, Any]:
    workspace, today = app.project.workspace, app.clock.now().date()
    geography = workspace.geography or DEFAULT_GEOGRAPHY
    reason = why_not_engaged(processor, geography, workspace.ai, today)
    return {
        **processor.to_dict(),
        "engaged": not reason,
        "reason": reason,
        "review_overdue": review_overdue(processor, today),
    }
