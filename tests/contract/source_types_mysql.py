"""Every type of MariaDB: an expression of it, its Arrow type, and what arrives."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal

from mayfly.testing.source_contract import TypeCase

_UTC = dt.UTC
_ID = "00000000-0000-0000-0000-000000000001"


TYPED = {
    "flag": ("boolean", "1"),
    "seven": ("boolean", "7"),
    "tiny": ("tinyint", "-128"),
    "utiny": ("tinyint unsigned", "255"),
    "small": ("smallint", "-32768"),
    "usmall": ("smallint unsigned", "65535"),
    "medium": ("mediumint", "-8388608"),
    "umedium": ("mediumint unsigned", "16777215"),
    "whole": ("int", "-2147483648"),
    "uwhole": ("int unsigned", "4294967295"),
    "filled": ("int zerofill", "7"),
    "big": ("bigint", "-9223372036854775808"),
    "ubig": ("bigint unsigned", "18446744073709551615"),
    "fixed": ("decimal(10,2)", "1.50"),
    "ufixed": ("decimal(10,2) unsigned", "1.50"),
    "widest": ("decimal(38,0)", "9" * 38),
    "toowide": ("decimal(60,2)", "1.50"),
    "reall": ("float", "0.1"),
    "doubl": ("double", "0.1e0 + 0.2e0"),
    "txt": ("text", r"'é😀\"''\\'"),
    "latin": ("varchar(9) character set latin1", "'é'"),
    "padded": ("char(3)", "'x'"),
    "bytes": ("varbinary(9)", r"X'00FF5C'"),
    "fixbytes": ("binary(3)", "X'00FF'"),
    "blobs": ("blob", "X'00FF'"),
    "bit1": ("bit(1)", "b'1'"),
    "bit9": ("bit(9)", "b'101'"),
    "day": ("date", "'2026-01-02'"),
    "zeroday": ("date", "'0000-00-00'"),
    "halfday": ("date", "'2026-01-00'"),
    "clock": ("time(6)", "'10:00:00.000001'"),
    "longclock": ("time", "'30:00:00'"),
    "before": ("time", "'-00:00:01'"),
    "local": ("datetime(6)", "'2026-01-02 03:04:05.000006'"),
    "plainlocal": ("datetime", "'2026-01-02 03:04:05'"),
    "zerolocal": ("datetime", "'0000-00-00 00:00:00'"),
    "moment": ("timestamp(3) null", "'2026-01-02 02:04:05.678'"),
    "years": ("year", "2026"),
    "mood": ("enum('sad','ok')", "'sad'"),
    "moods": ("set('a','b')", "'a,b'"),
    "doc": ("json", "'{\"a\":  1.10}'"),
    "place": ("point", "ST_GeomFromText('POINT(0.1 2)')"),
    "ident": ("uuid", f"'{_ID}'"),
    "net6": ("inet6", "'2001:db8::1'"),
}
MAKE_TYPED = (
    "CREATE TABLE typed (" + ", ".join(f"`{n}` {kind}" for n, (kind, _) in TYPED.items()) + "); "
    "SET time_zone = '+00:00', sql_mode = ''; INSERT INTO typed VALUES ("
    + ", ".join(value for _, value in TYPED.values())
    + ")"
)

_ARRIVES: dict[str, tuple[str, object]] = {
    "flag": ("bool", True),
    "tiny": ("int8", -128),
    "utiny": ("uint8", 255),
    "small": ("int16", -32768),
    "usmall": ("uint16", 65535),
    "medium": ("int32", -8388608),
    "umedium": ("uint32", 16777215),
    "whole": ("int32", -(2**31)),
    "uwhole": ("uint32", 2**32 - 1),
    "filled": ("uint32", 7),
    "big": ("int64", -(2**63)),
    "ubig": ("uint64", 2**64 - 1),
    "fixed": ("decimal128(10, 2)", Decimal("1.50")),
    "ufixed": ("decimal128(10, 2)", Decimal("1.50")),
    "widest": ("decimal128(38, 0)", Decimal("9" * 38)),
    "toowide": ("string", "1.50"),
    "reall": ("double", 0.10000000149011612),
    "doubl": ("double", 0.30000000000000004),
    "txt": ("string", "é😀\"'\\"),
    "latin": ("string", "é"),
    "padded": ("string", "x"),
    "bytes": ("binary", b"\x00\xff\\"),
    "fixbytes": ("binary", b"\x00\xff\x00"),
    "blobs": ("binary", b"\x00\xff"),
    "bit1": ("bool", True),
    "bit9": ("string", "101"),
    "day": ("date32[day]", dt.date(2026, 1, 2)),
    "clock": ("time64[us]", dt.time(10, 0, 0, 1)),
    "local": ("timestamp[us]", dt.datetime(2026, 1, 2, 3, 4, 5, 6)),
    "plainlocal": ("timestamp[us]", dt.datetime(2026, 1, 2, 3, 4, 5)),
    "moment": ("timestamp[us, tz=UTC]", dt.datetime(2026, 1, 2, 2, 4, 5, 678000, tzinfo=_UTC)),
    "years": ("int16", 2026),
    "mood": ("string", "sad"),
    "moods": ("string", "a,b"),
    "doc": ("string", '{"a":  1.10}'),
    "place": ("binary", struct.pack("<bIdd", 1, 1, 0.1, 2.0)),
    "ident": ("string", _ID),
    "net6": ("string", "2001:db8::1"),
}
_UNFIT = {
    "seven": "bool",
    "zeroday": "date32[day]",
    "halfday": "date32[day]",
    "longclock": "time64[us]",
    "before": "time64[us]",
    "zerolocal": "timestamp[us]",
}

FROM_TYPED = " FROM typed"
MYSQL_TYPES = {
    **{n: TypeCase(f"`{n}`", kind, value) for n, (kind, value) in _ARRIVES.items()},
    **{n: TypeCase(f"`{n}`", kind, unfit=True) for n, kind in _UNFIT.items()},
    "number": TypeCase("5", "int32", 5),
    "sum": TypeCase("(SELECT sum(whole) FROM typed)", "decimal128(32, 0)", Decimal(-(2**31))),
    "count": TypeCase("(SELECT count(*) FROM typed)", "int64", 1),
    "said": TypeCase("'a b'", "string", "a b"),
    "joined": TypeCase("concat('a', 5)", "string", "a5"),
    "digest": TypeCase("unhex(sha2('a', 256))", "binary", bytes.fromhex(
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )),
    "nothing": TypeCase("NULL", "string"),
}  # fmt: skip
