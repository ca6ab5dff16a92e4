"""Marking what is taken out beside an open local plan as perhaps delivered, and then as gone."""

from __future__ import annotations

import pyarrow as pa

from mayfly.adapters.planstores.in_source import TAKEN
from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.make import PlanPlace
from mayfly.adapters.planstores.recognition import LocalState, key_digest
from mayfly.planning.closing import doubted_removals
from mayfly.planning.numbering import identifiers
from mayfly.planning.spec import Plan, PlanSpec
from mayfly.planning.sql.duckdb import DuckdbDialect


def doubt_removals(
    place: PlanPlace,
    digests: LocalDigests,
    state: LocalState,
    local: PlanSpec,
    plan: Plan,
) -> pa.Table | None:
    """Mark in a state what the removals of a plan name.

    Args:
        place: of the plan.
        digests: made in the worker.
        state: open for writing.
        local: the plan as the state sees it.
        plan: of withdrawals only.

    Returns:
        `batch` of each, and what names it in the state; None where there are none.
    """
    if not plan.batches:
        return None
    taken = _identifiers(place, digests) if local.by_identifier else _keys(place, digests)
    state.session.load(TAKEN, taken)
    for statement in doubted_removals(local, DuckdbDialect(), state.names, TAKEN):
        state.session.execute(statement)
    return taken


def _keys(place: PlanPlace, digests: LocalDigests) -> pa.Table:
    drop = place.names.of("drop")
    key = key_digest(place.spec, place.sql)
    found = place.session.table(f"SELECT batch, {key} AS kd FROM {drop}")
    return pa.table({"batch": found.column("batch"), "k0": digests.rows(found.column("kd"))})


def _identifiers(place: PlanPlace, digests: LocalDigests) -> pa.Table:
    """Each field's digests are sealed under its name."""
    drop, parts = place.names.of("drop"), []
    for _, field in identifiers(place.spec):
        name = place.sql.literal(field.name)
        found = place.session.table(f"SELECT batch, digest FROM {drop} WHERE field = {name}")
        sealed = digests.sealer.seal(found.column("digest").combine_chunks(), field.name)
        names = pa.array([field.name] * found.num_rows, pa.string())
        batch = found.column("batch").cast(pa.int64())
        parts.append(pa.table({"batch": batch, "field": names, "digest": sealed}))
    return pa.concat_tables(parts)
