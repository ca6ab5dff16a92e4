"""What SQLite says of a column, and what its values arrive as.

A value has its own storage class, whatever its column declares. What a column may hold is told by
its declared type; a value of another class arrives as null, and `unfit` tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mayfly.planning.sql.sqlite import UNTYPED, backtick, exact_text
from mayfly.ports.source import ColumnInfo

_ARROW = {
    "INTEGER": pa.int64(),
    "REAL": pa.float64(),
    "TEXT": pa.string(),
    "BLOB": pa.binary(),
    UNTYPED: pa.string(),
    "BOOLEAN": pa.bool_(),
}
_TEXTS = ("TEXT", UNTYPED)
_HELD: dict[str, set[type]] = {
    "INTEGER": {int},
    "REAL": {float, int},
    "TEXT": {str},
    "BLOB": {bytes},
}
_CLASSES = {"INTEGER": "integer", "REAL": "real", "BLOB": "blob"}
_NOTHING = type(None)


def sql_type(declared: str, affinity: str) -> str:
    """One of six names for what a column declares; numbers of any kind are untyped.

    Args:
        declared: the type in the table's definition, '' for an expression.
        affinity: as a table made of the query's result would have it.
    """
    name = (declared or affinity).upper()
    if "BOOL" in name:
        return "BOOLEAN"
    if name in ("", "ANY"):
        return UNTYPED
    # In this order: SQLite takes POINT for a whole number.
    for marks, kind in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(mark in name for mark in marks):
            return kind
    return UNTYPED


def arrow_type(kind: str) -> pa.DataType:
    """What a column of one of the six arrives as."""
    return _ARROW[kind]


def readable(column: ColumnInfo) -> str:
    """See `Source.readable`. The session itself turns values of a plain column."""
    name = backtick(column.name)
    return exact_text(name) if column.sql_type in _TEXTS else name


def unfit(column: ColumnInfo) -> str:
    """See `Source.unfit`."""
    name = backtick(column.name)
    if column.sql_type in _TEXTS:
        return f"typeof({name}) = 'blob'"
    if column.sql_type == "BOOLEAN":
        return f"typeof({name}) NOT IN ('integer', 'null') OR {name} NOT IN (0, 1)"
    return f"typeof({name}) NOT IN ('{_CLASSES[column.sql_type]}', 'null')"


def array(values: Sequence[Any], kind: str | None) -> pa.Array:
    """Values of one column; of a kind that is not known as what they all are."""
    classes = set(map(type, values)) - {_NOTHING}
    if kind == "BOOLEAN":
        fits = {0: False, 1: True}
        return pa.array([fits.get(v) if type(v) is int else None for v in values], pa.bool_())
    if kind is None or kind == UNTYPED:
        return _as_they_are(values, classes)
    if not classes <= _HELD[kind]:
        values = [v if type(v) in _HELD[kind] else None for v in values]
    return pa.array(values, _ARROW[kind])


def _as_they_are(values: Sequence[Any], classes: set[type]) -> pa.Array:
    if not classes:
        return pa.nulls(len(values))
    if classes == {int}:
        return pa.array(values, pa.int64())
    if classes <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if classes == {bytes}:
        return pa.array(values, pa.binary())
    return pa.array([None if v is None else _text(v) for v in values], pa.string())


def _text(value: Any) -> str | None:
    return None if isinstance(value, bytes) else str(value)
