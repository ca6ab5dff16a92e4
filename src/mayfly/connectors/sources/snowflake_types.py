"""Snowflake's types as Arrow types, and the SQL that reads each exactly. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mayfly.planning.sql.snowflake import exchanged, quote
from mayfly.ports.source import ColumnInfo

DIGITS_OF_BIGINT = 19
_INT64_MAX = 2**63 - 1
_NAMES = (
    *("NUMBER", "FLOAT", "VARCHAR", "DATE", "TIMESTAMP_NTZ", "VARIANT"),
    *("TIMESTAMP_LTZ", "TIMESTAMP_TZ", "TIMESTAMP_NTZ", "OBJECT", "ARRAY", "BINARY", "TIME"),
    *("BOOLEAN", "GEOGRAPHY", "GEOMETRY", "VECTOR", "MAP", "FILE", "INTERVAL", "INTERVAL"),
)
"""By the driver's number of a type."""
_PLAIN: dict[str, pa.DataType] = {
    "FLOAT": pa.float64(),
    "VARCHAR": pa.string(),
    "BINARY": pa.binary(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP_NTZ": pa.timestamp("us"),
    "TIMESTAMP_LTZ": pa.timestamp("us", tz="UTC"),
    "TIMESTAMP_TZ": pa.timestamp("us", tz="UTC"),
}
_OTHER_NAMES = {"TEXT": "VARCHAR", "REAL": "FLOAT", "DOUBLE": "FLOAT", "FIXED": "NUMBER"}
_WITH_SCALE = ("TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ")
_MICROSECONDS = 6


def type_name(kind: str, precision: int | None, scale: int | None) -> str:
    """The name of a type as its catalog and its driver describe it."""
    name = _OTHER_NAMES.get(kind, kind)
    if name == "NUMBER":
        # A decimal float is a number without a scale.
        return "DECFLOAT" if scale is None else f"NUMBER({precision or 38},{scale})"
    if name in _WITH_SCALE:
        return f"{name}({9 if scale is None else scale})"
    return name


def columns_of(description: Sequence[Any]) -> tuple[ColumnInfo, ...]:
    """Columns of a result as the driver describes it, under their names here."""
    found = []
    for column in description:
        code = column.type_code
        kind = _NAMES[code] if 0 <= code < len(_NAMES) else "UNKNOWN"
        sql_type = type_name(kind, column.precision, column.scale)
        found.append(
            ColumnInfo(
                name=exchanged(column.name), sql_type=sql_type, arrow_type=arrow_type(sql_type)
            )
        )
    return tuple(found)


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type `readable` streams: exact, or text where Arrow has no exact form."""
    number = _number(sql_type)
    if number is None:
        return _PLAIN.get(sql_type.partition("(")[0], pa.string())
    precision, scale = number
    if scale == 0 and precision <= DIGITS_OF_BIGINT:
        return pa.int64()
    return pa.decimal128(precision, scale)


def _number(sql_type: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"NUMBER\((\d+),(\d+)\)", sql_type)
    return None if found is None else (int(found.group(1)), int(found.group(2)))


def _is_bigint(sql_type: str) -> bool:
    return _number(sql_type) == (DIGITS_OF_BIGINT, 0)


def _is_fine(sql_type: str) -> bool:
    """Whether a type's values may be finer than a microsecond."""
    found = re.fullmatch(r"(\w+)\((\d+)\)", sql_type)
    named = found is not None and found.group(1) in _WITH_SCALE
    return found is not None and named and int(found.group(2)) > _MICROSECONDS


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as `arrow_type` of its SQL type.

    What has no exact form there streams as null, and `unfit` tells it. Semi-structured values and
    maps stream as JSON text.
    """
    name, kind = quote(column.name), column.sql_type
    bare = kind.partition("(")[0]
    if bare in ("VARIANT", "OBJECT", "ARRAY", "MAP", "FILE"):
        return f"TO_JSON(CAST({name} AS VARIANT))"
    if bare == "VECTOR":
        return f"TO_JSON(CAST({name} AS ARRAY))"
    if bare in ("GEOGRAPHY", "GEOMETRY"):
        return f"CAST(ST_ASGEOJSON({name}) AS VARCHAR)"
    if bare == "TIMESTAMP_TZ":
        # The same moment; where it was noted is not kept.
        name = f"CAST({name} AS TIMESTAMP_LTZ)"
    elif bare not in _PLAIN and _number(kind) is None:
        return f"CAST({name} AS VARCHAR)"
    told = unfit(column)
    return name if told is None else f"CASE WHEN NOT ({told}) THEN {name} END"


def unfit(column: ColumnInfo) -> str | None:
    """Condition for the values that `readable` does not stream exactly."""
    name, kind = quote(column.name), column.sql_type
    if _is_fine(kind):
        return f"MOD(DATE_PART(NANOSECOND, {name}), 1000) <> 0"
    if _is_bigint(kind):
        return f"ABS({name}) > {_INT64_MAX}"
    return None


def schema_of(columns: Sequence[ColumnInfo]) -> pa.Schema:
    """What a result of these columns is turned into."""
    return pa.schema([pa.field(c.name, c.arrow_type) for c in columns])


def plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A piece of a result in the types of its description: the driver's own are as narrow as the
    values of each piece.

    Raises:
        pa.ArrowInvalid: a value does not fit.
    """
    return table.rename_columns(schema.names).replace_schema_metadata(None).cast(schema)
