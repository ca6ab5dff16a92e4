"""MariaDB's types as Arrow types, and the SQL that reads each exactly. Pure.

The protocol tells little of a column, and of an expression less: a type code, flags, a length. What
`readable` selects has the same Arrow type by these as the column that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.planning.sql.mysql import INDEXED_CHARACTERS, MysqlDialect
from mayfly.ports.source import ColumnInfo

DECIMAL_DIGITS_MAX = 38
_BINARY_CHARSET = 63
_BYTES_PER_CHARACTER = 4
_UNSIGNED, _ENUM, _SET = 32, 256, 2048
_INTEGERS: dict[int, tuple[str, int]] = {
    1: ("tinyint", 8), 2: ("smallint", 16), 9: ("mediumint", 32), 3: ("int", 32), 8: ("bigint", 64),
}  # fmt: skip
_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_NOT_SIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_PLAIN: dict[int, tuple[str, pa.DataType]] = {
    4: ("float", pa.float64()),
    5: ("double", pa.float64()),
    7: ("timestamp", pa.timestamp("us", tz="UTC")),
    10: ("date", pa.date32()),
    11: ("time", pa.time64("us")),
    12: ("datetime", pa.timestamp("us")),
    13: ("year", pa.int16()),
    6: ("varchar", pa.string()),
    245: ("text", pa.string()),
    255: ("geometry", pa.binary()),
}
_BIT, _NEWDECIMAL, _BLOBS = 16, 246, (249, 250, 251, 252)
_DATES = {"date", "datetime", "timestamp"}
_SOME_DAY = pa.scalar("1970-01-01")
_quote = MysqlDialect().quote


class FieldFacts(Protocol):
    """A column of a result as the driver has it."""

    name: str
    type_code: int
    flags: int
    length: int
    scale: int
    charsetnr: int


def column_of(field: FieldFacts) -> ColumnInfo:
    """A column of a result: its SQL type, without a length, and its Arrow type."""
    name, kind = _kind(field)
    return ColumnInfo(name=field.name, sql_type=name, arrow_type=kind)


def _kind(field: FieldFacts) -> tuple[str, pa.DataType]:
    code = field.type_code
    unsigned = bool(field.flags & _UNSIGNED)
    if code == 1 and field.length == 1 and not unsigned:
        return "boolean", pa.bool_()
    if code in _INTEGERS:
        name, bits = _INTEGERS[code]
        if unsigned:
            return f"{name} unsigned", _NOT_SIGNED[bits]
        return name, _SIGNED[bits]
    if code == _BIT:
        return ("bit", pa.bool_()) if field.length == 1 else ("bits", pa.string())
    if code in (_NEWDECIMAL, 0):
        return _decimal(field, unsigned=unsigned)
    return _PLAIN.get(code) or _text(field)


def _decimal(field: FieldFacts, *, unsigned: bool) -> tuple[str, pa.DataType]:
    """The length counts a sign and a point."""
    digits = field.length - (0 if unsigned else 1) - (1 if field.scale else 0)
    digits = max(digits, field.scale, 1)
    name = f"decimal({digits},{field.scale})"
    fits = digits <= DECIMAL_DIGITS_MAX
    return name, pa.decimal128(digits, field.scale) if fits else pa.string()


def _text(field: FieldFacts) -> tuple[str, pa.DataType]:
    """What has no length is NULL itself."""
    if field.flags & (_ENUM | _SET):
        return "varchar", pa.string()
    if field.charsetnr == _BINARY_CHARSET and field.length:
        return ("longblob" if _is_long(field, 1) else "varbinary"), pa.binary()
    return ("text" if _is_long(field, _BYTES_PER_CHARACTER) else "varchar"), pa.string()


def _is_long(field: FieldFacts, width: int) -> bool:
    return field.type_code in _BLOBS or field.length > INDEXED_CHARACTERS * width


def readable(column: ColumnInfo) -> str:
    """SQL over the quoted column that streams as its Arrow type.

    A boolean that is neither 0 nor 1, a date with a zero in it and a time of no day have no Arrow
    form and stream as null. Bits stream as text, a geometry as its well-known bytes. A boolean is
    known by its length alone, which no expression keeps: what it is not is left out when it comes.
    """
    name, kind = _quote(column.name), column.sql_type
    condition = unfit(column)
    if condition is not None and kind != "boolean":
        return f"CASE WHEN NOT ({condition}) THEN {name} END"
    if kind == "float":
        return f"CAST({name} AS DOUBLE)"
    if kind == "bits":
        return f"conv({name} + 0, 10, 2)"
    if kind == "geometry":
        return f"ST_AsWKB({name})"
    if kind.startswith("decimal") and pa.types.is_string(column.arrow_type):
        return f"CAST({name} AS CHAR)"
    return name


def unfit(column: ColumnInfo) -> str | None:
    """Condition for the values that `readable` streams as null though they are none."""
    name, kind = _quote(column.name), column.sql_type
    if kind == "boolean":
        return f"{name} NOT IN (0, 1)"
    if kind in _DATES:
        return f"(month({name}) = 0 OR dayofmonth({name}) = 0)"
    if kind == "time":
        return f"({name} < '00:00:00' OR {name} >= '24:00:00')"
    return None


Values = Sequence[bytes | None]


def batch_of(columns: Sequence[ColumnInfo], rows: Sequence[Values]) -> pa.RecordBatch:
    """Rows of the text protocol, column by column.

    Raises:
        pa.ArrowInvalid: a value is not of its column's type.
    """
    turned = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [_array(c.arrow_type, v) for c, v in zip(columns, turned, strict=True)]
    fields = [pa.field(c.name, a.type) for c, a in zip(columns, arrays, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields))


def _array(kind: pa.DataType, values: Values) -> pa.Array:
    raw = pa.array(values, pa.binary())
    if pa.types.is_binary(kind):
        return raw
    if pa.types.is_boolean(kind):
        return pa.array([None if v is None else _TRUTH.get(v) for v in values], pa.bool_())
    text = raw.cast(pa.string())
    return text if pa.types.is_string(kind) else _cast(text, kind)


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.TimestampType) and kind.tz is not None:
        return text.cast(pa.timestamp("us")).cast(pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        moments = pc.binary_join_element_wise(_SOME_DAY, text, " ")
        return moments.cast(pa.timestamp("us")).cast(kind)
    return text.cast(kind)


_TRUTH = {b"0": False, b"1": True, b"\x00": False, b"\x01": True}
