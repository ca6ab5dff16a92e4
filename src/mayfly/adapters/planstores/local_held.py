"""What of a local plan may go once its destination is back, though its run is over.

The plan's rows were sealed elsewhere; here stand their keyed digests and, sealed, what the
suppression list is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.make import PlanPlace
from mayfly.adapters.planstores.reading import comment, positions_by_batch
from mayfly.adapters.planstores.recognition import LocalState, key_digest
from mayfly.planning.columns import (
    canonical_columns,
    granted_model,
    key_list,
    source_fingerprint,
)
from mayfly.planning.spec import BatchInfo, PlanSpec, PlanWorker, SuppressionKind
from mayfly.planning.sql.dialect import SqlDialect

_MET = "mf_met"


def compared_digests(spec: PlanSpec, sql: SqlDialect) -> dict[str, tuple[SuppressionKind, str]]:
    """What of a planned row is compared with the suppression list: the local plan's column, the
    kind, and SQL over the plan in the source.
    """
    found: dict[str, tuple[SuppressionKind, str]] = {
        f"c{j}": (item.kind, column)
        for j, (item, column) in enumerate(
            zip(spec.suppression, canonical_columns(spec), strict=True)
        )
    }
    if spec.suppress_key:
        found["ck"] = ("primary_key", sql.sha256(sql.render("k0", spec.keys[0].arrow_type)))
    return found


def allowed_rows(
    place: PlanPlace,
    digests: LocalDigests,
    state: LocalState,
    batches: Sequence[BatchInfo],
    worker: PlanWorker,
) -> Mapping[int, pa.Array]:
    """See `PlanStore.allowed`; the same rows as `reading.allowed_positions` finds.

    Args:
        place: of the model; only its session is used, and no table of a plan.
        digests: made in the worker.
        state: whose plan is open.
        batches: of that plan.
        worker: knows the suppression list.
    """
    spec, plan = place.spec, state.names.of("plan")
    compared = compared_digests(spec, place.sql)
    there = state.session.table(f"SELECT * FROM {plan} LIMIT 0").column_names
    if not set(compared) <= set(there):
        # It was made by a run that would not have held it.
        return {b.number: pa.array([], pa.int32()) for b in batches}
    numbers = ", ".join(str(int(b.number)) for b in batches)
    _meet_model(place, digests, state, batches, numbers)
    gone = " OR m.pos IS NULL" if spec.consent is None else ""
    columns = "".join(f", q.{name}" for name in compared)
    found = state.session.table(
        f"SELECT q.batch, q.pos{columns} FROM {plan} q LEFT JOIN (SELECT batch, pos, "
        f"bool_or(same) AS same FROM {_MET} GROUP BY batch, pos) m "
        f"ON m.batch = q.batch AND m.pos = q.pos "
        f"WHERE q.batch IN ({numbers}) AND (m.same{gone})"
    )
    kept = pa.repeat(pa.scalar(True, pa.bool_()), found.num_rows)
    for name, (kind, _) in compared.items():
        clear = digests.sealer.unseal(found.column(name).combine_chunks(), name)
        kept = pc.and_(kept, pc.invert(worker.suppressed(kind, clear)))
    return positions_by_batch(found.filter(kept), batches)


def _meet_model(
    place: PlanPlace,
    digests: LocalDigests,
    state: LocalState,
    batches: Sequence[BatchInfo],
    numbers: str,
) -> None:
    """Note of each planned row that the model has, with consent, whether its values are the same.

    The model is read in pieces: no more of it is in memory, and nothing of it in the state.
    """
    spec, sql, local = place.spec, place.sql, state.session
    local.execute(f"CREATE TEMPORARY TABLE {_MET} (batch integer, pos integer, same boolean)")
    model = granted_model(spec, sql, [f"{source_fingerprint(spec, sql)} AS fp"])
    query = (
        f"{comment(spec, batches)}SELECT {key_digest(spec, sql)} AS kd, fp "
        f"FROM (SELECT {key_list(spec)}, fp FROM ({model}) AS mf_g) AS mf_m"
    )
    for number, piece in enumerate(place.session.stream(query)):
        keys = piece.column("kd")
        made = {"k": digests.rows(keys), "v": digests.values(piece.column("fp"), keys)}
        local.load(f"mf_met_{number}", pa.table(made))
        local.execute(
            f"INSERT INTO {_MET} SELECT q.batch, q.pos, q.fp = p.v FROM mf_met_{number} p "
            f"JOIN {state.names.of('plan')} q ON q.k0 = p.k WHERE q.batch IN ({numbers})"
        )
        local.execute(f"DROP TABLE mf_met_{number}")
