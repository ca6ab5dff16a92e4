"""Reports as one long table of comma-separated values (RFC 4180). Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from mayfly.services.report_document import Cell, Report, Section, Table

COLUMNS = (
    *("section", "part", "row", "name", "state", "value", "unit", "evidence", "where", "command"),
)


def report_csv(report: Report) -> str:
    """A line for each figure, and for each cell of a table; the first line names the columns, the
    second has the digest of what the report says.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    digest = report.content_sha256
    writer.writerow(("", "report", "", "content_sha256", "known", digest, "", "", "", ""))
    for number, section in enumerate(report.sections, 1):
        for line in _section(number, section):
            writer.writerow([_plain(cell) for cell in line])
    return out.getvalue()


def _section(number: int, section: Section) -> Iterator[tuple[Cell, ...]]:
    for f in section.figures:
        e = f.evidence
        yield (number, "figures", "", f.id, f.state, f.value, f.unit, e.source, e.where, e.command)
    for table in section.tables:
        yield from _table(number, table)
    for place, note in enumerate(section.notes):
        yield (number, "notes", place, "note", "known", note, "", "", "", "")


def _table(number: int, table: Table) -> Iterator[tuple[Cell, ...]]:
    e = table.evidence
    if not table.rows:
        state = "unknown" if table.state == "unknown" else "empty"
        yield (number, table.id, "", "", state, None, "", e.source, e.where, e.command)
    for place, row in enumerate(table.rows):
        for column, cell in zip(table.columns, row, strict=True):
            state = "unknown" if cell is None else "known"
            about = (state, cell, column.unit, e.source, e.where, e.command)
            yield (number, table.id, place, column.id, *about)


def _plain(cell: Cell) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(cell, str):
        return "" if cell is None else str(cell)
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
