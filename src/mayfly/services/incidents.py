"""Incidents: opened by what is told of a run and by acts, closed by people, told to controllers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mayfly.domain.alerts import LEDGER, AlertKind
from mayfly.domain.audit import OpenAct
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.incidents import MEASURES, NATURES, Incident, IncidentKind
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.ports.store import Store
from mayfly.services.alert_rules import kind_of_code
from mayfly.services.events import Event, OverTarget, RunEnded, RunStarted, Tell, ignore

PROCESS = "process"
"""Subject of what is about no sync."""
KEYS = "keys"
PEOPLE = "people"
_CAP = LIMITS[RetentionClass.CUSTOMER_DATA].cap_seconds or 0
_OF_ACTS = {
    "keys.rotate": (IncidentKind.KEYS_CHANGED, KEYS),
    "keys.destroy": (IncidentKind.KEYS_CHANGED, KEYS),
    "people": (IncidentKind.ROLES_CHANGED, PEOPLE),
}
_OF_CODES = {
    "region_differs": IncidentKind.REGION_DIFFERS,
    "withheld_threshold": IncidentKind.GUARD_STOP,
}


@dataclass(kw_only=True)
class IncidentWatch:
    """Takes events, and opens incidents for those that are security events.

    A store that does not answer keeps no run from its end: what it could not be told is in the run
    and in the ledger.

    Args:
        store: keeps incidents.
        target: under which is worked.
        now: the time.
        refused: how often this process refused to connect, since it began.
        then: who else is told of events.
    """

    store: Store
    target: str
    now: Callable[[], datetime]
    refused: Callable[[], int]
    then: Tell = ignore
    _dry: set[str] = field(default_factory=set, init=False)
    _seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """What was refused before is somebody else's."""
        self._seen = self.refused()

    def __call__(self, event: Event) -> None:
        """Tell it on, and take what of it is a security event."""
        self.then(event)
        match event:
            case RunStarted() if event.dry:
                self._dry.add(event.run)
            case RunEnded() if event.run in self._dry:
                self._dry.discard(event.run)
            case RunEnded():
                self._ended(event)
            case OverTarget() if event.what != "rows" and event.seconds > _CAP:
                self._open(IncidentKind.PURGE_OVERDUE, event.sync, code=event.what, run=event.run)

    def not_opened(self, code: str) -> None:
        """Take that the project could not be opened."""
        if kind_of_code(code) is AlertKind.LEDGER_INCONSISTENT:
            self._open(IncidentKind.LEDGER_INCONSISTENT, LEDGER, code=code)

    def note_refused(self, subject: str = PROCESS, run: str = "") -> None:
        """Take the connections that were refused since this was called last."""
        refused = self.refused()
        new, self._seen = refused - self._seen, refused
        if new > 0:
            self._open(IncidentKind.EGRESS_REFUSED, subject, code="host_not_allowed", run=run)

    def _ended(self, event: RunEnded) -> None:
        self.note_refused(event.sync, event.run)
        if event.clear_values:
            self._open(
                IncidentKind.CLEAR_VALUE_FOUND,
                event.sync,
                code=event.code,
                run=event.run,
                rows=event.clear_values,
            )
        kind = _OF_CODES.get(event.code)
        if kind is not None:
            rows = event.withheld_guard if kind is IncidentKind.GUARD_STOP else 0
            self._open(kind, event.sync, code=event.code, run=event.run, rows=rows)
        if kind_of_code(event.code) is AlertKind.LEDGER_INCONSISTENT:
            self._open(IncidentKind.LEDGER_INCONSISTENT, LEDGER, code=event.code, run=event.run)

    def _open(
        self, kind: IncidentKind, subject: str, *, code: str, run: str = "", rows: int = 0
    ) -> None:
        with suppress(EngineError):
            self.store.open_incident(
                _incident(kind, subject, self.target, self.now(), code=code, run=run, rows=rows)
            )


def incident_of_act(store: Store, act: OpenAct, now: datetime) -> None:
    """Open what an act is; that of keys or roles alone."""
    found = _OF_ACTS.get(act.action)
    if found is None or (act.action == "people" and act.before == act.after):
        return
    kind, subject = found
    with suppress(EngineError):
        store.open_incident(_incident(kind, subject, act.target, now, code=act.action))


def _incident(
    kind: IncidentKind,
    subject: str,
    target: str,
    now: datetime,
    *,
    code: str,
    run: str = "",
    rows: int = 0,
) -> Incident:
    return Incident(
        id=f"inc-{secrets.token_hex(8)}",
        kind=kind,
        subject=subject,
        target=target,
        code=code,
        run=run,
        known_at=now,
        last_at=now,
        rows=rows,
    )


def find_incident(store: Store, name: str) -> Incident:
    """The incident of that id. Raises UsageError `unknown_incident`."""
    found = next((one for one in store.incidents() if one.id == name), None)
    if found is None:
        raise UsageError(
            "unknown_incident",
            "There is no incident of that id.",
            hint="`mayfly incidents list` shows them.",
        )
    return found


def close_incident(
    store: Store, name: str, *, measures: Sequence[str], note: str, now: datetime
) -> Incident:
    """Close an incident with what was done about it.

    Args:
        store: keeps it.
        name: its id.
        measures: codes of `MEASURES`.
        note: the operator's words, in which the guard found nobody's value.
        now: the time.

    Raises:
        UsageError: `unknown_incident`, `incident_closed`, `unknown_measure`.
    """
    unknown = [code for code in measures if code not in MEASURES]
    if unknown or not measures:
        raise UsageError(
            "unknown_measure",
            "An incident is closed with one or more measures of the list.",
            hint=f"There are: {', '.join(MEASURES)}.",
        )
    find_incident(store, name)
    if not store.close_incident(name, measures=measures, note=note, now=now):
        raise UsageError("incident_closed", "The incident was closed before.")
    return find_incident(store, name)


def incident_document(incident: Incident) -> dict[str, Any]:
    """An incident as `mayfly incidents` prints it."""
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "subject": incident.subject,
        "target": incident.target,
        "code": incident.code,
        "run": incident.run,
        "known_at": incident.known_at.isoformat(),
        "last_at": incident.last_at.isoformat(),
        "occurrences": incident.occurrences,
        "rows": incident.rows,
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
        "measures": list(incident.measures),
        "note": incident.note,
    }


def notice_of(incident: Incident, *, workspace: str, now: datetime) -> dict[str, Any]:
    """What the controller is told of an incident without delay (GDPR, Article 33(2) and (3)).

    Whether people are at risk, and whether an authority is to be told within 72 hours, is the
    controller's to decide.
    """
    nature = NATURES[incident.kind]
    at_most = (incident.rows or None) if nature.concerns_people else 0
    return {
        "workspace": workspace,
        "incident": incident.id,
        "made_at": now.isoformat(),
        "known_at": incident.known_at.isoformat(),
        "last_at": incident.last_at.isoformat(),
        "nature": nature.what,
        "kind": incident.kind.value,
        "subject": incident.subject,
        "target": incident.target,
        "code": incident.code,
        "occurrences": incident.occurrences,
        "people": {"categories": nature.subjects, "at_most": at_most},
        "records": {"categories": nature.records, "at_most": at_most},
        "consequences": nature.consequences,
        "measures": [{"code": code, "text": MEASURES[code]} for code in incident.measures],
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
        "note": incident.note,
    }
