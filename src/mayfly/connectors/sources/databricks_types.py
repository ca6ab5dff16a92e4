"""Databricks' types as Arrow types, and the SQL that reads each exactly. Pure.

Compiled, not run.
"""

from __future__ import annotations

import re

import pyarrow as pa

from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.ports.source import ColumnInfo

_SQL = DatabricksDialect()
_PLAIN: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")
_NESTED = ("array", "map", "struct", "variant")
_SPATIAL = ("geography", "geometry")


def column(name: str, data_type: str) -> ColumnInfo:
    """A column as DESCRIBE QUERY names its type."""
    sql_type = data_type.lower()
    return ColumnInfo(name=name, sql_type=sql_type, arrow_type=arrow_type(sql_type))


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type `readable` streams: exact, or text where Arrow has no exact form."""
    decimal = _DECIMAL.fullmatch(sql_type)
    if decimal is not None:
        return pa.decimal128(int(decimal.group(1)), int(decimal.group(2)))
    return _PLAIN.get(sql_type, pa.string())


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as `arrow_type` of its SQL type."""
    name = _SQL.quote(column.name)
    if column.sql_type.startswith(_NESTED):
        return f"to_json({name})"
    if column.sql_type.startswith(_SPATIAL):
        return f"st_asewkt({name})"
    return _SQL.as_text(name) if pa.types.is_string(column.arrow_type) else name


def plain(table: pa.Table) -> pa.Table:
    """A result in types that do not depend on the warehouse's release: microseconds, UTC.

    Raises:
        pa.ArrowInvalid: a value does not fit.
    """
    fields = [pa.field(f.name, _plain_type(f.type)) for f in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(fields))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    return pa.string() if pa.types.is_large_string(kind) else kind
