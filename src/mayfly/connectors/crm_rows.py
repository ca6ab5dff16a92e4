"""Rows for tools that keep people in clear: which of them can be sent, and how values look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.destinations.webhook_requests import as_json
from mayfly.connectors.row_parts import RowPart, Told
from mayfly.connectors.unsendable import doubles, not_numbers, rows_where
from mayfly.domain.errors import ContractError, IntegrityError
from mayfly.domain.outcomes import Outcomes, Reason
from mayfly.privacy.gate import ProtectedBatch

_NOTHING = pa.scalar("", pa.string())


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

    def outcomes(self, told: Mapping[int, Told]) -> Outcomes:
        """Of all rows: rejected where unsent, as told, else accepted."""
        return self.part(0, len(self.keys)).outcomes(told)

    def part(self, first: int, most: int) -> RowPart:
        """The rows from `first` on."""
        return RowPart.of(first, min(most, len(self.keys) - first), self.unsent)


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
    unsent: dict[int, Reason] = {}
    for values in table.columns:
        unsent |= not_numbers(values)
    unsent |= dict.fromkeys(rows_where(pc.equal(keys, _NOTHING)), Reason(code="no_key"))
    unsent |= doubles(pc.utf8_lower(keys), unsent)
    return CrmRows(table=table, keys=keys.to_pylist(), unsent=unsent)


def erased_by(identifiers: ProtectedBatch, keys: Sequence[str]) -> str:
    """The one field of an erasure.

    Args:
        identifiers: that passed the gate.
        keys: fields that the destination finds people by.

    Raises:
        ContractError: `one_identifier`.
    """
    names = identifiers.rows.column_names
    if len(names) != 1 or names[0] not in keys:
        raise ContractError(
            "one_identifier", f"An erasure holds one of {', '.join(keys)} and nothing else."
        )
    return str(names[0])


def cell(column: pa.ChunkedArray) -> js.Cell:
    """A column as JSON values, null where there is nothing.

    Raises:
        ContractError: `batch_refused`, a nested value has no JSON.
    """
    return js.raw(as_json(column))


def given(column: pa.ChunkedArray) -> js.Cell:
    """A column of text, left out where there is nothing."""
    return js.text(column)
