"""Every type of an engine: an expression of it, its Arrow type, and what arrives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from mayfly.testing.source_contract import TypeCase

_UTC = dt.UTC
_ID = "00000000-0000-0000-0000-000000000001"

POSTGRES_TYPES = {
    "boolean": TypeCase("true", "bool", value=True),
    "small": TypeCase("(-32768)::int2", "int16", -32768),
    "integer": TypeCase("2147483647", "int32", 2147483647),
    "big": TypeCase("(-9223372036854775808)::int8", "int64", -(2**63)),
    "fixed": TypeCase("1.50::numeric(10,2)", "decimal128(10, 2)", Decimal("1.50")),
    "widest": TypeCase(
        "('9' || repeat('0', 37))::numeric(38,0)", "decimal128(38, 0)", Decimal("9" + "0" * 37)
    ),
    "too wide": TypeCase("1.5::numeric(60,2)", "string", "1.50"),
    "not a number": TypeCase("'NaN'::numeric(5,1)", "decimal128(5, 1)", unfit=True),
    "free": TypeCase("1.10::numeric", "string", "1.10"),
    "huge": TypeCase("1e50::numeric", "string", "1" + "0" * 50),
    "free nan": TypeCase("'NaN'::numeric", "string", "NaN"),
    "money": TypeCase("'12.30'::money", "string", "12.30"),
    "real": TypeCase("0.1::float4", "float", 0.10000000149011612),
    "double": TypeCase("0.1::float8 + 0.2::float8", "double", 0.30000000000000004),
    "endless": TypeCase("'-Infinity'::float8", "double", float("-inf")),
    "text": TypeCase("'é😀\"''\\'::text", "string", "é😀\"'\\"),
    "varying": TypeCase("'x'::varchar(3)", "string", "x"),
    "padded": TypeCase("'x'::char(3)", "string", "x"),
    "name": TypeCase("'x'::name", "string", "x"),
    "one char": TypeCase("""'x'::"char\"""", "string", "x"),
    "bytes": TypeCase("'\\x00ff5c'::bytea", "binary", b"\x00\xff\\"),
    "day": TypeCase("date '2026-01-02'", "date32[day]", dt.date(2026, 1, 2)),
    "never day": TypeCase("'-infinity'::date", "date32[day]", unfit=True),
    "time": TypeCase("time '10:00:00.000001'", "time64[us]", dt.time(10, 0, 0, 1)),
    "zoned time": TypeCase("timetz '10:00+05:30'", "string", "10:00:00+05:30"),
    "local": TypeCase(
        "timestamp '2026-01-02 03:04:05.000006'",
        "timestamp[us]",
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "moment": TypeCase(
        "timestamptz '2026-01-02 03:04:05+01'",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC),
    ),
    "never": TypeCase("'infinity'::timestamptz", "timestamp[us, tz=UTC]", unfit=True),
    "ever": TypeCase("'-infinity'::timestamp", "timestamp[us]", unfit=True),
    "span": TypeCase("interval '1 mon 2 days 03:04:05.6'", "string", "1 mon 2 days 03:04:05.6"),
    "uuid": TypeCase(f"'{_ID}'::uuid", "string", _ID),
    "json": TypeCase("'{\"a\":  1.10}'::json", "string", '{"a":  1.10}'),
    "jsonb": TypeCase("'{\"a\":1.10}'::jsonb", "string", '{"a": 1.10}'),
    "path": TypeCase("'$.a'::jsonpath", "string", '$."a"'),
    "numbers": TypeCase("array[[1,2],[3,4]]", "string", "[[1,2],[3,4]]"),
    "moments": TypeCase(
        "array[timestamptz '2026-01-02 03:04:05+01', NULL]",
        "string",
        '["2026-01-02T02:04:05+00:00",null]',
    ),
    "floats": TypeCase("array[0.1::float8 + 0.2, 'NaN']", "string", '[0.30000000000000004,"NaN"]'),
    "byteas": TypeCase("array['\\x00ff'::bytea]", "string", '["\\\\x00ff"]'),
    "inet": TypeCase("inet '192.0.2.1'", "string", "192.0.2.1"),
    "net": TypeCase("cidr '192.0.2.0/24'", "string", "192.0.2.0/24"),
    "mac": TypeCase("macaddr '08:00:2b:01:02:03'", "string", "08:00:2b:01:02:03"),
    "mac8": TypeCase("macaddr8 '08:00:2b:01:02:03:04:05'", "string", "08:00:2b:01:02:03:04:05"),
    "bits": TypeCase("B'0101'", "string", "0101"),
    "varbits": TypeCase("B'0101'::varbit", "string", "0101"),
    "range": TypeCase("int4range(1,2)", "string", "[1,2)"),
    "moments range": TypeCase(
        "tstzrange('2026-01-02 03:04:05+01', NULL)", "string", '["2026-01-02 02:04:05+00",)'
    ),
    "ranges": TypeCase("int4multirange(int4range(1,2))", "string", "{[1,2)}"),
    "point": TypeCase("point '(0.1,2)'", "string", "(0.1,2)"),
    "circle": TypeCase("circle '<(1,2),3>'", "string", "<(1,2),3>"),
    "words": TypeCase("'a b'::tsvector", "string", "'a' 'b'"),
    "asked": TypeCase("'a & b'::tsquery", "string", "'a' & 'b'"),
    "oid": TypeCase("4294967295::oid", "int64", 4294967295),
    "class": TypeCase("'pg_class'::regclass", "string", "pg_class"),
    "place": TypeCase("'16/B374D848'::pg_lsn", "string", "16/B374D848"),
    "mood": TypeCase("'sad'::mood", "string", "sad"),
    "e-mail": TypeCase("'a@example.com'::mail", "string", "a@example.com"),
    "above": TypeCase("5::above", "int32", 5),
    "price": TypeCase("1.50::price", "decimal128(10, 2)", Decimal("1.50")),
    "since": TypeCase(
        "'2026-01-02 03:04:05+01'::since",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC),
    ),
    "never since": TypeCase("'infinity'::since", "timestamp[us, tz=UTC]", unfit=True),
    "pair": TypeCase("ROW(1, 'a,b')::pair", "string", '(1,"a,b")'),
    "moods": TypeCase("array['sad'::mood]", "string", '["sad"]'),
    "nothing": TypeCase("NULL::text", "string"),
    "unknown": TypeCase("NULL", "string"),
}

