"""Which rows of a sealed batch are one person's, by the plan that it is of and by what it holds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.crypto.keyed import DIGEST_BYTES
from mayfly.domain.held import HeldBatch
from mayfly.planning.spec import PlanField, PlanSpec, PlanWorker
from mayfly.ports.subjects import PlannedSubject, Recognise
from mayfly.privacy.gate import Form
from mayfly.privacy.suppression import primary_key_canonical


def persons_rows(
    held: HeldBatch,
    rows: pa.Table,
    positions: pa.Array,
    *,
    spec: PlanSpec,
    recognise: Recognise,
    worker: PlanWorker,
    planned: PlannedSubject | None,
) -> pa.Array:
    """Bool per row, never null: whether it is the person's.

    Args:
        held: the batch.
        rows: its content, as it was opened.
        positions: of these rows in the planned batch.
        spec: of its sync, as it is now.
        recognise: the person.
        worker: what needs a key.
        planned: where the person stands in the plan that is open, if it is this one's.
    """
    mine = pa.repeat(pa.scalar(False, pa.bool_()), rows.num_rows)
    if planned is not None and planned.run == held.run:
        named = pa.array(planned.rows.get(held.batch, ()), pa.int32())
        mine = pc.is_in(positions, value_set=named)
    for field in spec.fields:
        if field.name in rows.column_names:
            column = rows.column(field.name).combine_chunks()
            for digests in _digests(field, column, spec, worker):
                mine = pc.or_(mine, recognise(digests))
    return mine


def _digests(
    field: PlanField, column: pa.Array, spec: PlanSpec, worker: PlanWorker
) -> list[pa.Array]:
    """What of a column can be compared with the digests of a request."""
    if pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        wide = pa.types.is_fixed_size_binary(column.type) and column.type.byte_width != DIGEST_BYTES
        return [] if field.form is Form.CLEAR or wide else [column]
    if field.form is not Form.CLEAR:
        return []
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return []
    found = [
        worker.canonical(item, texts, None)
        for item in spec.suppression
        if item.column == field.column
    ]
    if [key.name for key in spec.keys] == [field.column]:
        made = [None if t is None else primary_key_canonical(t) for t in texts.to_pylist()]
        found.append(pa.array(made, pa.binary()))
    return found
