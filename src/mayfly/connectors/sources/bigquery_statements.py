"""What a statement does, told from its first words: BigQuery has no session that may not write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["query", "temporary", "table", "rows"]

_LEAD = re.compile(r"(?:\s+|/\*.*?\*/|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$))*", re.DOTALL)
_PIECE = re.compile(
    r"'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
    r"|`(?:\\.|[^`\\])*`|/\*.*?\*/|--[^\n]*|#[^\n]*|(?P<end>;)",
    re.DOTALL,
)
_NAME = r"(?P<name>`(?:\\.|[^`\\])+`|\w+)(?P<more>\s*\.)?"
_QUERY = re.compile(r"(SELECT|WITH|FROM)\b|\(", re.IGNORECASE)
_TEMPORARY = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?" + _NAME,
    re.IGNORECASE,
)
_ROWS = re.compile(
    r"(?:INSERT\s+(?:INTO\s+)?|UPDATE\s+|DELETE\s+(?:FROM\s+)?|MERGE\s+(?:INTO\s+)?|TRUNCATE\s+"
    r"TABLE\s+)" + _NAME,
    re.IGNORECASE,
)
_DROP = re.compile(r"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?" + _NAME, re.IGNORECASE)
_IDS = re.compile(r"/\* mayfly sync=([a-z0-9_]{1,63}) run=([A-Za-z0-9_-]{1,63})")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement.

    Args:
        kind: a query; a temporary table made or dropped; a lasting one, or anything else; rows.
        name: of the one table it changes, where it has a name of one part.
    """

    kind: Kind
    name: str | None = None


def statement(sql: str) -> Statement:
    """What a statement does; several are none of the harmless kinds."""
    start = _LEAD.match(sql)
    at = start.end() if start else 0
    if _is_several(sql):
        return Statement(kind="table")
    if _QUERY.match(sql, at):
        return Statement(kind="query")
    for pattern, kind in ((_TEMPORARY, "temporary"), (_ROWS, "rows"), (_DROP, "table")):
        found = pattern.match(sql, at)
        if found is not None:
            name = None if found.group("more") else found.group("name").strip("`")
            return Statement(kind=kind, name=name)  # type: ignore[arg-type]
    return Statement(kind="table")


def _is_several(sql: str) -> bool:
    ends = [m.end() for m in _PIECE.finditer(sql) if m.group("end")]
    return any(sql[end:].strip() for end in ends)


def labels(sql: str) -> dict[str, str]:
    """Ids of a statement's own comment, as labels of its job."""
    found = _IDS.match(sql)
    if found is None:
        return {"mayfly": "statement"}
    return {"mayfly_sync": found.group(1), "mayfly_run": found.group(2).lower()}
