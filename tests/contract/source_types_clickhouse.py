"""Every type of ClickHouse: an expression of it, its Arrow type, and what arrives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from mayfly.testing.source_contract import TypeCase

_UTC = dt.UTC
_ID = "00000000-0000-0000-0000-000000000001"
_MOMENT = "timestamp[us, tz=UTC]"

CLICKHOUSE_TYPES = {
    "boolean": TypeCase("true", "bool", value=True),
    "no boolean": TypeCase("CAST(NULL AS Nullable(Bool))", "bool"),
    "tiny": TypeCase("toInt8(-128)", "int8", -128),
    "small": TypeCase("toInt16(-32768)", "int16", -32768),
    "integer": TypeCase("toInt32(2147483647)", "int32", 2147483647),
    "big": TypeCase("toInt64('-9223372036854775808')", "int64", -(2**63)),
    "u tiny": TypeCase("toUInt8(255)", "uint8", 255),
    "u small": TypeCase("toUInt16(65535)", "uint16", 65535),
    "u integer": TypeCase("toUInt32(4294967295)", "uint32", 4294967295),
    "u big": TypeCase("toUInt64('18446744073709551615')", "uint64", 2**64 - 1),
    "huge": TypeCase("toInt128('-5')", "string", "-5"),
    "u huge": TypeCase("toUInt128('340282366920938463463374607431768211455')", "string",
                       str(2**128 - 1)),
    "vast": TypeCase("toInt256('-5')", "string", "-5"),
    "u vast": TypeCase("toUInt256('5')", "string", "5"),
    "brief": TypeCase("CAST(1.5 AS BFloat16)", "float", 1.5),
    "real": TypeCase("toFloat32(0.1)", "float", 0.10000000149011612),
    "double": TypeCase("toFloat64(0.1) + toFloat64(0.2)", "double", 0.30000000000000004),
    "endless": TypeCase("-inf", "double", float("-inf")),
    "fixed": TypeCase("CAST('1.5' AS Decimal(10, 2))", "decimal128(10, 2)", Decimal("1.50")),
    "widest": TypeCase(
        f"CAST('{'9' * 36}.25' AS Decimal(38, 2))", "decimal128(38, 2)",
        Decimal("9" * 36 + ".25"),
    ),
    "too wide": TypeCase("CAST('1.5' AS Decimal(60, 2))", "string", "1.50"),
    "text": TypeCase("'é😀\"\\'\\\\'", "string", "é😀\"'\\"),
    "no text": TypeCase("CAST(NULL AS Nullable(String))", "string"),
    "bytes": TypeCase("unhex('00ff5c')", "string", unfit=True),
    "nul": TypeCase("unhex('6100')", "string", "a\0"),
    "often": TypeCase("toLowCardinality('x')", "string", "x"),
    "often or not": TypeCase("toLowCardinality(toNullable('x'))", "string", "x"),
    "padded": TypeCase("toFixedString('FR', 4)", "string", "FR"),
    "padded bytes": TypeCase("toFixedString(unhex('ff'), 2)", "string", unfit=True),
    "padded often": TypeCase("CAST('DE' AS LowCardinality(FixedString(2)))", "string", "DE"),
    "day": TypeCase("toDate('2026-01-02')", "date32[day]", dt.date(2026, 1, 2)),
    "old day": TypeCase("toDate32('1900-01-01')", "date32[day]", dt.date(1900, 1, 1)),
    "moment": TypeCase(
        "toDateTime('2026-01-02 03:04:05')", _MOMENT, dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=_UTC)
    ),
    "zoned": TypeCase(
        "toDateTime('2026-01-02 03:04:05', 'Europe/Paris')", _MOMENT,
        dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=_UTC),
    ),
    "fine": TypeCase(
        "toDateTime64('2026-01-02 03:04:05.000006', 6, 'Asia/Kathmandu')", _MOMENT,
        dt.datetime(2026, 1, 1, 21, 19, 5, 6, tzinfo=_UTC),
    ),
    "finer": TypeCase(
        "toDateTime64('2026-01-02 03:04:05.000006', 9, 'UTC')", _MOMENT,
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=_UTC),
    ),
    "too fine": TypeCase(
        "toDateTime64('2026-01-02 03:04:05.000000001', 9, 'UTC')", _MOMENT, unfit=True
    ),
    "far": TypeCase(
        "toDateTime64('2299-12-31 23:59:59', 3, 'UTC')", _MOMENT,
        dt.datetime(2299, 12, 31, 23, 59, 59, tzinfo=_UTC),
    ),
    "no moment": TypeCase("CAST(NULL AS Nullable(DateTime64(9, 'UTC')))", _MOMENT),
    "time": TypeCase("CAST('-01:02:03' AS Time)", "string", "-01:02:03"),
    "fine time": TypeCase("CAST('01:02:03.004' AS Time64(3))", "string", "01:02:03.004"),
    "span": TypeCase("INTERVAL 3 DAY", "string", "3"),
    "uuid": TypeCase(f"toUUID('{_ID}')", "string", _ID),
    "address": TypeCase("toIPv4('192.0.2.1')", "string", "192.0.2.1"),
    "address 6": TypeCase("toIPv6('2001:db8::1')", "string", "2001:db8::1"),
    "mood": TypeCase("CAST('sa\\'d' AS Enum8('ok' = 1, 'sa\\'d' = 2))", "string", "sa'd"),
    "mood 16": TypeCase("CAST('ok' AS Nullable(Enum16('ok' = 1000)))", "string", "ok"),
    "list": TypeCase("[1, NULL]", "string", "[1,null]"),
    "lists": TypeCase("[['a/b'], []]", "string", '[["a/b"],[]]'),
    "list of bytes": TypeCase("[unhex('ff')]", "string", unfit=True),
    "decimals": TypeCase("[CAST('1.5' AS Decimal(10, 2))]", "string", '["1.50"]'),
    "floats": TypeCase("[nan, inf, 0.1]", "string", '["nan","inf",0.1]'),
    "wide": TypeCase("[18446744073709551615]", "string", "[18446744073709551615]"),
    "moments": TypeCase(
        "[toDateTime64('2026-01-02 03:04:05.006', 3, 'Europe/Paris')]", "string",
        '["2026-01-02T02:04:05.006Z"]',
    ),
    "pair": TypeCase("(1, 'a')", "string", '[1,"a"]'),
    "row": TypeCase(
        "CAST((1, 'a') AS Tuple(id Int64, `b c` String))", "string", '{"id":1,"b c":"a"}'
    ),
    "map": TypeCase("map('k', [1, 2])", "string", '{"k":[1,2]}'),
    "nested": TypeCase(
        "CAST([(1, 'a')] AS Nested(id Int64, b String))", "string", '[{"id":1,"b":"a"}]'
    ),
    "json": TypeCase(
        "CAST('{\"a\": 1, \"b\": {\"c\": [1, null]}}' AS JSON)", "string",
        '{"a":1,"b":{"c":[1,null]}}',
    ),
    "either": TypeCase("CAST(toInt64(7) AS Variant(Int64, String))", "string", "7"),
    "neither": TypeCase("CAST(NULL AS Variant(Int64, String))", "string"),
    "any": TypeCase("CAST('x' AS Dynamic)", "string", '"x"'),
    "point": TypeCase("CAST((0.5, 2.) AS Point)", "string", "[0.5,2]"),
    "ring": TypeCase("CAST([(0., 1.)] AS Ring)", "string", "[[0,1]]"),
    "simple state": TypeCase(
        "CAST(5 AS SimpleAggregateFunction(sum, UInt64))", "uint64", 5
    ),
    "state": TypeCase("arrayReduce('sumState', [1])", "string", unfit=True),
    "nothing": TypeCase("NULL", "string"),
}  # fmt: skip
