"""What every report is made of: sections with figures and tables, each with its evidence. Pure.

A figure is *known*, *empty* (nothing happened that it could be of) or *unknown* (what would tell it
is not there); only what is known has a value, so that no missing evidence looks like a zero.
Numbers are integers: the canonical JSON of a report is the same in every language.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["known", "empty", "unknown"]
Unit = Literal["", "ms", "bytes", "time"]
Cell = str | int | None
NOT_COVERED = 14


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Where a figure can be looked up.

    Args:
        source: what kind of record holds it; `none` where nothing does.
        where: a range of the ledger's entries, a table of the store, the fingerprint of the
            configuration; of `none` why there is none.
        command: that shows it; empty where no command does.
    """

    source: Literal["ledger", "store", "configuration", "keys", "spool", "program", "none"]
    where: str
    command: str = ""

    def to_dict(self) -> dict[str, str]:
        """As the JSON report has it."""
        return {"source": self.source, "where": self.where, "command": self.command}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that a report says, and what shows it. `value` of a time is RFC 3339 text."""

    id: str
    label: str
    evidence: Evidence
    value: Cell = None
    unit: Unit = ""
    state: State = "known"
    note: str = ""

    def __post_init__(self) -> None:
        if (self.state == "known") == (self.value is None):
            raise ValueError("a figure has a value where it is known, and none elsewhere")

    def to_dict(self) -> dict[str, Any]:
        """As the JSON report has it."""
        return {
            "id": self.id,
            "label": self.label,
            "state": self.state,
            "value": self.value,
            "unit": self.unit,
            "note": self.note,
            "evidence": self.evidence.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    id: str
    label: str
    unit: Unit = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells; a cell is None where its value is unknown.

    Args:
        id, title: of the table.
        columns: of its rows.
        rows: of cells, one for each column.
        evidence: of all of them.
        charted: columns that are drawn as bars beside the table, by the label of the first
            column; none where nothing is drawn.
        empty: what stands there where it has no row.
        state: `unknown` where what would fill it is not there.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    evidence: Evidence
    charted: tuple[str, ...] = ()
    empty: str = "none"
    state: State = "known"

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row of a table has a cell for each column")

    def to_dict(self) -> dict[str, Any]:
        """As the JSON report has it."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state if self.state == "unknown" or self.rows else "empty",
            "columns": [{"id": c.id, "label": c.label, "unit": c.unit} for c in self.columns],
            "rows": [list(row) for row in self.rows],
            "charted": list(self.charted),
            "empty": self.empty,
            "evidence": self.evidence.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a report."""

    id: str
    title: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether nothing in it has evidence."""
        states = [f.state for f in self.figures] + [t.state for t in self.tables]
        return bool(states) and all(state == "unknown" for state in states)

    def to_dict(self, number: int) -> dict[str, Any]:
        """As the JSON report has it."""
        return {
            "number": number,
            "id": self.id,
            "title": self.title,
            "state": "unknown" if self.is_unknown else "known",
            "figures": [f.to_dict() for f in self.figures],
            "tables": [t.to_dict() for t in self.tables],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole report.

    Args:
        kind: of report, as its command names it.
        title: for people.
        subtitle: whose it is, and of when.
        schema: of `content`.
        content: all that it says, as JSON: texts, integers, truth values, lists and objects.
        sections: the same for people.
        version: of what has versions: its number on the ledger.
    """

    kind: str
    title: str
    subtitle: str
    schema: str
    content: Mapping[str, Any]
    sections: Sequence[Section]
    version: int | None = None

    @property
    def content_sha256(self) -> str:
        """Of the canonical JSON of its content, in hex."""
        return content_digest(self.content)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report."""
        return {
            "schema": self.schema,
            "ok": True,
            "version": self.version,
            "content_sha256": self.content_sha256,
            "content": self.content,
        }


def content_digest(content: object) -> str:
    """SHA-256 of the canonical JSON (RFC 8785) of what holds no number but integers, in hex."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def unknown(id_: str, label: str, why: str, command: str = "") -> Figure:
    """A figure whose evidence is not there."""
    nothing = Evidence(source="none", where=why, command=command)
    return Figure(id=id_, label=label, state="unknown", evidence=nothing)
