"""What of one person each sync has, had and sends: names, rules, counts and times.

Nothing of it is a value of the person, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mayfly.domain.errors import EngineError
from mayfly.domain.held import HeldBatch
from mayfly.domain.settings import DestinationSettings
from mayfly.planning.spec import PlanSpec, PlanWorker
from mayfly.ports.destination import DestinationSpec
from mayfly.ports.spool import Spool
from mayfly.ports.subjects import Recognise, SubjectRows, SubjectStanding
from mayfly.privacy.gate import Form
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.hold import rows_of
from mayfly.services.sealed_subject import persons_rows
from mayfly.services.transfers import countries_of

NOT_STATED = "not stated by the controller"
_FORMS = {Form.CLEAR: "clear", Form.DIGEST: "hashed", Form.PSEUDONYM: "pseudonym"}


@dataclass(frozen=True, kw_only=True)
class Looked:
    """One sync, as far as a person is looked for in it.

    Args:
        spec: of the compiled sync.
        subjects: what state and model know of people.
        kept: whether there is a state.
        worker: what needs a key.
        spool: where batches wait sealed.
        held: those of the sync.
    """

    spec: PlanSpec
    subjects: SubjectRows
    kept: bool
    worker: PlanWorker
    spool: Spool
    held: Sequence[HeldBatch]


def standing_of(looked: Looked, recognise: Recognise) -> dict[str, Any]:
    """What the sync has of the person now.

    Raises:
        EngineError: what is in the way of source, state or sealed batches.
    """
    found = looked.subjects.standing(looked.spec, recognise, looked.worker, kept=looked.kept)
    return {
        "model_rows": sum(found.consent.values()),
        "consent": {name: found.consent.get(name, 0) for name in ("granted", "refused", "unknown")},
        "present_rows": found.present,
        "absent_rows": found.absent,
        "rejected_rows": found.rejected,
        "identifiers": [
            {"field": name, "count": count} for name, count in sorted(found.identifiers.items())
        ],
        "first_delivery": _time(found.first_ms),
        "last_delivery": _time(found.last_ms),
        "at_destination": _at_destination(found),
        "sealed": _sealed(looked, recognise),
    }


def _at_destination(found: SubjectStanding) -> str:
    if found.present:
        return "present"
    return "absent" if found.absent else "never_sent"


def _sealed(looked: Looked, recognise: Recognise) -> list[dict[str, Any]]:
    """Batches that wait with rows of the person in them."""
    if not looked.held:
        return []
    planned = None
    if looked.kept:
        planned = looked.subjects.planned(looked.spec, recognise, looked.worker)
    told = []
    for held in looked.held:
        rows, positions = rows_of(looked.spool.open(held.id))
        mine = persons_rows(
            held,
            rows,
            positions,
            spec=looked.spec,
            recognise=recognise,
            worker=looked.worker,
            planned=planned,
        )
        if mine.true_count:
            purge_by = _time(held.purge_by_ms)
            told.append({"batch": held.batch, "rows": mine.true_count, "purge_by": purge_by})
    return told


def recipient_of(
    compiled: CompiledSync, spec: DestinationSpec, settings: DestinationSettings
) -> dict[str, Any]:
    """Who gets the data, where, for what, and which fields."""
    sync, processor = compiled.sync, spec.processor
    binding = compiled.model.consent.get(sync.purpose or "")
    basis = binding.lawful_basis if binding else None
    forms = {f.name: f.form for f in compiled.spec.fields} if compiled.spec else {}
    who = settings.owner if processor is None else processor.legal_name
    return {
        "sync": sync.id,
        "destination": sync.destination,
        "type": settings.type,
        "recipient": who or NOT_STATED,
        "countries": sorted(countries_of(spec, settings)),
        "purpose": sync.purpose or NOT_STATED,
        "lawful_basis": basis or NOT_STATED,
        "fields": [
            {
                "field": compiled.shown.name(column.to),
                "column": compiled.shown.name(column.source),
                "class": column.cls,
                "rule": column.rule,
                "leaves": _FORMS[forms[column.to]] if column.to in forms else "unknown",
            }
            for column in compiled.columns
        ],
    }


def looked_at(recipient: Mapping[str, Any], look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """One sync's part of the answer; what is in the way of looking is told by its code, and keeps
    no other sync.
    """
    try:
        return {**recipient, "code": None, "person": look()}
    except EngineError as error:
        return {**recipient, "code": error.code, "person": None}


def _time(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat()
