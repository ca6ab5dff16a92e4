"""PostgreSQL's types as Arrow types, and the SQL that reads each exactly. Pure."""

from __future__ import annotations

import re

import pyarrow as pa

from mayfly.planning.sql.dialect import quote
from mayfly.ports.source import ColumnInfo

DECIMAL_DIGITS_MAX = 38

_PLAIN: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_INFINITE = {"date", "timestamp", "timestamptz"}


def column_of(field: pa.Field) -> ColumnInfo:
    """A column from the schema the driver reports: its type name and modifier are metadata."""
    metadata = field.metadata or {}
    name = metadata.get(b"POSTGRESQL:type", b"text").decode()
    sql_type = name
    if name == "numeric":
        modifier = int(metadata.get(b"POSTGRESQL:typmod", b"-1"))
        if modifier >= 0:
            precision, scale = numeric_modifier(modifier)
            sql_type = f"numeric({precision},{scale})"
    return ColumnInfo(name=field.name, sql_type=sql_type, arrow_type=arrow_type(sql_type))


def numeric_modifier(modifier: int) -> tuple[int, int]:
    """Precision and scale in a numeric's type modifier; the scale is an 11-bit signed number."""
    packed = modifier - 4
    scale = ((packed & 0x7FF) ^ 0x400) - 0x400
    return (packed >> 16) & 0xFFFF, scale


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type `readable` streams: exact, or text where Arrow has no exact form."""
    return _PLAIN.get(sql_type) or _decimal(sql_type) or pa.string()


def _decimal(sql_type: str) -> pa.DataType | None:
    match = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", sql_type)
    if match is None:
        return None
    precision, scale = int(match.group(1)), int(match.group(2))
    if precision > DECIMAL_DIGITS_MAX or not 0 <= scale <= precision:
        return None
    return pa.decimal128(precision, scale)


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as `arrow_type` of its SQL type.

    Infinite dates and times, and NaN in a numeric of fixed scale, have no Arrow form and stream
    as null. Arrays stream as JSON text. A numeric without scale streams as its exact text.
    """
    name, kind = quote(column.name), column.sql_type
    if kind in _INFINITE:
        return f"CASE WHEN isfinite({name}) THEN {name} END"
    if kind == "oid":
        return f"({name})::int8"
    if kind in _PLAIN:
        return name
    if _decimal(kind) is not None:
        # The cast changes nothing but the type of a domain, which would lose its scale here.
        return f"nullif({name}::{kind}, 'NaN')"
    if kind == "money":
        return f"({name})::numeric::text"
    if kind == "inet":
        # The cast would add /32 to a single address; its output form does not.
        return f"CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END"
    if kind.startswith("_"):
        return f"to_json({name})::text"
    return f"({name})::text"


def unfit(column: ColumnInfo) -> str | None:
    """Condition for the values that `readable` streams as null though they are none."""
    name, kind = quote(column.name), column.sql_type
    if kind in _INFINITE:
        return f"NOT isfinite({name})"
    if _decimal(kind) is not None:
        return f"{name} = 'NaN'"
    return None


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of the driver with fixed-scale numerics as decimals and no extension types.

    Raises:
        pa.ArrowInvalid: a numeric that is not a finite number.
    """
    if not any(isinstance(f.type, pa.BaseExtensionType) for f in batch.schema):
        return batch.replace_schema_metadata(None).cast(_bare(batch.schema))
    fields, columns = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        made = _plain_column(field, column)
        fields.append(pa.field(field.name, made.type))
        columns.append(made)
    return pa.record_batch(columns, schema=pa.schema(fields))


def _bare(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(f.name, f.type) for f in schema])


def _plain_column(field: pa.Field, column: pa.Array) -> pa.Array:
    if not isinstance(field.type, pa.BaseExtensionType):
        return column
    wanted = column_of(field).arrow_type
    return column.storage.cast(wanted) if pa.types.is_decimal(wanted) else column.storage
