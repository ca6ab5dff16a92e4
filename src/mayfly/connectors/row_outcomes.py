"""Outcomes of neighbouring rows of which some were refused, and which rows can be sent at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason

_FALSE = pa.scalar(False, pa.bool_())


def rejected(told: Mapping[int, Reason], *, first: int, rows: int) -> Outcomes:
    """Accepted all, but those that were told of.

    Args:
        told: number in the batch to reason, of rows among these.
        first: number of the first row.
        rows: how many there are.
    """
    numbers = sorted(told)
    refused = Outcomes.all_of(OutcomeCode.REJECTED, len(numbers))
    reasons = {place: told[number] for place, number in enumerate(numbers)}
    return Outcomes.all_of(OutcomeCode.ACCEPTED, rows).replaced(
        [number - first for number in numbers], Outcomes(codes=refused.codes, reasons=reasons)
    )


def without_any(rows: pa.Table, names: Collection[str]) -> dict[int, Reason]:
    """Rows that have a value in none of these columns: `no_identifier`, by their number."""
    known = pa.repeat(_FALSE, rows.num_rows)
    for name in rows.column_names:
        if name in names:
            known = pc.or_(known, pc.is_valid(rows.column(name).combine_chunks()))
    numbers = pc.indices_nonzero(pc.invert(known)).to_pylist()
    return dict.fromkeys(numbers, Reason(code="no_identifier"))
