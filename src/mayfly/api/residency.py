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
    """What refuses runs, and what else nobody knows the place of."""
    rows = rows_of(app)
    refusal = residency_refusal(app.project.workspace, rows)
    found = [] if refusal is None else [finding(refusal.code, refusal.message, refusal.hint)]
    names = [f"{row.part} {row.name}".rstrip() for row in rows if _is_listed(app, row)]
    if names:
        found.append(
            finding(
                "region_not_known",
                f"Nobody says where these are: {', '.join(names)}.",
                "Declare it with `region:`.",
            )
        )
    return found


def _is_listed(app: App, row: ResidencyRow) -> bool:
    """What refuses is told as that, and a channel by its own finding; of a project that says
    nothing of its place only what somebody chose elsewhere.
    """
    if row.state != "unknown" or row.personal or row.part == "alerts":
        return False
    return app.project.workspace.placed or row.part == "anchor"
