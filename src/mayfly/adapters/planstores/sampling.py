"""Some rows of a plan that was only counted, masked."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from mayfly.adapters.planstores.make import PlanPlace
from mayfly.adapters.planstores.reading import internal_value, outgoing_column
from mayfly.domain.batch import Operation
from mayfly.planning.columns import granted_model, same_key
from mayfly.planning.spec import Plan, PlanField, PlanSpec, PlanWorker, SampleCell
from mayfly.privacy.gate import Form
from mayfly.privacy.masking import NOTHING, masked, masked_digest


def with_sample(place: PlanPlace, plan: Plan, worker: PlanWorker, rows: int) -> Plan:
    """The plan with some of its rows.

    Args:
        place: of the plan's temporary tables.
        plan: that was made there.
        worker: for values that are made here.
        rows: at most; 0 for none.
    """
    adds = [b for b in plan.batches if b.operation is not Operation.REMOVE]
    if not rows or not adds:
        return plan
    spec, sql = place.spec, place.sql
    made: dict[str, str] = {}
    for i, field in enumerate(spec.fields):
        text = sql.render(sql.quote(field.column), field.arrow_type)
        made[f"b{i}"], made[f"n{i}"] = sql.beginning(text, 2), sql.characters(text)
        if not spec.external:
            made[f"f{i}"] = internal_value(sql, field)
    model = granted_model(spec, sql, [f"{value} AS {name}" for name, value in made.items()])
    planned = "".join(f", q.v{i} AS f{i}" for i, _ in enumerate(spec.fields) if spec.external)
    found = place.session.table(
        f"/* mayfly sync={spec.identity.sync} run={spec.run} sample */ "
        f"SELECT q.pos, {', '.join(f'm.{name}' for name in made)}{planned} "
        f"FROM {place.names.of('plan')} q JOIN ({model}) m ON {same_key(spec, 'q', 'm')} "
        f"WHERE q.batch = {adds[0].number} AND q.pos < {int(rows)} ORDER BY q.pos"
    )
    columns = [_cells(spec, i, found, worker) for i, _ in enumerate(spec.fields)]
    return replace(plan, sample=tuple(zip(*columns, strict=True)))


def _cells(spec: PlanSpec, i: int, found: pa.Table, worker: PlanWorker) -> list[SampleCell]:
    field = spec.fields[i]
    starts, lengths = (found.column(f"{name}{i}").to_pylist() for name in "bn")
    before = [masked(*pair) for pair in zip(starts, lengths, strict=True)]
    values = outgoing_column(spec, field, found.column(f"f{i}"), worker, removed=False)
    after = [_after(field, value) for value in values.to_pylist()]
    return [
        SampleCell(column=field.column, to=field.name, before=b, after=a)
        for b, a in zip(before, after, strict=True)
    ]


def _after(field: PlanField, value: object) -> str:
    if value is None:
        return NOTHING
    if field.form is not Form.CLEAR and isinstance(value, bytes):
        return masked_digest(value)
    return masked(str(value), len(str(value)))
