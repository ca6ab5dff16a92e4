"""Marking what is taken out beside an open local plan as perhaps delivered."""

from __future__ import annotations

import pyarrow as pa

from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.make import PlanPlace
from mayfly.adapters.planstores.recognition import LocalState, key_digest
from mayfly.planning.closing import doubted_removals
from mayfly.planning.numbering import identifiers
from mayfly.planning.spec import Plan, PlanSpec
from mayfly.planning.sql.duckdb import DuckdbDialect

_TAKEN = "mf_taken"


def doubt_removals(
    place: PlanPlace,
    digests: LocalDigests,
    state: LocalState,
    local: PlanSpec,
    plan: Plan,
) -> None:
    """Mark in a state what the removals of a plan name.

    Args:
        place: of the plan.
        digests: made in the worker.
        state: open for writing.
        local: the plan as the state sees it.
        plan: of withdrawals only.
    """
    if not plan.batches:
        return
    taken = _identifiers(place, digests) if local.by_identifier else _keys(place, digests)
    state.session.load(_TAKEN, taken)
    for statement in doubted_removals(local, DuckdbDialect(), state.names, _TAKEN):
        state.session.execute(statement)


def _keys(place: PlanPlace, digests: LocalDigests) -> pa.Table:
    drop = place.names.of("drop")
    found = place.session.table(f"SELECT {key_digest(place.spec, place.sql)} AS kd FROM {drop}")
    return pa.table({"k0": digests.rows(found.column("kd"))})


def _identifiers(place: PlanPlace, digests: LocalDigests) -> pa.Table:
    """Each field's digests are sealed under its name."""
    drop, parts = place.names.of("drop"), []
    for _, field in identifiers(place.spec):
        name = place.sql.literal(field.name)
        found = place.session.table(f"SELECT digest FROM {drop} WHERE field = {name}")
        sealed = digests.sealer.seal(found.column("digest").combine_chunks(), field.name)
        names = pa.array([field.name] * found.num_rows, pa.string())
        parts.append(pa.table({"field": names, "digest": sealed}))
    return pa.concat_tables(parts)
