"""Rows as HubSpot's records: every value as text, by whole columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.domain.errors import ConfigError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.privacy.gate import ProtectedBatch

ROWS_MAX = 100
SUBSCRIPTION = "subscription."
"""Begins the name of a mapping's field that is a subscription, and no property."""

_NOTHING, _BETWEEN = (pa.scalar(text, pa.string()) for text in ("", ";"))
_FALSE = pa.scalar(False, pa.bool_())


@dataclass(frozen=True, kw_only=True, repr=False)
class Part:
    """Neighbouring rows of one request.

    Args:
        first: number of its first row in the batch.
        rows: how many rows it answers for.
        sent: numbers in the batch of those that can be sent.
        unsent: numbers of the others, with what is wrong with them.
    """

    first: int
    rows: int
    sent: tuple[int, ...]
    unsent: Mapping[int, Reason]


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

    def part(self, first: int) -> Part:
        """The request that begins with a row."""
        rows = min(ROWS_MAX, self.length - first)
        numbers = range(first, first + rows)
        unsent = {n: self._wrong[n] for n in numbers if n in self._wrong}
        sent = tuple(n for n in numbers if n not in unsent)
        return Part(first=first, rows=rows, sent=sent, unsent=unsent)

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
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
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
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if is_list else kind
    if pa.types.is_nested(inner) or _is_bytes(inner):
        raise ConfigError(
            "unsendable_type",
            f"HubSpot has no property that could hold the type of {name}.",
            hint="Make text, a number, a truth value, a time or a list of them in the model.",
        )


def folded(key: str, keys: pa.Array) -> pa.Array:
    """Keys as HubSpot tells them apart: e-mail addresses without regard to case."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(keys)) if key == "email" else keys


def refused(part: Part, outcomes: Mapping[int, tuple[OutcomeCode, Reason | None]]) -> Outcomes:
    """Outcomes of all rows of a part.

    Args:
        part: that was sent.
        outcomes: by number in the batch, of rows for which something else holds.
    """
    codes = [int(OutcomeCode.ACCEPTED)] * part.rows
    reasons: dict[int, Reason] = {}
    for number, reason in part.unsent.items():
        codes[number - part.first] = int(OutcomeCode.REJECTED)
        reasons[number - part.first] = reason
    for number, (code, why) in outcomes.items():
        codes[number - part.first] = int(code)
        reasons.pop(number - part.first, None)
        if why is not None:
            reasons[number - part.first] = why
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


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
        column = rows.column(name)
        if pa.types.is_floating(column.type):
            finite = pc.fill_null(pc.is_finite(column), pa.scalar(True, pa.bool_()))
            found |= dict.fromkeys(_where(pc.invert(finite)), Reason(code="not_a_number"))
    names = folded(key, keys)
    empty = pc.equal(pc.utf8_trim_whitespace(names), _NOTHING)
    found |= dict.fromkeys(_where(empty), Reason(code="no_key"))
    if pc.count_distinct(names).as_py() != len(names):
        first = pc.index_in(names, value_set=pc.unique(names))
        seen: set[int] = set()
        for number, place in enumerate(first.to_pylist()):
            if place in seen and number not in found:
                found[number] = Reason(code="duplicate_key")
            if number not in found:
                seen.add(place)
    return found


def _where(mask: pa.Array | pa.ChunkedArray) -> list[int]:
    return [int(n) for n in pc.indices_nonzero(pc.fill_null(mask, _FALSE)).to_pylist()]


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
