"""Which sync that may not run may still take out who withdrew, and by what.

What was delivered under an approval is taken back to the same place: nothing new leaves. Where
source, model, consent or destination are others than approved nobody can say that, and nothing
goes. Identifiers that were approved and are refused now, or mapped no more, are taken out as they
were delivered; nothing of them is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mayfly.domain.approval import approval_document
from mayfly.domain.batch import SyncMode
from mayfly.domain.settings import Project, SyncSettings
from mayfly.planning.spec import PlanField, PlanSpec
from mayfly.ports.destination import DestinationSpec, FieldSpec
from mayfly.ports.store import Store
from mayfly.privacy.gate import Form
from mayfly.privacy.gate.gate import GateField
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.shown_names import kept_document
from mayfly.services.type_fields import MADID

_OF_RECIPIENTS = frozenset({
    "processor_not_active", "processor_unregistered", "transfer_not_allowed",
    "transfer_not_carried",
})  # fmt: skip
"""Who has what was delivered already: that they are told less of it needs nobody's word."""
_OF_COLUMNS = frozenset({
    "class_undeclared", "class_mismatch", "clear_identifier", "free_form", "marked_in_dbt",
    "match_without_class", "no_identifier", "no_text", "pseudonym_cannot_match",
    "server_differs", "special_category", "unknown_field",
})  # fmt: skip
_BESIDE: Mapping[str, frozenset[str]] = {
    "consent": frozenset({"constant", "lawful_basis", "notice_version"}),
    "destination": frozenset({"owner", "reason"}),
}
"""Parts of an approval that say nothing of whom a sync takes out, and where."""
_APART = frozenset({
    "columns", "outside_repertoire", "recheck_after_seconds", "told", "transfers",
})  # fmt: skip
"""The same, as a whole; columns are compared by themselves."""


def withdrawing(
    project: Project, store: Store, compiled: CompiledSync, destination: DestinationSpec
) -> CompiledSync | None:
    """By what a sync that is refused, by its approval or by what it was compiled to, takes out who
    withdrew; None where it may not.

    Args:
        project: under one target.
        store: of acts.
        compiled: the sync as it is now.
        destination: of the sync.
    """
    record = store.approval(compiled.sync.id, project.target)
    codes = {refusal.code for refusal in compiled.refusals}
    if record is None or codes - _OF_RECIPIENTS - _OF_COLUMNS:
        return None
    now = approval_document(project, compiled.sync.name, compiled.pinned)
    forms = (compiled.pinned, compiled.pinned.as_before())
    name, told = compiled.sync.name, _told(record.document)
    if all(told != _told(approval_document(project, name, f)) for f in forms if f is not None):
        return None
    made = _as_delivered(compiled, record.document, destination)
    spec = made.spec
    if spec is None or (spec.by_identifier and spec.external):
        return None if spec is None else made
    # Rows go by their primary key, which must be sent as it was approved.
    carried = {k.name for k in spec.keys} <= {f.column for f in spec.fields}
    return made if carried and _keys(record.document) == _keys(now) else None


def _as_delivered(
    compiled: CompiledSync, document: Mapping[str, Any], destination: DestinationSpec
) -> CompiledSync:
    """With every identifier that an approval let out."""
    return with_delivered(compiled, [c["field"] for c in document["columns"]], destination)


def with_delivered(
    compiled: CompiledSync,
    names: Iterable[str],
    destination: DestinationSpec,
    *,
    taken_out: bool = False,
) -> CompiledSync:
    """The sync with identifiers of its destination, of which nothing is read, so that what was
    delivered of them can be taken out.

    Args:
        compiled: from which nothing but removals may go then.
        names: of fields; those that the sync has, and those that are no identifiers, do not count.
        destination: of the sync.
        taken_out: see `PlanField`.
    """
    spec, policy, context = compiled.spec, compiled.policy, compiled.context
    if spec is None or policy is None or context is None or spec.mode is SyncMode.APPEND:
        return compiled
    known = {f.name for f in spec.fields}
    declared = (destination.field(n) for n in dict.fromkeys(names) if n not in known)
    lost = [f for f in declared if f is not None and f.identifier]
    if not lost:
        return compiled
    unread = [replace(_unread(f, spec), taken_out=taken_out) for f in lost]
    clear = {f.name: pa.string() if f.form is Form.CLEAR else pa.binary() for f in lost}
    return replace(
        compiled,
        spec=replace(spec, fields=(*spec.fields, *unread), by_identifier=True),
        policy=replace(policy, fields=(*policy.fields, *map(_gated, lost))),
        context=replace(
            context,
            columns={**context.columns, **clear},
            forms={**context.forms, **{f.name: f.form for f in lost}},
        ),
    )


def _unread(field: FieldSpec, spec: PlanSpec) -> PlanField:
    key = spec.keys[0]
    return PlanField(
        name=field.name,
        column=key.name,
        arrow_type=key.arrow_type,
        form=field.form,
        identifier=True,
        shape=(field.shape or MADID) if field.form is Form.CLEAR else None,
        keeps_case=field.keeps_case,
        unread=True,
    )


def _gated(field: FieldSpec) -> GateField:
    pattern = (field.shape or MADID) if field.form is Form.CLEAR else ""
    shape: Any = "pattern" if pattern else "digest"
    return GateField(
        name=field.name, form=field.form, shape=shape, pattern=pattern, identifier=True
    )


def takes_anybody_out(project: Project, sync: SyncSettings) -> bool:
    """Whether withdrawals of a sync are taken back at all; of an upsert to a third party where the
    destination can.
    """
    external = project.destinations[sync.destination].kind != "internal"
    return sync.mode in ("audience", "mirror") or (sync.mode == "upsert" and external)


def _told(document: Mapping[str, Any]) -> str:
    # As it is kept, which an earlier release's is not.
    document = kept_document(document)
    parts = {
        key: {k: v for k, v in part.items() if k not in _BESIDE[key]}
        if key in _BESIDE and isinstance(part, Mapping)
        else part
        for key, part in document.items()
        if key not in _APART
    }
    # As the fingerprint sees it: to Python 1, 1.0 and True are equal.
    return json.dumps(parts, sort_keys=True)


def _keys(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """How the primary key is sent."""
    kept = kept_document(document)
    return [c for c in kept["columns"] if c["column"] in kept["primary_key"]]
