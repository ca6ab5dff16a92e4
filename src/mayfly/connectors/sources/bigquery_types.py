"""BigQuery's types as Arrow types, and the SQL that reads each exactly. Pure."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.ports.source import ColumnInfo

_PLAIN: dict[str, pa.DataType] = {
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "NUMERIC": pa.decimal128(38, 9),
}
_NEW_NAMES = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_LENGTH = re.compile(r"\(.*\)$")
_QUOTED = BigqueryDialect()


def type_of_field(field: Any) -> str:
    """A column's type by its description in an answer, which uses older names."""
    name = _NEW_NAMES.get(field.field_type, field.field_type)
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else str(name)


def column(name: str, sql_type: str) -> ColumnInfo:
    """A column by the name of its type: a length, or a scale, is no part of it."""
    plain = _LENGTH.sub("", sql_type) if not sql_type.startswith(("ARRAY", "STRUCT")) else sql_type
    plain = _NEW_NAMES.get(plain, plain)
    return ColumnInfo(name=name, sql_type=plain, arrow_type=_PLAIN.get(plain, pa.string()))


def readable(info: ColumnInfo) -> str:
    """SQL over the quoted column that streams as its Arrow type.

    Arrays, structs and JSON stream as JSON text; numbers too long for Arrow, spans and ranges as
    the engine's own text.
    """
    name, kind = _QUOTED.quote(info.name), info.sql_type
    if kind in _PLAIN:
        return name
    if kind.startswith(("ARRAY", "STRUCT", "JSON")):
        # Of NULL it would make the text `null`.
        return f"CASE WHEN {name} IS NOT NULL THEN TO_JSON_STRING({name}) END"
    if kind == "GEOGRAPHY":
        return f"ST_ASTEXT({name})"
    return f"CAST({name} AS STRING)"
