"""Incidents: security events as the controller has to be told of them, in codes and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class IncidentKind(StrEnum):
    """What happened."""

    EGRESS_REFUSED = "egress_refused"
    GUARD_STOP = "guard_stop"
    CLEAR_VALUE_FOUND = "clear_value_found"
    LEDGER_INCONSISTENT = "ledger_inconsistent"
    PURGE_OVERDUE = "purge_overdue"
    REGION_DIFFERS = "region_differs"
    KEYS_CHANGED = "keys_changed"
    ROLES_CHANGED = "roles_changed"


_ROWS = "people in the rows of the sync, as the controller's model selects them"
_NOBODY = "nobody as far as is known: no row is concerned by the event itself"


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What is told of a kind: what it is, which categories it may concern, what may follow."""

    what: str
    subjects: str
    records: str
    consequences: str

    @property
    def concerns_people(self) -> bool:
        """Whether rows of people may be concerned by the event itself."""
        return self.subjects != _NOBODY


NATURES: Final[Mapping[IncidentKind, Nature]] = MappingProxyType(
    {
        IncidentKind.EGRESS_REFUSED: Nature(
            what="the process was about to connect to a host that is on no list, and was refused",
            subjects=_ROWS,
            records="none left by this connection: it was refused before it was made",
            consequences="a component tries to send where nobody allowed it; other ways out of "
            "the machine are to be checked",
        ),
        IncidentKind.GUARD_STOP: Nature(
            what="a run was stopped since the guard withheld more rows than the sync allows",
            subjects=_ROWS,
            records="rows of the sync with a value in clear in a field that may have none",
            consequences="the rows were not sent; the model or the source holds values where none "
            "were declared",
        ),
        IncidentKind.CLEAR_VALUE_FOUND: Nature(
            what="the guard found values in clear in a field that may have none, and withheld them",
            subjects=_ROWS,
            records="rows of the sync with a value in clear in a field that may have none",
            consequences="the rows were not sent; the model or the source holds values where none "
            "were declared",
        ),
        IncidentKind.LEDGER_INCONSISTENT: Nature(
            what="the ledger does not match its signed head, or is missing",
            subjects=_NOBODY,
            records="the record of what was made, delivered and deleted",
            consequences="deletion and delivery since the last kept checkpoint are not proven",
        ),
        IncidentKind.PURGE_OVERDUE: Nature(
            what="a working copy or sealed batch was there past the day on which it had to end",
            subjects=_ROWS,
            records="keys and digests of rows to send, or rows that wait sealed",
            consequences="data was kept longer than was agreed",
        ),
        IncidentKind.REGION_DIFFERS: Nature(
            what="a part of the workspace was found in another region than was planned",
            subjects=_ROWS,
            records="what that part holds: rows in memory, sealed rows, keys, or ids and counts",
            consequences="data may have been where the law of the workspace does not hold",
        ),
        IncidentKind.KEYS_CHANGED: Nature(
            what="a version of the key encryption key was made or destroyed",
            subjects=_NOBODY,
            records="keys of the workspace, wrapped",
            consequences="none where the act was meant; what only a destroyed version opens is "
            "lost",
        ),
        IncidentKind.ROLES_CHANGED: Nature(
            what="the list of people who may approve became another",
            subjects=_NOBODY,
            records="the right to approve what may leave",
            consequences="none where the act was meant; else somebody may approve who should not",
        ),
    }
)
MEASURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none_needed": "the event was meant, and needs no measure",
        "paused": "the syncs concerned were paused",
        "source_corrected": "the model or the source was corrected",
        "data_deleted": "what was concerned was deleted",
        "moved": "the part was moved to its region",
        "keys_replaced": "keys or credentials were replaced",
        "access_withdrawn": "access of a person or component was withdrawn",
        "software_updated": "a component was updated or removed",
        "ledger_restored": "the ledger was restored from a copy that verifies",
        "controller_informed": "the controller was informed",
        "authority_informed": "the supervisory authority was informed",
        "people_informed": "the people concerned were informed",
    }
)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One incident; there is one open of a kind, subject and target at most.

    Args:
        id: random.
        kind: what happened.
        subject: name of the sync, `keys`, `ledger`, or `process` where it is about none.
        target: under which.
        code: of ours, of the first time.
        run: of the first time; empty where it is about none.
        known_at: when it became known.
        last_at: when it happened last.
        occurrences: how often, by now.
        rows: the most rows that were concerned at once.
        closed_at: None while it is open.
        measures: codes of `MEASURES`.
        note: by the operator, in which the guard found nobody's value.
    """

    id: str
    kind: IncidentKind
    subject: str
    target: str
    code: str = ""
    run: str = ""
    known_at: datetime
    last_at: datetime
    occurrences: int = 1
    rows: int = 0
    closed_at: datetime | None = None
    measures: tuple[str, ...] = ()
    note: str = ""
