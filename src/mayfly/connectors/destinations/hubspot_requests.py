"""Rows as HubSpot's records: every value as text, by whole columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.row_parts import RowPart
from mayfly.connectors.unsendable import (
    doubles,
    held,
    is_bytes,
    is_list,
    not_numbers,
    rows_where,
    unsendable_type,
)
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import Outcomes, Reason
from mayfly.privacy.gate import ProtectedBatch

ROWS_MAX = 100
SUBSCRIPTION = "subscription."
"""Begins the name of a mapping's field that is a subscription, and no property."""

_NOTHING, _BETWEEN = (pa.scalar(text, pa.string()) for text in ("", ";"))


class Records:
    """The rows of a batch as HubSpot takes them.

    Args:
        batch: that passed the gate.
        key: property that names a record.

    Raises:
        IntegrityError: `no_key`, the batch does not have that column.
    """

    def __init__(self, batch: ProtectedBatch, key: str) -> None:
        rows = batch.rendered()
        if key not in rows.column_names:
            raise IntegrityError("no_key", f"A batch has no column {key}, which names its records.")
        names = [name for name in rows.column_names if not name.startswith(SUBSCRIPTION)]
        self.key = key
        self.length = rows.num_rows
        self._texts = {name: as_text(name, rows.column(name)) for name in names}
        self.keys = self._texts[key]
        self._wrong = _wrong(rows, self.keys, key)

    def part(self, first: int) -> RowPart:
        """The request that begins with a row."""
        return RowPart.of(first, min(ROWS_MAX, self.length - first), self._wrong)

    def inputs(self) -> pa.Array:
        """Every row as an input of an upsert, as JSON; its trace id is its number.

        A null is written as the empty text, which clears the property.
        """
        numbers = pa.array(range(self.length), pa.int64())
        shape = js.Object(
            {
                "id": js.text(self.keys),
                "idProperty": js.Constant(self.key),
                "objectWriteTraceId": js.plain(numbers),
                "properties": js.Object({k: js.text(v) for k, v in self._texts.items()}),
            }
        )
        return js.rows_of(shape, self.length)

    def identifiers(self) -> pa.Array:
        """Every row as an input of a read, as JSON."""
        return js.rows_of(js.Object({"id": js.text(self.keys)}), self.length)


def upsert_body(inputs: pa.Array, numbers: Sequence[int]) -> bytes:
    """The inputs of some rows as a request."""
    return b'{"inputs":%b}' % js.array_of(inputs.take(pa.array(numbers, pa.int64())))


def read_body(identifiers: pa.Array, numbers: Sequence[int], key: str) -> bytes:
    """Asks which records some rows are."""
    rows = js.array_of(identifiers.take(pa.array(numbers, pa.int64())))
    named = js.array_of(pa.array([f'"{key}"']))
    return b'{"inputs":%b,"idProperty":"%b","properties":%b,"propertiesWithHistory":[]}' % (
        rows,
        key.encode(),
        named,
    )


def as_text(name: str, column: pa.ChunkedArray) -> pa.Array:
    """A column in HubSpot's form: all text, empty where a value is null.

    Times are milliseconds since 1970, lists are joined with semicolons.

    Raises:
        ConfigError: `unsendable_type`.
    """
    kind = column.type
    require_sendable(name, kind)
    flat = column.combine_chunks()
    if is_list(kind):
        items = flat.cast(pa.list_(pa.string()))
        flat = pc.binary_join(items, _BETWEEN)
    elif pa.types.is_timestamp(kind):
        flat = flat.cast(pa.timestamp("ms", kind.tz), safe=False).cast(pa.int64())
    return pc.fill_null(flat.cast(pa.string()), _NOTHING)


def require_sendable(name: str, kind: pa.DataType) -> None:
    """Refuse a column that has no form at HubSpot.

    Raises:
        ConfigError: `unsendable_type`.
    """
    if pa.types.is_nested(held(kind)) or is_bytes(held(kind)):
        raise unsendable_type(name, "HubSpot has no property")


def folded(key: str, keys: pa.Array) -> pa.Array:
    """Keys as HubSpot tells them apart: e-mail addresses without regard to case."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(keys)) if key == "email" else keys


def taken(outcomes: Outcomes, rows: Sequence[int]) -> Outcomes:
    """The outcomes of some rows, in their order."""
    return Outcomes(
        codes=outcomes.codes.take(pa.array(rows, pa.int64())),
        reasons={i: outcomes.reasons[r] for i, r in enumerate(rows) if r in outcomes.reasons},
    )


def _wrong(rows: pa.Table, keys: pa.Array, key: str) -> dict[int, Reason]:
    """Rows that are not sent: without a key, with one that an earlier row has, or with what is no
    number.
    """
    found: dict[int, Reason] = {}
    for name in rows.column_names:
        found |= not_numbers(rows.column(name))
    names = folded(key, keys)
    empty = pc.equal(pc.utf8_trim_whitespace(names), _NOTHING)
    found |= dict.fromkeys(rows_where(empty), Reason(code="no_key"))
    return found | doubles(names, found)
