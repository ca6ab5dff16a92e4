"""Rows as the JSON of a webhook, cut into requests that a receiver takes whole. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.destinations.values import json_texts
from mayfly.connectors.row_parts import RowPart
from mayfly.connectors.unsendable import not_numbers
from mayfly.domain.batch import BatchHead
from mayfly.domain.outcomes import Reason
from mayfly.privacy.gate import ProtectedBatch

ROWS_MAX = 1_000
BYTES_MAX = 1_000_000
_HEAD_BYTES = 4_096
_QUOTE, _NOTHING, _NULL = (pa.scalar(t, pa.string()) for t in (chr(34), "", "null"))


class Rows:
    """The rows of a batch as JSON objects, every field in every row.

    Raises:
        ContractError: `batch_refused`, a nested value has no JSON.
    """

    def __init__(self, batch: ProtectedBatch) -> None:
        rows = batch.rendered()
        shape = js.Object({n: js.raw(as_json(rows.column(n))) for n in rows.column_names})
        self.texts = js.rows_of(shape, rows.num_rows)
        self._sizes = pc.binary_length(self.texts).to_pylist()
        self._wrong: dict[int, Reason] = {}
        for column in rows.columns:
            self._wrong |= not_numbers(column)

    def __len__(self) -> int:
        return len(self.texts)

    def requests(self, first: int) -> Iterator[RowPart]:
        """Those that hold the rows from `first` on.

        From the end of a request on they are those that follow it from the batch's beginning, so
        that what is sent again has the id it had.
        """
        place = first
        while place < len(self):
            request = self._request(place)
            place += request.rows
            yield request

    def _request(self, first: int) -> RowPart:
        sent: list[int] = []
        unsent: dict[int, Reason] = {}
        room = BYTES_MAX - _HEAD_BYTES
        number = first
        while number < len(self) and number - first < ROWS_MAX:
            size = self._sizes[number] + 1
            if number in self._wrong:
                unsent[number] = self._wrong[number]
            elif size > BYTES_MAX - _HEAD_BYTES:
                unsent[number] = Reason(code="too_large")
            elif size > room:
                break
            else:
                room -= size
                sent.append(number)
            number += 1
        return RowPart(first=first, rows=number - first, sent=tuple(sent), unsent=unsent)


def body(
    head: BatchHead, request: RowPart, rows: pa.Array, *, operation: str, key: Sequence[str]
) -> bytes:
    """One message. The same request gives the same bytes."""
    data = {
        "sync": head.sync,
        "run": head.run,
        "batch": head.number,
        "batches": head.of,
        "first": request.first,
        "operation": operation,
        "key": list(key),
    }
    opened = orjson.dumps({"type": "mayfly.rows", "data": data})[:-2]
    listed = js.array_of(rows.take(pa.array(request.sent, pa.int64())))
    return b"".join([opened, b',"rows":', listed, b"}}"])


def message_id(target: Sequence[str], head: BatchHead, request: RowPart, operation: str) -> str:
    """The same for each sending of a request, and for no other request."""
    parts = [*target, head.run, str(head.number), operation, str(request.first)]
    return f"msg_{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"


def as_json(column: pa.ChunkedArray) -> pa.Array:
    """A column as JSON: numbers and truth values as they are, decimals, days, times and bytes as
    text, nested values as they are; null where there is nothing.

    Raises:
        ContractError: `batch_refused`, a nested value has no JSON.
    """
    kind = column.type
    flat = column.combine_chunks()
    if pa.types.is_nested(kind):
        return pc.fill_null(pa.array(json_texts(column), pa.string()), _NULL)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pc.fill_null(flat.cast(pa.string()), _NULL)
    if pa.types.is_timestamp(kind):
        text = flat.cast(pa.timestamp("us", kind.tz)).cast(pa.string())
        flat = pc.replace_substring(text, pattern=" ", replacement="T", max_replacements=1)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        flat = pa.array([None if v is None else v.hex() for v in flat.to_pylist()], pa.string())
    cell = js.text(flat)
    quoted = pc.binary_join_element_wise(_QUOTE, cell.column, _QUOTE, _NOTHING)
    return pc.fill_null(quoted, _NULL)
