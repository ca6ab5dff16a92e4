"""Rows for tools that keep people in clear: which of them can be sent, and how values look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.destinations.webhook_requests import as_json
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.privacy.gate import ProtectedBatch

_NOTHING = pa.scalar("", pa.string())
_TRUE, _FALSE = pa.scalar(True, pa.bool_()), pa.scalar(False, pa.bool_())


@dataclass(frozen=True, kw_only=True, repr=False)
class CrmRows:
    """The rows of a batch, by their key.

    Args:
        table: with digests and pseudonyms as text.
        keys: text of the key, one a row; empty where there is none.
        unsent: numbers of rows that are not sent, with what is wrong with them.
    """

    table: pa.Table
    keys: Sequence[str]
    unsent: Mapping[int, Reason]

    @property
    def sent(self) -> list[int]:
        """Numbers of the rows that are sent, ascending."""
        return [n for n in range(len(self.keys)) if n not in self.unsent]

    def outcomes(self, told: Mapping[int, tuple[OutcomeCode, Reason | None]]) -> Outcomes:
        """Of all rows: rejected where unsent, as told, else accepted."""
        codes = [int(OutcomeCode.ACCEPTED)] * len(self.keys)
        reasons: dict[int, Reason] = {}
        rejected = {n: (OutcomeCode.REJECTED, reason) for n, reason in self.unsent.items()}
        for number, (code, reason) in {**rejected, **told}.items():
            codes[number] = int(code)
            if reason is not None:
                reasons[number] = reason
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def crm_rows(batch: ProtectedBatch, key: str) -> CrmRows:
    """Rows by their key: without one, with one that an earlier row has (without regard to case),
    or with what is no number, they are not sent.

    Raises:
        IntegrityError: `no_key`, the batch does not have that column.
    """
    table = batch.rendered()
    if key not in table.column_names:
        raise IntegrityError("no_key", f"A batch has no column {key}, which names its people.")
    column = table.column(key).combine_chunks().cast(pa.string())
    keys = pc.utf8_trim_whitespace(pc.fill_null(column, _NOTHING))
    unsent = {n: Reason(code="not_a_number") for n in _not_numbers(table)}
    unsent |= {n: Reason(code="no_key") for n in _where(pc.equal(keys, _NOTHING))}
    folded = pc.utf8_lower(keys)
    if pc.count_distinct(folded).as_py() != len(folded):
        seen: set[str] = set()
        for number, name in enumerate(folded.to_pylist()):
            if name in seen and number not in unsent:
                unsent[number] = Reason(code="duplicate_key")
            if number not in unsent:
                seen.add(name)
    return CrmRows(table=table, keys=keys.to_pylist(), unsent=unsent)


def cell(column: pa.ChunkedArray) -> js.Cell:
    """A column as JSON values, null where there is nothing.

    Raises:
        ContractError: `batch_refused`, a nested value has no JSON.
    """
    return js.raw(as_json(column))


def given(column: pa.ChunkedArray) -> js.Cell:
    """A column of text, left out where there is nothing."""
    return js.text(column)


def _not_numbers(table: pa.Table) -> set[int]:
    found: set[int] = set()
    for column in table.columns:
        if pa.types.is_floating(column.type):
            finite = pc.fill_null(pc.is_finite(column), _TRUE)
            found.update(_where(pc.invert(finite)))
    return found


def _where(mask: pa.Array | pa.ChunkedArray) -> list[int]:
    return [int(n) for n in pc.indices_nonzero(pc.fill_null(mask, _FALSE)).to_pylist()]
