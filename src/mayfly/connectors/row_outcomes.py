"""Outcomes of neighbouring rows of which some were refused, and which rows can be sent at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason

_FALSE = pa.scalar(False, pa.bool_())


def laid_out(
    told: Mapping[int, Reason],
    *,
    first: int,
    rows: int,
    unconfirmed: Mapping[int, Reason] | None = None,
) -> Outcomes:
    """Accepted all, but those that were told of.

    Args:
        told: number in the batch to reason, of rows among these that were refused.
        first: number of the first row.
        rows: how many there are.
        unconfirmed: the same, of rows that may have been taken.
    """
    doubted = unconfirmed or {}
    numbers = sorted({*told, *doubted})
    codes = [OutcomeCode.REJECTED if n in told else OutcomeCode.UNCONFIRMED for n in numbers]
    reasons = {place: told.get(n) or doubted[n] for place, n in enumerate(numbers)}
    others = Outcomes(codes=pa.array([int(c) for c in codes], pa.uint8()), reasons=reasons)
    return Outcomes.all_of(OutcomeCode.ACCEPTED, rows).replaced(
        [number - first for number in numbers], others
    )


def without_any(rows: pa.Table, names: Collection[str]) -> dict[int, Reason]:
    """Rows that have a value in none of these columns: `no_identifier`, by their number."""
    known = pa.repeat(_FALSE, rows.num_rows)
    for name in rows.column_names:
        if name in names:
            known = pc.or_(known, pc.is_valid(rows.column(name).combine_chunks()))
    numbers = pc.indices_nonzero(pc.invert(known)).to_pylist()
    return dict.fromkeys(numbers, Reason(code="no_identifier"))
