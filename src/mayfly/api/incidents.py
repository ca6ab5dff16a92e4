"""Incidents, as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mayfly.api.acts import Objects
from mayfly.bootstrap import App
from mayfly.domain.errors import PolicyError, UsageError
from mayfly.domain.incidents import Incident
from mayfly.privacy.guard import classes_in
from mayfly.services.incidents import (
    close_incident,
    find_incident,
    incident_document,
    notice_of,
)

NOTE_CHARACTERS_MAX = 4_000


def listed(app: App) -> dict[str, Any]:
    """See `Project.incidents`."""
    return _document("list", app.store.incidents())


def shown(app: App, name: str) -> dict[str, Any]:
    """See `Project.incident`."""
    return _document("show", [find_incident(app.store, name)])


def closed(app: App, name: str, measures: Sequence[str], note: str) -> dict[str, Any]:
    """See `Project.close_incident`.

    Raises:
        UsageError: `unknown_incident`, `incident_closed`, `unknown_measure`, `note_too_long`.
        PolicyError: `note_personal`.
    """
    text = _checked(note)
    now = app.clock.now()
    found = close_incident(app.store, name, measures=measures, note=text, now=now)
    return _document("close", [found])


def notice(app: App, name: str) -> dict[str, Any]:
    """See `Project.incident_notice`."""
    found = find_incident(app.store, name)
    made = notice_of(found, workspace=app.project.workspace.name, now=app.clock.now())
    return _document("notice", [found]) | {"notice": made}


def of_incident(app: App, name: str) -> Objects:
    """One incident, for the record of an act."""
    return {f"incident/{name}": partial(_state, app, name)}


def _state(app: App, name: str) -> dict[str, Any]:
    return incident_document(find_incident(app.store, name))


def _checked(note: str) -> str:
    """Words that name nobody, as far as the guard sees."""
    text = " ".join(note.split())
    if len(text) > NOTE_CHARACTERS_MAX:
        raise UsageError("note_too_long", f"A note has {NOTE_CHARACTERS_MAX:,} characters at most.")
    found = sorted(classes_in(text))
    if found:
        raise PolicyError(
            "note_personal",
            f"The note holds what looks like somebody's {', '.join(found)}; nothing was closed.",
            hint="Name nobody: counts, codes and ids say what happened.",
        )
    return text


def _document(act: str, found: Sequence[Incident]) -> dict[str, Any]:
    return {
        "schema": "mayfly/incidents/1",
        "ok": True,
        "act": act,
        "incidents": [incident_document(one) for one in found],
        "notice": None,
    }
