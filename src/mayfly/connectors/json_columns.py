"""Whole columns as JSON text, without a Python object per value where none needs an escape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_EMPTY, _QUOTE, _COMMA, _OPEN, _CLOSE, _BEGIN, _END = (
    pa.scalar(text, pa.string()) for text in ("", '"', ",", "{", "}", "[", "]")
)
# What JSON escapes: control characters, the quote and the backslash. DEL and others may stand.
_ESCAPED = r"[\x00-\x1f\"\\]"


def texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Text as JSON strings, nulls kept. Pure.

    Args:
        column: of strings.
    """
    flat = _flat(column).cast(pa.string())
    if pc.any(pc.match_substring_regex(flat, _ESCAPED)).as_py():
        values = flat.to_pylist()
        made = [None if v is None else orjson.dumps(v).decode() for v in values]
        return pa.array(made, pa.string())
    return _joined(_QUOTE, flat, _QUOTE)


def numbers(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Whole numbers and truth values as JSON, nulls kept. Pure."""
    return _flat(column).cast(pa.string())


def objects(fields: Mapping[str, pa.Array]) -> pa.Array:
    """One JSON object a row, of those fields that are not null. Pure.

    Args:
        fields: JSON text by key; columns of one length, at least one.
    """
    pieces = [
        _joined(pa.scalar(orjson.dumps(name).decode() + ":", pa.string()), column)
        for name, column in fields.items()
    ]
    return _joined(_OPEN, _listed(pieces), _CLOSE)


def arrays(items: Sequence[pa.Array]) -> pa.Array:
    """One JSON array a row, of those items that are not null. Pure.

    Args:
        items: JSON text; columns of one length, at least one.
    """
    return _joined(_BEGIN, _listed(items), _END)


def array(items: pa.Array) -> bytes:
    """All rows as one JSON array. Pure.

    Args:
        items: JSON text without nulls.
    """
    whole = pa.ListArray.from_arrays(pa.array([0, len(items)], pa.int32()), items)
    return b"[%b]" % pc.binary_join(whole, _COMMA)[0].as_buffer().to_pybytes()


def constant(value: object, rows: int) -> pa.Array:
    """The same JSON value in every row."""
    return pa.repeat(pa.scalar(orjson.dumps(value).decode(), pa.string()), rows)


def none_where(column: pa.Array, condition: pa.Array) -> pa.Array:
    """The column with null where a condition holds."""
    return pc.if_else(condition, pa.scalar(None, pa.string()), column)


def _listed(items: Sequence[pa.Array]) -> pa.Array:
    """With commas between those that are there."""
    # Arrow loses rows of which nothing is there: each gets an empty item first.
    first = pa.repeat(_EMPTY, len(items[0]))
    listed = pc.binary_join_element_wise(first, *items, _COMMA, null_handling="skip")
    return pc.utf8_slice_codeunits(listed, start=1)


def _joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _EMPTY)


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