DUCKDB_TYPES = {
    "boolean": TypeCase("true", "bool", value=True),
    "tiny": TypeCase("(-128)::TINYINT", "int8", -128),
    "big": TypeCase("(-9223372036854775808)::BIGINT", "int64", -(2**63)),
    "unsigned": TypeCase("18446744073709551615::UBIGINT", "uint64", 2**64 - 1),
    "huge": TypeCase("(1::HUGEINT)", "decimal128(38, 0)", Decimal(1)),
    "vast": TypeCase("1::UHUGEINT", "string", "1"),
    "fixed": TypeCase("1.50::DECIMAL(10,2)", "decimal128(10, 2)", Decimal("1.50")),
    "real": TypeCase("0.5::FLOAT", "float", 0.5),
    "double": TypeCase("0.1::DOUBLE + 0.2::DOUBLE", "double", 0.30000000000000004),
    "endless": TypeCase("'-Infinity'::DOUBLE", "double", float("-inf")),
    "text": TypeCase("'é😀\"''\\'", "string", "é😀\"'\\"),
    "bytes": TypeCase("'\\x00\\xFF'::BLOB", "binary", b"\x00\xff"),
    "day": TypeCase("DATE '2026-01-02'", "date32[day]", dt.date(2026, 1, 2)),
    "never day": TypeCase("'-infinity'::DATE", "date32[day]", unfit=True),
    "time": TypeCase("TIME '10:00:00.000001'", "time64[us]", dt.time(10, 0, 0, 1)),
    "zoned time": TypeCase("'10:00:00+05:30'::TIMETZ", "string", "10:00:00+05:30"),
    "local": TypeCase(
        "TIMESTAMP '2026-01-02 03:04:05.000006'",
        "timestamp[us]",
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "moment": TypeCase(
        "TIMESTAMPTZ '2026-01-02 03:04:05+01'",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC),
    ),
    "never": TypeCase("'infinity'::TIMESTAMPTZ", "timestamp[us, tz=UTC]", unfit=True),
    "seconds": TypeCase(
        "'2026-01-02 03:04:05'::TIMESTAMP_S", "timestamp[us]", dt.datetime(2026, 1, 2, 3, 4, 5)
    ),
    "too fine": TypeCase(
        "'2026-01-02 03:04:05.000000001'::TIMESTAMP_NS", "timestamp[us]", unfit=True
    ),
    "span": TypeCase("INTERVAL '1 month 03:04:05.6'", "string", "1 month 03:04:05.6"),
    "uuid": TypeCase(f"'{_ID}'::UUID", "string", _ID),
    "json": TypeCase("'{\"a\":  1.10}'::JSON", "string", '{"a":  1.10}'),
    "mood": TypeCase("'sad'::ENUM('sad', 'ok')", "string", "sad"),
    "bits": TypeCase("'0101'::BIT", "string", "0101"),
    "numbers": TypeCase("[[1, NULL], []]", "list<l: list<l: int32>>", [[1, None], []]),
    "moments": TypeCase(
        "[TIMESTAMPTZ '2026-01-02 03:04:05+01']",
        "list<l: timestamp[us, tz=UTC]>",
        [dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC)],
    ),
    "row": TypeCase("{'a': 1, 'b c': 'x'}", "struct<a: int32, b c: string>", {"a": 1, "b c": "x"}),
    "map": TypeCase("MAP {'a': 1}", "string", '{"a":1}'),
    "union": TypeCase("union_value(n := 1)", "string", '{"n":1}'),
    "nothing": TypeCase("NULL::VARCHAR", "string"),
}

