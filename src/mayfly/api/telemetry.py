"""What `doctor` says of the receiver of spans and metrics."""

from __future__ import annotations

from mayfly.api.findings import Finding, finding
from mayfly.bootstrap.telemetry import opened_receiver
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import Project

TELEMETRY_CODES = ("telemetry_region", "telemetry_away")
"""Warnings: no run depends on it."""


def telemetry_findings(project: Project) -> list[Finding]:
    """Whether it could be reached, and where it is."""
    settings = project.telemetry
    if settings is None:
        return []
    found = []
    try:
        with opened_receiver(project, settings) as receiver:
            receiver.check()
    except EngineError as error:
        found.append(finding(error.code, f"telemetry: {error.message}", error.hint))
    where = f"region {settings.region}" if settings.region else "this machine"
    return [
        *found,
        finding(
            "telemetry_region",
            f"telemetry: ids, codes and counts go to a receiver in {where}.",
            "Take telemetry: out of mayfly.yml to send none.",
        ),
    ]
