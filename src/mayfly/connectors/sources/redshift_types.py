"""Redshift's types as Arrow types, and the SQL that reads each exactly. Pure.

Values come as their texts, in the forms that a session pins. Compiled, not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import time

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.planning.sql.dialect import quote
from mayfly.planning.sql.redshift import TEXT
from mayfly.ports.source import ColumnInfo

DECIMAL_DIGITS_MAX = 38
_TYPES: dict[int, tuple[str, pa.DataType]] = {
    16: ("bool", pa.bool_()),
    # Of PostgreSQL; Redshift has none.
    17: ("varbyte", pa.binary()),
    20: ("int8", pa.int64()),
    21: ("int2", pa.int16()),
    23: ("int4", pa.int32()),
    25: ("text", pa.string()),
    # As doubles: the text of a float has fewer digits than it needs.
    700: ("float4", pa.float64()),
    701: ("float8", pa.float64()),
    1042: ("bpchar", pa.string()),
    1043: ("varchar", pa.string()),
    1082: ("date", pa.date32()),
    1083: ("time", pa.time64("us")),
    1114: ("timestamp", pa.timestamp("us")),
    1184: ("timestamptz", pa.timestamp("us", tz="UTC")),
    1188: ("intervaly2m", pa.string()),
    1190: ("intervald2s", pa.string()),
    1266: ("timetz", pa.string()),
    3000: ("geometry", pa.string()),
    3001: ("geography", pa.string()),
    4000: ("super", pa.string()),
    6551: ("varbyte", pa.binary()),
}
_NUMERIC = 1700
_SPATIAL = ("geometry", "geography")


def column_of(name: str, oid: int, modifier: int) -> ColumnInfo:
    """A column as the protocol describes it: number and modifier of its type."""
    if oid == _NUMERIC:
        return _numeric(name, modifier)
    sql_type, kind = _TYPES.get(oid, (f"oid:{oid}", pa.string()))
    return ColumnInfo(name=name, sql_type=sql_type, arrow_type=kind)


def _numeric(name: str, modifier: int) -> ColumnInfo:
    packed = modifier - 4
    precision, scale = (packed >> 16) & 0xFFFF, packed & 0xFFFF
    exact = modifier >= 0 and 1 <= precision <= DECIMAL_DIGITS_MAX and scale <= precision
    if not exact:
        return ColumnInfo(name=name, sql_type="numeric", arrow_type=pa.string())
    return ColumnInfo(
        name=name,
        sql_type=f"numeric({precision},{scale})",
        arrow_type=pa.decimal128(precision, scale),
    )


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as `arrow_type` of its SQL type."""
    name, kind = quote(column.name), column.sql_type
    if kind == "super":
        return f"JSON_SERIALIZE({name})"
    if kind in _SPATIAL:
        return f"ST_AsEWKT({name})"
    if kind == "float4":
        return f"CAST({name} AS DOUBLE PRECISION)"
    # A part of a primary key may be the bytes of its text.
    return f"CAST({name} AS {TEXT})" if pa.types.is_string(column.arrow_type) else name


def column_array(values: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    """A column of a result, from the texts that came.

    Raises:
        pa.ArrowException, ValueError: a text is not one of the type.
    """
    made = _MADE.get(kind)
    if made is not None:
        return pa.array([None if v is None else made(v) for v in values], kind)
    texts = pa.array(values, pa.string())
    if pa.types.is_timestamp(kind) and kind.tz:
        # Of a session in UTC.
        return pc.replace_substring_regex(texts, r"\+00$", "").cast(pa.timestamp("us")).cast(kind)
    return texts if pa.types.is_string(kind) else texts.cast(kind)


def _bool(text: str) -> bool:
    if text not in ("t", "f"):
        raise ValueError("this is not a boolean")
    return text == "t"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


_MADE: dict[pa.DataType, Callable[[str], object]] = {
    pa.bool_(): _bool,
    pa.binary(): _bytes,
    pa.time64("us"): time.fromisoformat,
}
