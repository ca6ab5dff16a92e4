"""Alerts that are open, and channels that are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mayfly.api.findings import Finding, finding
from mayfly.bootstrap import App
from mayfly.bootstrap.alerts import opened_channel
from mayfly.domain.alerts import Alert, AlertKind
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.settings import AlertSettings
from mayfly.services.alerting import notice_of

ALERT_CODES = ("alert_region", "alert_untold")
"""Codes of findings that keep no run from succeeding."""
TEST = "test"


def listed(app: App) -> dict[str, Any]:
    """See `Project.alerts`."""
    channels = app.project.alerts.values()
    return _document(app, "list", [_channel(settings, None) for settings in channels])


def tried(app: App, names: Sequence[str]) -> dict[str, Any]:
    """See `Project.try_alerts`.

    Raises:
        UsageError: `unknown_channel`, `no_channel`.
    """
    known = app.project.alerts
    if not known:
        raise UsageError("no_channel", "The project names no channel under alerts.")
    wrong = [name for name in names if name not in known]
    if wrong:
        hint = f"The project has: {', '.join(sorted(known))}."
        raise UsageError("unknown_channel", "There is no channel of that name.", hint=hint)
    found = [_channel(known[name], _sent(app, known[name])) for name in names or known]
    return _document(app, TEST, found)


def _sent(app: App, settings: AlertSettings) -> str:
    """Why a test notice could not be sent; empty where it was."""
    alert = Alert(kind=AlertKind.FAILED, subject=TEST, target=app.project.target, code=TEST)
    notice = notice_of(alert, TEST, app.project.workspace.name, app.clock.now())
    try:
        with opened_channel(settings) as channel:
            channel.send(notice)
    except EngineError as error:
        return error.code
    return ""


def _channel(settings: AlertSettings, code: str | None) -> dict[str, Any]:
    return {
        "name": settings.name,
        "type": settings.type,
        "region": settings.region,
        "on": sorted(kind.value for kind in settings.kinds),
        "code": code,
    }


def _document(app: App, act: str, channels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": "mayfly/alerts/1",
        "ok": not any(channel["code"] for channel in channels),
        "act": act,
        "channels": channels,
        "open": [
            {
                "channel": a.channel,
                "kind": a.kind,
                "subject": a.subject,
                "target": a.target,
                "since": a.since.isoformat(),
                "told_at": a.told_at.isoformat(),
                "failure": a.failure,
            }
            for a in app.store.alerts()
        ],
    }


def alert_findings(app: App) -> list[Finding]:
    """What `doctor` says of each channel: whether it could be reached, and where it is."""
    found = []
    for settings in app.project.alerts.values():
        try:
            with opened_channel(settings) as channel:
                channel.check()
        except EngineError as error:
            found.append(
                finding(error.code, f"alerts.{settings.name}: {error.message}", error.hint)
            )
        found.append(_region(settings))
    return [*found, *_untold(app)]


def _region(settings: AlertSettings) -> Finding:
    where = f"region {settings.region}" if settings.region else "a region that is not declared"
    return finding(
        "alert_region",
        f"alerts.{settings.name}: ids, codes and counts go to {settings.type} in {where}.",
        "Declare where the receiver is: `region:`.",
    )


def _untold(app: App) -> list[Finding]:
    return [
        finding(
            "alert_untold",
            f"alerts.{a.channel}: {a.kind} of {a.subject} ({a.target}) was not told [{a.failure}].",
            "Try the channel: `mayfly alerts test`.",
        )
        for a in app.store.alerts()
        if a.failure not in ("", "sending")
    ]
