"""Where the parts of a workspace are: for `mayfly residency`, for `doctor`, and before each run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mayfly.api.findings import Finding, finding
from mayfly.bootstrap import App
from mayfly.bootstrap.residency import places_of
from mayfly.domain.errors import PolicyError
from mayfly.services.residency_report import ResidencyRow, residency_refusal, residency_rows

RESIDENCY_CODES = ("region_not_known",)
"""Codes of findings that keep no run from succeeding."""
KNOWN_FOR = timedelta(minutes=5)
"""How long a worker goes by what the platforms said: several syncs run one after the other."""


def rows_of(app: App) -> Sequence[ResidencyRow]:
    """Each part with where it is planned and found; the platforms are asked now."""
    return residency_rows(app.project.workspace, places_of(app))


def listed(app: App) -> dict[str, Any]:
    """See `Project.residency`."""
    workspace, rows = app.project.workspace, rows_of(app)
    refusal = residency_refusal(workspace, rows)
    return {
        "schema": "mayfly/residency/1",
        "ok": refusal is None,
        "placement": {
            "provider": workspace.provider,
            "geography": workspace.geography,
            "region": workspace.region,
            "explicit": workspace.placed,
        },
        "code": refusal.code if refusal else None,
        "message": refusal.message if refusal else None,
        "parts": [row.to_dict() for row in rows],
    }


def refusal_of(app: App) -> PolicyError | None:
    """Why a run may send nothing but withdrawals."""
    now, known = app.clock.now(), app.residency
    if known is None or not timedelta() <= now - known[0] < KNOWN_FOR:
        known = app.residency = now, residency_refusal(app.project.workspace, rows_of(app))
    return known[1]


def residency_findings(app: App) -> list[Finding]:
    """What refuses runs, and every other part of which nobody knows where it is."""
    rows = rows_of(app)
    refusal = residency_refusal(app.project.workspace, rows)
    found = [] if refusal is None else [finding(refusal.code, refusal.message, refusal.hint)]
    unknown = [row for row in rows if row.state == "unknown"]
    if refusal is None or refusal.code != "region_unknown":
        names = ", ".join(f"{row.part} {row.name}".rstrip() for row in unknown)
    else:
        names = ", ".join(f"{r.part} {r.name}".rstrip() for r in unknown if not r.personal)
    if names:
        found.append(
            finding(
                "region_not_known",
                f"Nobody says where these are: {names}.",
                "Declare it with `region:`, or of the worker under workspace.residency.",
            )
        )
    return found
