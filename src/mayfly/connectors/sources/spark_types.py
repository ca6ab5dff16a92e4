"""Spark's types as Arrow types, and the SQL that reads each exactly. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mayfly.planning.sql.spark import JSON, quote
from mayfly.ports.source import ColumnInfo

ZONE = "UTC"
BYTES = "UTF8_BINARY"
"""The collation that compares bytes."""
_NAMES = {
    "null": "void",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "calendar_interval": "interval",
    "year_month_interval": "interval year to month",
    "day_time_interval": "interval day to second",
    "var_char": "varchar",
}
"""As DDL names a kind, where the protocol calls it otherwise."""
_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "char": pa.string(),
    "var_char": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us", tz=ZONE),
    "timestamp_ntz": pa.timestamp("us"),
}
_NESTED = ("array<", "map<", "struct<")
_QUOTED = re.compile(r"`(?:[^`]|``)*`")
_REFUSED = re.compile(
    r"\b(interval|variant|geometry|geography|udt|unparsed|unknown|timestamp_(?:ntz|ltz)_nanos)\b"
)
"""Names of types whose values have no form that every reader knows, and of those not known here."""


def columns_of(schema: Any) -> tuple[ColumnInfo, ...]:
    """Columns of a relation.

    Args:
        schema: its DataType.
    """
    return tuple(_column(field.name, field.data_type) for field in schema.struct.fields)


def _column(name: str, kind: Any) -> ColumnInfo:
    arrow = _arrow(kind)
    return ColumnInfo(
        name=name, sql_type=ddl(kind), arrow_type=pa.string() if arrow is None else arrow
    )


def ddl(kind: Any) -> str:
    """A type as DDL writes it."""
    name = str(kind.WhichOneof("kind") or "unknown")
    match name:
        case "decimal":
            return f"decimal({kind.decimal.precision},{kind.decimal.scale})"
        case "string":
            collation = kind.string.collation
            return f"string collate {collation}" if collation not in ("", BYTES) else "string"
        case "time":
            return f"time({kind.time.precision})"
        case "array":
            return f"array<{ddl(kind.array.element_type)}>"
        case "map":
            return f"map<{ddl(kind.map.key_type)},{ddl(kind.map.value_type)}>"
        case "struct":
            parts = (f"{quote(f.name)}:{ddl(f.data_type)}" for f in kind.struct.fields)
            return f"struct<{','.join(parts)}>"
    return _NAMES.get(name, name)


def _arrow(kind: Any) -> pa.DataType | None:
    """The type whose values arrive as themselves; None of others."""
    name = kind.WhichOneof("kind")
    if name == "decimal":
        return pa.decimal128(kind.decimal.precision, kind.decimal.scale)
    if name == "array":
        inner = _arrow(kind.array.element_type)
        return None if inner is None else pa.list_(pa.field("element", inner))
    if name == "struct":
        fields = [(f.name, _arrow(f.data_type)) for f in kind.struct.fields]
        names = [n for n, _ in fields]
        if not fields or len(set(names)) != len(names) or any(t is None for _, t in fields):
            return None
        return pa.struct(fields)
    return _ARROW.get(str(name))


def _is_refused(sql_type: str) -> bool:
    return _REFUSED.search(_QUOTED.sub("", sql_type)) is not None


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as its Arrow type.

    Maps, and what holds one, stream as JSON text. Intervals, variants, and other types that have no
    form that every reader knows, stream as null, and `unfit` tells them.
    """
    name, kind = quote(column.name), column.sql_type
    if _is_refused(kind) or kind == "void":
        return "CAST(NULL AS STRING)"
    if kind.startswith(_NESTED) and not pa.types.is_nested(column.arrow_type):
        return f"to_json({name}, {JSON})"
    if kind.startswith("string collate"):
        return f"collate({name}, '{BYTES}')"
    return name


def unfit(column: ColumnInfo) -> str | None:
    """Condition for the values that `readable` does not stream."""
    if _is_refused(column.sql_type):
        return f"{quote(column.name)} IS NOT NULL"
    return None


def schema_of(columns: Sequence[ColumnInfo]) -> pa.Schema:
    """What a result of these columns is turned into."""
    return pa.schema([pa.field(c.name, c.arrow_type) for c in columns])


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A piece of a result without what Spark notes of its columns: zones by another name, nulls
    that there are none of, finer clocks than it has.

    Raises:
        pa.ArrowInvalid: a value does not fit, or a text is not UTF-8.
    """
    fields = [pa.field(f.name, _plain(f.type)) for f in batch.schema]
    columns = [c.cast(f.type) for c, f in zip(batch.columns, fields, strict=True)]
    made = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    for column in made.columns:
        if pa.types.is_string(column.type) or pa.types.is_nested(column.type):
            column.validate(full=True)
    return made


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=ZONE if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in kind])
    return kind
