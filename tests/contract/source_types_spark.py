"""Every type of Spark: an expression of it, its Arrow type, and what arrives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from mayfly.testing.source_contract import TypeCase

_UTC = dt.UTC

SPARK_TYPES = {
    "boolean": TypeCase("true", "bool", value=True),
    "tiny": TypeCase("-128Y", "int8", -128),
    "small": TypeCase("-32768S", "int16", -32768),
    "integer": TypeCase("2147483647", "int32", 2147483647),
    "big": TypeCase("9223372036854775807L", "int64", 2**63 - 1),
    "fixed": TypeCase("CAST(1.5 AS DECIMAL(10, 2))", "decimal128(10, 2)", Decimal("1.50")),
    "tiny part": TypeCase(
        "CAST(0.0000001 AS DECIMAL(38, 18))",
        "decimal128(38, 18)",
        Decimal("0.000000100000000000"),
    ),
    "widest": TypeCase(
        f"CAST('9{'0' * 37}' AS DECIMAL(38, 0))", "decimal128(38, 0)", Decimal("9" + "0" * 37)
    ),
    "real": TypeCase("CAST(0.1 AS FLOAT)", "float", 0.10000000149011612),
    "double": TypeCase("0.1D + 0.2D", "double", 0.30000000000000004),
    "endless": TypeCase("CAST('-Infinity' AS DOUBLE)", "double", float("-inf")),
    "text": TypeCase("'é😀\"\\'\\\\'", "string", "é😀\"'\\"),
    "collated": TypeCase("'Ab' COLLATE UTF8_LCASE", "string", "Ab"),
    "bytes": TypeCase("X'00ff5c'", "binary", b"\x00\xff\\"),
    "day": TypeCase("DATE'2026-01-02'", "date32[day]", dt.date(2026, 1, 2)),
    "old day": TypeCase("DATE'0001-01-01'", "date32[day]", dt.date(1, 1, 1)),
    "time": TypeCase("TIME'10:00:00.000001'", "time64[us]", dt.time(10, 0, 0, 1)),
    "moment": TypeCase(
        "TIMESTAMP_LTZ'2026-01-02 03:04:05.000006+01:00'",
        "timestamp[us, tz=UTC]",
        dt.datetime(2026, 1, 2, 2, 4, 5, 6, tzinfo=_UTC),
    ),
    "local": TypeCase(
        "TIMESTAMP_NTZ'2026-03-29 02:30:00.000006'",
        "timestamp[us]",
        dt.datetime(2026, 3, 29, 2, 30, 0, 6),
    ),
    "far moment": TypeCase(
        "TIMESTAMP_LTZ'9999-12-31 23:59:59.999999Z'",
        "timestamp[us, tz=UTC]",
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=_UTC),
    ),
    "numbers": TypeCase(
        "array(array(1, NULL), array())",
        "list<element: list<element: int32>>",
        [[1, None], []],
    ),
    "moments": TypeCase(
        "array(TIMESTAMP_LTZ'2026-01-02 03:04:05+01:00')",
        "list<element: timestamp[us, tz=UTC]>",
        [dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC)],
    ),
    "row": TypeCase(
        "named_struct('a', 1, 'b c', 'x')", "struct<a: int32, b c: string>", {"a": 1, "b c": "x"}
    ),
    "map": TypeCase("map('a', 1, 'b', NULL)", "string", '{"a":1,"b":null}'),
    "with a map": TypeCase(
        "array(named_struct('m', map(1, TIMESTAMP_LTZ'2026-01-02 03:04:05.000006Z'), 'n', NULL))",
        "string",
        '[{"m":{"1":"2026-01-02T03:04:05.000006Z"},"n":null}]',
    ),
    "months": TypeCase("INTERVAL '1-2' YEAR TO MONTH", "string", unfit=True),
    "span": TypeCase("INTERVAL '1 02:03:04.5' DAY TO SECOND", "string", unfit=True),
    "spans": TypeCase("array(INTERVAL '1' DAY)", "string", unfit=True),
    "calendar": TypeCase("make_interval(1, 2, 3)", "string", unfit=True),
    "variant": TypeCase("parse_json('{\"a\":1}')", "string", unfit=True),
    "row of a variant": TypeCase("named_struct('interval', parse_json('1'))", "string", unfit=True),
    "row of that name": TypeCase(
        "named_struct('interval', 'x')", "struct<interval: string>", {"interval": "x"}
    ),
    "no interval": TypeCase("CAST(NULL AS INTERVAL DAY)", "string"),
    "nothing": TypeCase("NULL", "string"),
}
