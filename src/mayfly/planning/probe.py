"""Whether a server computes what plans rest on as Mayfly does: hashes, lengths, casts. Pure."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect

_TEXT = "Zo; O'Connor 1"
_OTHER = "x\\n"
_WIDE = "Zoë"
_TIMES = ("timestamp", "date", "decimal")


def planner_probe(sql: SqlDialect) -> tuple[str, dict[str, str]]:
    """A query of one row, and the text each of its columns must have.

    Columns are named for what they show, so that a difference can be told.
    """
    text, other, wide = (sql.literal(t) for t in (_TEXT, _OTHER, _WIDE))
    raw, raw_other = _TEXT.encode(), _OTHER.encode()
    joined = f"{_TEXT}{_OTHER}{len(raw)};n;{len(raw_other)}".encode()
    nothing = sql.cast("NULL", sql.text)
    checks = {
        "length": (sql.octets(text), str(len(raw))),
        "md5": (sql.hex(sql.md5(text)), _md5(raw)),
        # A server that does not know its own encoding counts bytes.
        "characters": (sql.characters(wide), str(len(_WIDE))),
        "sha256": (sql.hex(sql.sha256(wide)), hashlib.sha256(_WIDE.encode()).hexdigest()),
        "utf8": (sql.hex(sql.utf8(wide)), _WIDE.encode().hex()),
        "fingerprint": (sql.hex(sql.fingerprint([text, nothing, other])), _md5(joined)),
        "timestamp": (
            sql.render("TIMESTAMP '2026-03-29 01:30:00.123456'", pa.timestamp("us")),
            "1774747800123456",
        ),
        "date": (sql.render("DATE '2026-03-29'", pa.date32()), "2026-03-29"),
        "decimal": (sql.render("CAST(-12.5 AS DECIMAL(6, 2))", pa.decimal128(6, 2)), "-12.50"),
        "integer": (sql.render(sql.cast("-7", sql.bigint), pa.int64()), "-7"),
        "boolean": (sql.render("(1 = 1)", pa.bool_()), "true"),
        "division": (sql.div("7", 2), "3"),
        "pattern": (
            f"CASE WHEN {sql.matches(text, '[A-Za-z]{2}')} THEN 'part' "
            f"WHEN {sql.matches(sql.as_text(sql.literal('Zo')), '[A-Za-z]{2}')} THEN 'whole' END",
            "whole",
        ),
        "comparison": (
            f"CASE WHEN {sql.as_text(sql.literal('I'))} = 'i' THEN 'same' ELSE 'apart' END",
            "apart",
        ),
    }
    if not sql.has_times:
        checks = {name: check for name, check in checks.items() if name not in _TIMES}
    columns = ", ".join(
        f"{sql.cast(c, sql.text)} AS {sql.quote(n)}" for n, (c, _) in checks.items()
    )
    return f"SELECT {columns}", {n: want for n, (_, want) in checks.items()}


def differences(found: pa.Table, wanted: dict[str, str]) -> list[str]:
    """Names of the columns whose text is another one."""
    row = found.to_pylist()[0] if found.num_rows == 1 else {}
    return [name for name, want in wanted.items() if row.get(name) != want]


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
