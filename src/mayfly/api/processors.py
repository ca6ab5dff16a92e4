"""The register of sub-processors, as it is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mayfly.adapters.processes import actor_id
from mayfly.api.findings import Finding, finding
from mayfly.api.processor_notices import kept
from mayfly.bootstrap import App
from mayfly.bootstrap.register import operator_hosts
from mayfly.bootstrap.registry import SPECS
from mayfly.domain.errors import UsageError
from mayfly.domain.processors import Processor, review_overdue
from mayfly.services.ai_transfer import (
    ai_statement,
    approval_of_ai,
    approve_ai,
    author_of_ai,
    needs_signature,
    sign_ai,
    transfer_document,
)
from mayfly.services.register import Register, overdue_reviews, register_of, why_not_used
from mayfly.services.two_people import Act, needs_two

SCHEMA = "mayfly/processors/1"
PROCESSOR_CODES = ("review_overdue",)
"""Codes of findings that keep no run from succeeding."""


def register(app: App) -> Register:
    """The register of a project that is open."""
    return register_of(app.project, SPECS)


def listed(app: App) -> dict[str, Any]:
    """See `ProcessorActs.processors`."""
    found = register(app)
    return _document(app, "list", found, found.processors)


def shown(app: App, name: str) -> dict[str, Any]:
    """See `ProcessorActs.processor`.

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


def checked(app: App) -> dict[str, Any]:
    """See `ProcessorActs.check_processors`."""
    refusals = app.not_engaged()
    late = overdue_reviews(app.project, app.clock.now().date())
    return {
        "schema": SCHEMA,
        "ok": not refusals,
        "act": "check",
        "enforced": bool(app.project.processors),
        "uses": [{"what": u.what, "host": u.host} for u in operator_hosts(app.project)],
        "refusals": [{"code": r.code, "message": r.message} for r in refusals],
        "reviews_overdue": late,
    }


def ai_approved(app: App, actor: str | None) -> dict[str, Any]:
    """See `ProcessorActs.ai_transfer`.

    Raises:
        PolicyError: `ai_not_global`; where two people approve `approval_unsigned` and the like.
    """
    by = actor or actor_id(os.environ)
    approve_ai(app.project, app.store, actor=by, now=app.clock.now())
    return ai_transfer(app)


def ai_signed(app: App, signature: str, *, request: bool) -> dict[str, Any]:
    """See `ProcessorActs.ai_transfer`.

    Raises:
        PolicyError: `ai_not_global`; `approval_signature` and the like.
    """
    sign_ai(app.project, app.store, _act(request), signature, now=app.clock.now())
    return ai_transfer(app)


def ai_to_sign(app: App, *, request: bool) -> bytes:
    """See `ProcessorActs.ai_to_sign`."""
    return ai_statement(app.project, app.store, _act(request), now=app.clock.now())


def _act(request: bool) -> Act:
    return "request" if request else "approve"


def ai_transfer(app: App) -> dict[str, Any]:
    """See `ProcessorActs.ai_transfer`."""
    project, store = app.project, app.store
    record = approval_of_ai(project, store)
    return {
        "schema": "mayfly/approve/1",
        "ok": True,
        "pending": [],
        "approved": [],
        "ai": {
            "waits": needs_signature(project) and record is None,
            "two_people": needs_two(project),
            "author": author_of_ai(project) or None,
            "actor": record.actor if record else None,
            "at": record.at.isoformat() if record else None,
            **transfer_document(project),
        },
    }


def processor_findings(app: App) -> list[Finding]:
    """What `doctor` says of the register."""
    if not app.project.processors:
        hosts = sorted({use.host for use in operator_hosts(app.project)})
        text = (
            "The project has no register of sub-processors, so that nobody has to stand in one who "
            f"is behind the operator's hosts: {', '.join(hosts)}."
        )
        hint = "Where you process for others, enter them under `processors`."
        return [finding("not_enforced", text, hint)] if hosts else []
    # Where there are syncs, each of them says it.
    refusals = [] if app.project.syncs else app.not_engaged()
    found = [finding(r.code, r.message, "See `mayfly processors check`.") for r in refusals]
    return found + [
        finding(
            "review_overdue",
            f"processors.{name}: its security was to be reviewed again, and was not.",
            "Review it, and write down `security: {report, date, next_due}`.",
        )
        for name in overdue_reviews(app.project, app.clock.now().date())
    ]


def _document(
    app: App, act: str, found: Register, entries: list[Processor] | tuple[Processor, ...]
) -> dict[str, Any]:
    stopped = app.stopped()
    lists = {
        key: [_entry(app, p, stopped) for p in entries if p.kind == kind]
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
        **(kept(app) if act == "list" else {}),
    }


def _entry(app: App, processor: Processor, stopped: Mapping[str, str]) -> dict[str, Any]:
    today = app.clock.now().date()
    reason = why_not_used(app.project, processor, stopped, today)
    return {
        **processor.to_dict(),
        "engaged": not reason,
        "reason": reason,
        "review_overdue": review_overdue(processor, today),
    }
