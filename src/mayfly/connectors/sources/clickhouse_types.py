"""ClickHouse's types as Arrow types, and the SQL that reads each exactly. Pure."""

from __future__ import annotations

import re

import pyarrow as pa

from mayfly.planning.sql.clickhouse import bare, quote, time_digits
from mayfly.ports.source import ColumnInfo

DECIMAL_DIGITS_MAX = 38
_MICROSECONDS = 6
_DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)")
_PLAIN: dict[str, pa.DataType] = {
    "Bool": pa.bool_(),
    "Int8": pa.int8(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
}
_NESTED = (
    *("Array", "Tuple", "Map", "Nested", "JSON", "Object", "Variant", "Dynamic", "Point", "Ring"),
    *("LineString", "MultiLineString", "Polygon", "MultiPolygon", "Geometry", "QBit"),
)


def column(name: str, sql_type: str) -> ColumnInfo:
    """A column by the name of its type, without what says that values may be missing."""
    kind = bare(sql_type)
    return ColumnInfo(name=name, sql_type=kind, arrow_type=_arrow_type(kind))


def _arrow_type(kind: str) -> pa.DataType:
    found = _DECIMAL.fullmatch(kind)
    if found is not None and int(found.group(1)) <= DECIMAL_DIGITS_MAX:
        return pa.decimal128(int(found.group(1)), int(found.group(2)))
    if kind in ("Date", "Date32"):
        return pa.date32()
    if time_digits(kind) is not None:
        return pa.timestamp("us", tz="UTC")
    return pa.float32() if kind == "BFloat16" else _PLAIN.get(kind, pa.string())


def readable(info: ColumnInfo) -> str:
    """SQL over the quoted column that streams as its Arrow type.

    Times are moments and stream in UTC. What is nested streams as JSON text, wide integers,
    addresses, members of an enumeration and all else as their text. A text that is not UTF-8 has no
    Arrow form and streams as null, as does a state of an aggregate.
    """
    name, kind = quote(info.name), info.sql_type
    if kind in _PLAIN:
        return name
    if kind == "BFloat16":
        return f"toFloat32({name})"
    if kind in ("Date", "Date32"):
        return f"toDate32({name})"
    if pa.types.is_timestamp(info.arrow_type):
        moment = f"toDateTime64({name}, {_MICROSECONDS}, 'UTC')"
        told = unfit(info)
        return moment if told is None else f"CASE WHEN NOT ({told}) THEN {moment} END"
    if kind.startswith("Decimal"):
        found = _DECIMAL.fullmatch(kind)
        exact = not pa.types.is_string(info.arrow_type)
        return name if exact or found is None else f"toDecimalString({name}, {found.group(2)})"
    if kind == "Nothing" or _is_state(kind):
        return "CAST(NULL AS Nullable(String))"
    text = _text(name, kind)
    return f"CASE WHEN isValidUTF8({text}) THEN {text} END" if _may_be_bytes(kind) else text


def unfit(info: ColumnInfo) -> str | None:
    """Condition for the values that `readable` streams as null though they are none."""
    name, kind = quote(info.name), info.sql_type
    digits = time_digits(kind)
    if digits is not None and digits > _MICROSECONDS:
        return f"toDateTime64(toDateTime64({name}, 6, 'UTC'), {digits}, 'UTC') <> {name}"
    if _is_state(kind):
        return "TRUE"
    return f"NOT isValidUTF8({_text(name, kind)})" if _may_be_bytes(kind) else None


def _text(name: str, kind: str) -> str:
    if kind.startswith(("Variant", "Dynamic")):
        # Of NULL it would make the text `null` in some versions.
        return f"CASE WHEN {name} IS NOT NULL THEN toJSONString({name}) END"
    if kind.startswith(_NESTED):
        return f"toJSONString({name})"
    return f"CAST({name} AS Nullable(String))"


def _may_be_bytes(kind: str) -> bool:
    return kind == "String" or kind.startswith(("FixedString", *_NESTED))


def _is_state(kind: str) -> bool:
    return kind.startswith("AggregateFunction")


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A piece of a result: bytes of a fixed length as bytes, and nothing beside."""
    fields, arrays = [], []
    for described, array in zip(batch.schema, batch.columns, strict=True):
        made = array.cast(pa.binary()) if _is_fixed(described.type) else array
        fields.append(pa.field(described.name, made.type))
        arrays.append(made)
    return pa.record_batch(arrays, schema=pa.schema(fields))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """What `plain` makes of pieces of a result."""
    return pa.schema(
        [pa.field(f.name, pa.binary() if _is_fixed(f.type) else f.type) for f in schema]
    )


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind))
