"""Whether a server computes what plans rest on as Mayfly does: hashes, lengths, casts. Pure."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from mayfly.planning.sql.dialect import SqlDialect

_TEXT = "Zo; O'Connor 1"
_OTHER = "x\\n"
_WIDE = "Zoë"
_TIMES = ("timestamp", "date", "decimal")
PROBE_ROW = "mf_probe_row"
"""A temporary table of one row: what the planner's probe is about, where an engine works constants
out elsewhere than rows."""
_ROW = {
    "pa": _TEXT,
    "pb": _OTHER,
    "pc": _WIDE,
    "pd": "2026-03-29 01:30:00.123456",
    "pe": "-12.5",
    "pf": "-7",
    "pg": "7",
    "ph": "Zo",
    "pi": "I",
    "pj": "x ",
    "pk": "2026-03-29",
}


def probe_row() -> pa.Table:
    """What `PROBE_ROW` holds."""
    return pa.table({name: pa.array([text], pa.string()) for name, text in _ROW.items()})


def planner_probe(sql: SqlDialect) -> tuple[str, dict[str, str]]:
    """A query of one row, and the text each of its columns must have.

    Columns are named for what they show, so that a difference can be told. Where the dialect
    `probes_rows`, the query is over `PROBE_ROW`.
    """
    text, other, wide, part, letter, blank = (_constant(sql, n) for n in _CONSTANT_TEXTS)
    raw = _TEXT.encode()
    joined = sql.listed([_TEXT, None, _OTHER]).encode()
    nothing = sql.cast("NULL", sql.text)
    moment, day, fraction = _times(sql)
    checks = {
        "length": (sql.octets(text), str(len(raw))),
        "md5": (sql.hex(sql.md5(text)), _md5(raw)),
        # A server that does not know its own encoding counts bytes.
        "characters": (sql.characters(wide), str(len(_WIDE))),
        "sha256": (sql.hex(sql.sha256(wide)), hashlib.sha256(_WIDE.encode()).hexdigest()),
        "utf8": (sql.hex(sql.utf8(wide)), _WIDE.encode().hex()),
        "fingerprint": (sql.hex(sql.fingerprint([text, nothing, other])), _md5(joined)),
        "timestamp": (
            sql.render(moment, pa.timestamp("us")),
            "1774747800123456",
        ),
        "date": (sql.render(day, pa.date32()), "2026-03-29"),
        "decimal": (sql.render(fraction, pa.decimal128(6, 2)), "-12.50"),
        "integer": (sql.render(sql.cast(_number(sql, "pf"), sql.bigint), pa.int64()), "-7"),
        "boolean": (sql.render("(1 = 1)", pa.bool_()), "true"),
        "division": (sql.div(_number(sql, "pg"), 2), "3"),
        "pattern": (
            f"CASE WHEN {sql.matches(text, '[A-Za-z]{2}')} THEN 'part' "
            f"WHEN {sql.matches(sql.as_text(part), '[A-Za-z]{2}')} THEN 'whole' END",
            "whole",
        ),
        "comparison": (
            f"CASE WHEN {sql.as_text(letter)} = 'i' THEN 'same' ELSE 'apart' END",
            "apart",
        ),
        "blanks": (
            f"CASE WHEN {sql.is_one_of(blank, ['x'])} THEN 'same' ELSE 'apart' END",
            "apart",
        ),
    }
    if not sql.has_times:
        checks = {name: check for name, check in checks.items() if name not in _TIMES}
    columns = ", ".join(
        f"{sql.cast(c, sql.text)} AS {sql.quote(n)}" for n, (c, _) in checks.items()
    )
    asked = f" FROM {PROBE_ROW}" if sql.probes_rows else ""
    return f"SELECT {columns}{asked}", {n: want for n, (_, want) in checks.items()}


_CONSTANT_TEXTS = ("pa", "pb", "pc", "ph", "pi", "pj")


def _constant(sql: SqlDialect, name: str) -> str:
    """A text as it stands, or as a row has it."""
    return name if sql.probes_rows else sql.literal(_ROW[name])


def _number(sql: SqlDialect, name: str) -> str:
    return sql.cast(name, sql.bigint) if sql.probes_rows else _ROW[name]


def _times(sql: SqlDialect) -> tuple[str, str, str]:
    """A time, its day, and an exact fraction."""
    if sql.probes_rows:
        kinds = (("pd", "TIMESTAMP"), ("pk", "DATE"), ("pe", "DECIMAL(6, 2)"))
        moment, day, fraction = (sql.cast(name, kind) for name, kind in kinds)
        return moment, day, fraction
    return (
        sql.moment(_ROW["pd"]),
        f"DATE '{_ROW['pk']}'",
        f"CAST({_ROW['pe']} AS DECIMAL(6, 2))",
    )


def differences(found: pa.Table, wanted: dict[str, str]) -> list[str]:
    """Names of the columns whose text is another one."""
    row = found.to_pylist()[0] if found.num_rows == 1 else {}
    return [name for name, want in wanted.items() if row.get(name) != want]


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
