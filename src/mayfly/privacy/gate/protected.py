"""The only value a connector accepts: a batch that passed the gate."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import final

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import IntegrityError
from mayfly.privacy.gate.seal import THE_SEAL, Seal


class Form(StrEnum):
    """The shape of a column that leaves."""

    DIGEST = "digest"  # 32 raw bytes of SHA-256 under the platform's rule
    PSEUDONYM = "pseudonym"  # 32 raw bytes of a keyed HMAC
    CLEAR = "clear"  # what was approved to leave as it is


@final
class ProtectedBatch:
    """Rows that may leave. Only the gate can make one; `repr` gives counts only.

    Columns are named by destination field. Digests and pseudonyms are 32 raw bytes (or null)
    until a connector renders them; clear columns keep their Arrow type.
    """

    __slots__ = ("_forms", "_head", "_rows")

    def __init__(
        self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form], *, seal: Seal
    ) -> None:
        if seal is not THE_SEAL:
            raise IntegrityError(
                "not_through_the_gate",
                "A batch was made without the gate.",
                hint="Rows reach a destination through mayfly.privacy.gate only.",
            )
        if set(forms) != set(rows.column_names):
            raise IntegrityError("forms_mismatch", "Each column that leaves needs a form.")
        self._head = head
        self._rows = rows
        self._forms = dict(forms)

    @property
    def head(self) -> BatchHead:
        """Ids and counts; `head.rows` is the number of planned rows, `len(self)` of rows here."""
        return self._head

    @property
    def rows(self) -> pa.Table:
        """The columns, digests as raw bytes."""
        return self._rows

    @property
    def forms(self) -> Mapping[str, Form]:
        """Destination field to form."""
        return dict(self._forms)

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __repr__(self) -> str:
        return (
            f"ProtectedBatch(run={self._head.run}, number={self._head.number}, "
            f"operation={self._head.operation}, rows={len(self)})"
        )

    def part(self, start: int, length: int) -> ProtectedBatch:
        """Some neighbouring rows, as a batch whose run id names the part.

        A destination that marks batches by run and number then keeps the parts apart.
        """
        head = replace(self._head, run=f"{self._head.run}.{start}-{length}", rows=length)
        return ProtectedBatch(head, self._rows.slice(start, length), self._forms, seal=THE_SEAL)

    def pick(self, rows: Sequence[int], *, attempt: int) -> ProtectedBatch:
        """Some rows, by number, to be sent again; the run id of the batch names the attempt."""
        head = replace(self._head, run=f"{self._head.run}.again{attempt}", rows=len(rows))
        return ProtectedBatch(head, self._rows.take(list(rows)), self._forms, seal=THE_SEAL)

    def rendered(self, start: int = 0, length: int | None = None) -> pa.Table:
        """The columns with digests and pseudonyms as lower-case hex text; clear ones unchanged.

        Args:
            start: number of the first row.
            length: how many neighbouring rows, by default all that follow.
        """
        rows = self._rows.slice(start, length)
        columns = {
            name: hex_text(rows.column(name))
            if self._forms[name] is not Form.CLEAR
            else rows.column(name)
            for name in rows.column_names
        }
        return pa.table(columns)


def hex_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Binary values as lower-case hex, nulls kept."""
    chunks = [_hex_chunk(chunk) for chunk in column.cast(pa.binary()).chunks]
    return pa.chunked_array(chunks, pa.string())


def _hex_chunk(chunk: pa.Array) -> pa.Array:
    """The bytes of all values at once, and offsets twice as far apart."""
    _, places, values = chunk.buffers()
    if values is None:
        return pa.nulls(len(chunk), pa.string())
    offsets = pa.Array.from_buffers(pa.int32(), len(chunk) + 1, [None, places], offset=chunk.offset)
    first, last = offsets[0], offsets[-1].as_py()
    text = binascii.hexlify(memoryview(values)[first.as_py() : last])
    doubled = pc.multiply_checked(pc.subtract(offsets, first), pa.scalar(2, pa.int32()))
    made = pa.StringArray.from_buffers(len(chunk), doubled.buffers()[1], pa.py_buffer(text))
    return pc.if_else(pc.is_valid(chunk), made, None) if chunk.null_count else made