# Of a table's columns, since only these declare a type.
SQLITE_COLUMNS = {
    "whole": ("INTEGER", "9223372036854775807"),
    "small": ("SMALLINT", "-5"),
    "text in whole": ("INT", "'many'"),
    "part in whole": ("INTEGER", "1.5"),
    "too large": ("INTEGER", "9223372036854775808"),
    "yes": ("BOOLEAN", "1"),
    "no": ("BOOL", "0"),
    "two": ("BOOLEAN", "2"),
    "word": ("BOOLEAN", "'true'"),
    "real": ("REAL", "0.1 + 0.2"),
    "whole real": ("DOUBLE", "2"),
    "text in real": ("FLOAT", "'wide'"),
    "endless": ("REAL", "9e999"),
    "text": ("TEXT", "'é😀\"''\\'"),
    "varying": ("VARCHAR(20) COLLATE NOCASE", "'Ab'"),
    "number in text": ("TEXT", "12.50"),
    "blob in text": ("TEXT", "x'ff00'"),
    "bytes": ("BLOB", "x'00ff5c'"),
    "text in bytes": ("BLOB", "'x'"),
    "fixed": ("DECIMAL(10, 2)", "'1.50'"),
    "sum": ("NUMERIC", "0.1 + 0.2"),
    "price": ("NUMERIC", "9.99"),
    "count": ("NUMERIC", "12"),
    "day": ("DATE", "'2026-01-02'"),
    "moment": ("TIMESTAMP", "'2026-01-02 03:04:05.000006'"),
    "seconds": ("DATETIME", "1767322800"),
    "json": ("JSON", "'{\"a\":  1.10}'"),
    "bare": ("", "7"),
    "bare text": ("", "'007'"),
    "bare bytes": ("", "x'00'"),
}
_COLUMN = '(SELECT "{}" FROM kinds)'


def _of(name: str, arrow: str, value: object = None, *, unfit: bool = False) -> TypeCase:
    return TypeCase(_COLUMN.format(name), arrow, value, unfit=unfit)


SQLITE_TYPES = {
    "whole": _of("whole", "int64", 2**63 - 1),
    "small": _of("small", "int64", -5),
    "text in whole": _of("text in whole", "int64", unfit=True),
    "part in whole": _of("part in whole", "int64", unfit=True),
    "too large": _of("too large", "int64", unfit=True),
    "yes": _of("yes", "bool", value=True),
    "no": _of("no", "bool", value=False),
    "two": _of("two", "bool", unfit=True),
    "word": _of("word", "bool", unfit=True),
    "real": _of("real", "double", 0.30000000000000004),
    "whole real": _of("whole real", "double", 2.0),
    "text in real": _of("text in real", "double", unfit=True),
    "endless": _of("endless", "double", float("inf")),
    "text": _of("text", "string", "é😀\"'\\"),
    "varying": _of("varying", "string", "Ab"),
    "number in text": _of("number in text", "string", "12.5"),
    "blob in text": _of("blob in text", "string", unfit=True),
    "bytes": _of("bytes", "binary", b"\x00\xff\\"),
    "text in bytes": _of("text in bytes", "binary", unfit=True),
    "fixed": _of("fixed", "string", "1.5"),
    "sum": _of("sum", "string", "0.30000000000000004"),
    "price": _of("price", "string", "9.99"),
    "count": _of("count", "string", "12"),
    "day": _of("day", "string", "2026-01-02"),
    "moment": _of("moment", "string", "2026-01-02 03:04:05.000006"),
    "seconds": _of("seconds", "string", "1767322800"),
    "json": _of("json", "string", '{"a":  1.10}'),
    "bare": _of("bare", "string", "7"),
    "bare text": _of("bare text", "string", "007"),
    "bare bytes": _of("bare bytes", "string", unfit=True),
    "cast": TypeCase("CAST('12' AS INTEGER)", "int64", 12),
    "cast real": TypeCase("CAST('1.5' AS REAL)", "double", 1.5),
    "cast text": TypeCase("CAST(12 AS TEXT)", "string", "12"),
    "expression": TypeCase("1 + 1", "string", "2"),
    "nothing": TypeCase("NULL", "string"),
}


