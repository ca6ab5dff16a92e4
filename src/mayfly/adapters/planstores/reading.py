"""Reading planned batches back: consent is applied as it is now, and so is suppression wherever
the model's own values are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.adapters.planstores.make import PlanPlace
from mayfly.domain.batch import Batch, BatchHead, Operation
from mayfly.planning.columns import canonical_columns, granted_model, same_key, source_fingerprint
from mayfly.planning.names import Names
from mayfly.planning.spec import BatchInfo, Plan, PlanField, PlanSpec, PlanWorker
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import SqlSession
from mayfly.privacy.gate import Form


def read_batches(
    session: SqlSession,
    sql: SqlDialect,
    spec: PlanSpec,
    names: Names,
    batches: Sequence[BatchInfo],
    worker: PlanWorker,
    of: int,
) -> list[Batch]:
    """Batches with neighbouring numbers and one kind of change, in one statement."""
    span = _span(batches)
    fields = outgoing_fields(spec, batches)
    compared = not spec.external and worker.suppresses
    if batches[0].operation is not Operation.REMOVE and spec.external and sql.columnar:
        # A join that carries the values costs twice as much as one that finds who is granted.
        values = ", ".join(f"q.v{i}" for i in range(len(fields)))
        rows = f"SELECT q.batch, q.pos, {values} FROM {names.of('plan')} q WHERE {span}"
        granted = granted_positions(session, sql, spec, names, batches)
        planned = session.table(comment(spec, batches) + rows)
        return assemble(spec, batches, taken(spec, batches, planned, granted), worker, of)
    if batches[0].operation is not Operation.REMOVE:
        query = _added_query(sql, spec, names, span, compared=compared)
        found = session.table(comment(spec, batches) + query)
        allowed = _not_suppressed(spec, found, worker) if compared else found
        return assemble(spec, batches, allowed, worker, of)
    if spec.by_identifier:
        query = f"SELECT q.batch, q.pos, q.digest AS f0 FROM {names.of('drop')} q WHERE {span}"
    else:
        query = _removed_query(sql, spec, names, fields, span)
    return assemble(spec, batches, session.table(comment(spec, batches) + query), worker, of)


def inspect_batches(
    place: PlanPlace, plan: Plan, worker: PlanWorker, inspect: Callable[[Batch], None]
) -> None:
    """Show every batch of a plan that was only counted, one after the other."""
    of = len(plan.batches)
    for info in plan.batches:
        [batch] = read_batches(
            place.session, place.sql, place.spec, place.names, [info], worker, of
        )
        inspect(batch)


def granted_positions(
    session: SqlSession,
    sql: SqlDialect,
    spec: PlanSpec,
    names: Names,
    batches: Sequence[BatchInfo],
) -> pa.Table:
    """`batch`, `pos` of planned rows whose consent is granted now."""
    model = granted_model(spec, sql, [])
    return session.table(
        f"{comment(spec, batches)}SELECT q.batch, q.pos FROM {names.of('plan')} q "
        f"JOIN ({model}) m ON {same_key(spec, 'q', 'm')} WHERE {_span(batches)}"
    )


def allowed_positions(
    session: SqlSession,
    sql: SqlDialect,
    spec: PlanSpec,
    names: Names,
    batches: Sequence[BatchInfo],
    worker: PlanWorker,
) -> dict[int, pa.Array]:
    """See `PlanStore.allowed`. A row that is not in the model any more has no consent to read: it
    may go only where the sync has none bound. Nor may one whose values are others now: its new
    identifiers may be on the list.
    """
    digests = {f"s{j}": f"q.{c}" for j, c in enumerate(canonical_columns(spec))}
    if spec.suppress_key:
        digests["sk"] = sql.sha256(sql.render("q.k0", spec.keys[0].arrow_type))
    columns = "".join(f", {value} AS {name}" for name, value in digests.items())
    model = granted_model(spec, sql, [f"{source_fingerprint(spec, sql)} AS fp"])
    gone = " OR m.fp IS NULL" if spec.consent is None else ""
    numbers = ", ".join(str(int(b.number)) for b in batches)
    found = session.table(
        f"{comment(spec, batches)}SELECT q.batch, q.pos{columns} FROM {names.of('plan')} q "
        f"LEFT JOIN ({model}) m ON {same_key(spec, 'q', 'm')} "
        f"WHERE q.batch IN ({numbers}) AND (m.fp = q.fp{gone})"
    )
    kept = pa.repeat(pa.scalar(True, pa.bool_()), found.num_rows)
    for j, item in enumerate(spec.suppression):
        column = found.column(f"s{j}").combine_chunks().cast(pa.binary())
        kept = pc.and_(kept, pc.invert(worker.suppressed(item.kind, column)))
    if spec.suppress_key:
        column = found.column("sk").combine_chunks().cast(pa.binary())
        kept = pc.and_(kept, pc.invert(worker.suppressed("primary_key", column)))
    return positions_by_batch(found.filter(kept), batches)


def positions_by_batch(found: pa.Table, batches: Sequence[BatchInfo]) -> dict[int, pa.Array]:
    """Positions (int32) of rows with columns `batch` and `pos`, for each batch."""
    batch = found.column("batch").cast(pa.int64())
    return {
        b.number: found.filter(pc.equal(batch, b.number))
        .column("pos")
        .combine_chunks()
        .cast(pa.int32())
        for b in batches
    }


def by_batch(taken: pa.Table, batches: Sequence[BatchInfo]) -> dict[int, pa.Table]:
    """What each batch of removals takes out, by whatever names it: let go with its answer."""
    numbers = taken.column("batch").cast(pa.int64())
    rows = taken.drop_columns(["batch"])
    return {b.number: rows.filter(pc.equal(numbers, b.number)) for b in batches}


def taken(
    spec: PlanSpec, batches: Sequence[BatchInfo], rows: pa.Table, granted: pa.Table
) -> pa.Table:
    """The planned values of granted positions, as often as each was granted.

    Args:
        spec: of the plan.
        batches: read together.
        rows: `batch`, `pos`, v0, v1 …, each position once.
        granted: `batch`, `pos`.
    """
    wide = max(b.rows for b in batches) + 1

    def places(table: pa.Table) -> pa.Array:
        batch, pos = (table.column(c).cast(pa.int64()).combine_chunks() for c in ("batch", "pos"))
        return pc.add(pc.multiply(batch, pa.scalar(wide, pa.int64())), pos)

    found = rows
    wanted = places(granted)
    if len(wanted) != rows.num_rows or pc.count_distinct(wanted).as_py() != rows.num_rows:
        found = rows.take(pc.index_in(wanted, value_set=places(rows)))
    columns = {f"f{i}": found.column(f"v{i}") for i, _ in enumerate(outgoing_fields(spec, batches))}
    return pa.table({"batch": found.column("batch"), "pos": found.column("pos"), **columns})


def outgoing_fields(spec: PlanSpec, batches: Sequence[BatchInfo]) -> Sequence[PlanField]:
    """The fields that batches of one kind of change carry."""
    if batches[0].operation is not Operation.REMOVE:
        return spec.fields
    if spec.by_identifier:
        return [f for f in spec.fields if f.name == batches[0].identifier]
    return key_fields(spec)


def assemble(
    spec: PlanSpec, batches: Sequence[BatchInfo], found: pa.Table, worker: PlanWorker, of: int
) -> list[Batch]:
    """Batches from what was read of them: `batch`, `pos`, and f0, f1 … for `outgoing_fields`."""
    fields, removed = outgoing_fields(spec, batches), batches[0].operation is Operation.REMOVE
    numbers = found.column("batch")
    made = []
    for info in batches:
        # Of one batch alone nothing needs to be picked out, which copies it.
        number = pa.scalar(info.number, numbers.type)
        rows = found if len(batches) == 1 else found.filter(pc.equal(numbers, number))
        made.append(_batch(spec, info, rows, fields, worker, of, removed=removed))
    return made


def comment(spec: PlanSpec, batches: Sequence[BatchInfo]) -> str:
    """For the query history of a warehouse: whose statement it is."""
    first, last = batches[0].number, batches[-1].number
    return f"/* mayfly sync={spec.identity.sync} run={spec.run} batches={first}-{last} */ "


def _span(batches: Sequence[BatchInfo]) -> str:
    return f"q.batch BETWEEN {batches[0].number} AND {batches[-1].number}"


def _added_query(
    sql: SqlDialect, spec: PlanSpec, names: Names, span: str, *, compared: bool
) -> str:
    """Planned values of an external destination; the model's own values of an internal one, which
    may have changed since: `compared` asks for what tells whether they are suppressed.
    """
    if spec.external:
        columns = [f"q.v{i} AS f{i}" for i in range(len(spec.fields))]
        model = granted_model(spec, sql, [])
    else:
        made = {f"f{i}": internal_value(sql, f) for i, f in enumerate(spec.fields)}
        if compared:
            made |= identifiers_now(sql, spec)
        columns = [f"m.{name} AS {name}" for name in made]
        model = granted_model(spec, sql, [f"{value} AS {name}" for name, value in made.items()])
    return (
        f"SELECT q.batch, q.pos, {', '.join(columns)} FROM {names.of('plan')} q "
        f"JOIN ({model}) m ON {same_key(spec, 'q', 'm')} WHERE {span}"
    )


def identifiers_now(sql: SqlDialect, spec: PlanSpec) -> dict[str, str]:
    """Of each column of suppression its canonical digest (s), the text of what only the worker can
    hash (x), and that row's country (y), over the model's columns.
    """
    made = {}
    for j, item in enumerate(spec.suppression):
        column = sql.quote(item.column)
        inside = item.inside_sql.replace("{column}", column)
        country = sql.quote(item.country_column) if item.country_column else "NULL"
        made[f"s{j}"] = item.canonical_sql.replace("{column}", column)
        made[f"x{j}"] = f"CASE WHEN NOT ({inside}) THEN {sql.cast(column, sql.text)} END"
        made[f"y{j}"] = sql.cast(country, sql.text)
    return made


def _not_suppressed(spec: PlanSpec, found: pa.Table, worker: PlanWorker) -> pa.Table:
    """Rows none of whose present identifiers is on the list, nor withheld for what SQL may not
    hash. The others wait for the next plan, which sees what became of them.
    """
    kept = pa.repeat(pa.scalar(True, pa.bool_()), found.num_rows)
    for j, item in enumerate(spec.suppression):
        digests, values, countries = (
            found.column(f"{name}{j}").combine_chunks().cast(kind)
            for name, kind in (("s", pa.binary()), ("x", pa.string()), ("y", pa.string()))
        )
        outside = pc.is_valid(values)
        if pc.any(outside).as_py():
            if spec.outside == "withhold":
                kept = pc.and_(kept, pc.invert(outside))
            made = worker.canonical(item, values, countries)
            digests = pc.if_else(outside, made.cast(pa.binary()), digests)
        kept = pc.and_(kept, pc.invert(worker.suppressed(item.kind, digests)))
    return found.filter(kept)


def internal_value(sql: SqlDialect, field: PlanField) -> str:
    """What of a model's column an internal destination's value is made of."""
    if field.form is Form.PSEUDONYM:
        return sql.sha256(sql.render(sql.quote(field.column), field.arrow_type))
    return field.read_sql or sql.quote(field.column)


def key_fields(spec: PlanSpec) -> tuple[PlanField, ...]:
    """The destination fields that carry the primary key."""
    keys = {k.name for k in spec.keys}
    return tuple(f for f in spec.fields if f.column in keys)


def _removed_query(
    sql: SqlDialect, spec: PlanSpec, names: Names, fields: Sequence[PlanField], span: str
) -> str:
    columns = removed_columns(sql, spec, fields)
    return f"SELECT q.batch, q.pos, {', '.join(columns)} FROM {names.of('drop')} q WHERE {span}"


def removed_columns(sql: SqlDialect, spec: PlanSpec, fields: Sequence[PlanField]) -> list[str]:
    """Fields that carry the primary key as f0, f1 …, over key columns of `q`."""
    positions = {k.name: i for i, k in enumerate(spec.keys)}
    columns = []
    for i, field in enumerate(fields):
        key = f"q.k{positions[field.column]}"
        if field.form is Form.PSEUDONYM:
            key = sql.sha256(sql.render(key, field.arrow_type))
        elif field.read_sql:
            key = field.read_sql.replace(sql.quote(field.column), key)
        columns.append(f"{key} AS f{i}")
    return columns


def _batch(
    spec: PlanSpec,
    info: BatchInfo,
    found: pa.Table,
    fields: Sequence[PlanField],
    worker: PlanWorker,
    of: int,
    *,
    removed: bool,
) -> Batch:
    rows = _in_order(found)
    columns = {}
    for i, field in enumerate(fields):
        values = rows.column(f"f{i}")
        columns[field.name] = outgoing_column(spec, field, values, worker, removed=removed)
    head = BatchHead(
        sync=spec.identity.sync,
        run=spec.run,
        number=info.number,
        of=of,
        operation=info.operation,
        rows=info.rows,
        identifier=info.identifier,
    )
    positions = rows.column("pos").combine_chunks().cast(pa.int32())
    table = pa.table(columns) if columns else pa.table({})
    return Batch(head=head, rows=table, positions=positions)


def outgoing_column(
    spec: PlanSpec, field: PlanField, values: pa.ChunkedArray, worker: PlanWorker, *, removed: bool
) -> pa.ChunkedArray | pa.Array:
    """A column in the form it leaves in."""
    planned = spec.external and not (removed and not spec.by_identifier)
    if field.form is Form.CLEAR:
        if field.identifier and field.shape is not None and planned:
            return values.cast(pa.binary()).cast(pa.string())
        return values
    flat = values.combine_chunks()
    if planned:
        return flat.cast(pa.binary())
    if field.form is Form.PSEUDONYM:
        return worker.pseudonyms(field.name, flat.cast(pa.binary()))
    return worker.digests(field.name, flat.cast(pa.string()), None)


def _in_order(rows: pa.Table) -> pa.Table:
    """By position, without positions that the join gave more than once: their key is no longer
    unique.
    """
    positions = rows.column("pos").combine_chunks()
    if pc.all(pc.greater(positions[1:], positions[:-1])).as_py() is not False:
        return rows
    rows = rows.sort_by("pos")
    counts = pc.value_counts(positions)
    if len(counts) == rows.num_rows:
        return rows
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return rows.filter(pc.invert(pc.is_in(rows.column("pos"), value_set=doubled)))