SNOWFLAKE_TYPES = {
    "boolean": TypeCase("TRUE", "bool", value=True),
    "small": TypeCase("CAST(-7 AS NUMBER(4, 0))", "int64", -7),
    "big": TypeCase("CAST(9223372036854775807 AS NUMBER(19, 0))", "int64", 2**63 - 1),
    "too big": TypeCase("CAST(9999999999999999999 AS NUMBER(19, 0))", "int64", unfit=True),
    "integer": TypeCase("CAST(7 AS NUMBER(38, 0))", "decimal128(38, 0)", Decimal(7)),
    "fixed": TypeCase("CAST(1.5 AS NUMBER(10, 2))", "decimal128(10, 2)", Decimal("1.50")),
    "widest": TypeCase(
        "CAST('9" + "0" * 35 + ".25' AS NUMBER(38, 2))",
        "decimal128(38, 2)",
        Decimal("9" + "0" * 35 + ".25"),
    ),
    "double": TypeCase("CAST(0.1 AS FLOAT) + CAST(0.2 AS FLOAT)", "double", 0.30000000000000004),
    "endless": TypeCase("CAST('-inf' AS FLOAT)", "double", float("-inf")),
    "text": TypeCase("'é😀\"''\\\\'", "string", "é😀\"'\\"),
    "varying": TypeCase("CAST('x' AS VARCHAR(3))", "string", "x"),
    "bytes": TypeCase("TO_BINARY('00ff5c', 'HEX')", "binary", b"\x00\xff\\"),
    "day": TypeCase("DATE '2026-01-02'", "date32[day]", dt.date(2026, 1, 2)),
    "old day": TypeCase("DATE '0001-01-01'", "date32[day]", dt.date(1, 1, 1)),
    "time": TypeCase("CAST('10:00:00.000001' AS TIME(6))", "time64[us]", dt.time(10, 0, 0, 1)),
    "moment": TypeCase(
        "CAST('2026-01-02 03:04:05.000006' AS TIMESTAMP_NTZ(6))",
        "timestamp[us]",
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "far moment": TypeCase(
        "CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP_NTZ(6))",
        "timestamp[us]",
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    ),
    "zoned": TypeCase(
        "CAST('2026-01-02 03:04:05.000006 +0100' AS TIMESTAMP_TZ(6))",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, 6, tzinfo=_UTC),
    ),
    "variant": TypeCase("PARSE_JSON('{\"a\":[1,null]}')", "string", '{"a":[1,null]}'),
    "nothing": TypeCase("CAST(NULL AS VARCHAR)", "string"),
}
"""What an emulator has: no decimal floats, geography, arrays, vectors, maps, nanoseconds."""


BIGQUERY_TYPES = {
    "boolean": TypeCase("TRUE", "bool", value=True),
    "big": TypeCase("-9223372036854775808", "int64", -(2**63)),
    "double": TypeCase("0.1 + 0.2", "double", 0.30000000000000004),
    "endless": TypeCase("CAST('-inf' AS FLOAT64)", "double", float("-inf")),
    "fixed": TypeCase("CAST('1.5' AS NUMERIC)", "decimal128(38, 9)", Decimal("1.500000000")),
    "text": TypeCase("'é😀\"\\'\\\\'", "string", "é😀\"'\\"),
    "bytes": TypeCase("FROM_HEX('00ff5c')", "binary", b"\x00\xff\\"),
    "day": TypeCase("DATE '2026-01-02'", "date32[day]", dt.date(2026, 1, 2)),
    "time": TypeCase("TIME '10:00:00.000001'", "time64[us]", dt.time(10, 0, 0, 1)),
    "local": TypeCase(
        "DATETIME '2026-01-02 03:04:05.000006'",
        "timestamp[us]",
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    ),
    "moment": TypeCase(
        "TIMESTAMP '2026-01-02 03:04:05+01'",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC),
    ),
    "json": TypeCase("JSON '{\"a\":1}'", "string", '{"a":1}'),
    "numbers": TypeCase("[1, 2]", "string", "[1,2]"),
    "row": TypeCase("STRUCT(1 AS a, 'x' AS b)", "string", '{"a":1,"b":"x"}'),
    "nothing": TypeCase("CAST(NULL AS STRING)", "string"),
}
