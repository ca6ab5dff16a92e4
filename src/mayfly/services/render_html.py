"""Reports as HTML: one file, no script, nothing from elsewhere. Pure.

Every page is built as a tree of elements and written by the standard library, which escapes texts
and attributes; nothing joins markup out of strings. The one style sheet is named by its digest in
the page's content security policy, which lets nothing else in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from importlib.resources import files
from xml.etree import ElementTree as ET

from mayfly.services.render_bars import bars, printable
from mayfly.services.report_document import Cell, Column, Figure, Report, Section, Table, Unit

CONTENT_META = "mayfly-content-sha256"
UNKNOWN = "unknown"
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))
_BYTES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def report_html(report: Report) -> str:
    """A whole report as one page."""
    body = element("main")
    header = add(body, "header")
    add(header, "h1", report.title)
    version = "" if report.version is None else f", version {report.version}"
    add(header, "p", report.subtitle + version, cls="lead")
    contents = add(body, "nav", label="Contents")
    listed = add(contents, "ol")
    for section in report.sections:
        add(add(listed, "li"), "a", section.title, href=f"#{section.id}")
    for number, section in enumerate(report.sections, 1):
        body.append(_section(number, section))
    footer = add(body, "footer")
    line = add(footer, "p", "SHA-256 of what this report says: ")
    add(line, "code", report.content_sha256)
    add(footer, "p", "A signature goes with this file (.sig); mayfly verify checks both offline.")
    return page(report.title, body, {CONTENT_META: report.content_sha256})


def page(title: str, body: ET.Element, meta: dict[str, str], *, language: str = "en") -> str:
    """A page with the one style sheet, which is all that it may load."""
    css = files("mayfly.services").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    root = ET.Element("html", {"lang": language})
    head = ET.SubElement(root, "head")
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    ET.SubElement(
        head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    )
    ET.SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    for name, content in meta.items():
        ET.SubElement(head, "meta", {"name": name, "content": content})
    add(head, "title", title)
    # The one text that is not escaped: it is ours, and holds no `<`.
    ET.SubElement(head, "style").text = css
    ET.SubElement(root, "body").append(body)
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def element(tag: str, text: str = "", *, cls: str = "", label: str = "", **more: str) -> ET.Element:
    """One element; texts are escaped when it is written."""
    attributes = {"class": cls} if cls else {}
    attributes |= {"aria-label": label} if label else {}
    written = {name: printable(value) for name, value in (attributes | more).items()}
    found = ET.Element(tag, written)
    found.text = printable(text) or None
    return found


def add(
    parent: ET.Element, tag: str, text: str = "", *, cls: str = "", label: str = "", **more: str
) -> ET.Element:
    """The same, as the last child of a parent."""
    child = element(tag, text, cls=cls, label=label, **more)
    parent.append(child)
    return child


def shown(value: Cell, unit: Unit) -> str:
    """A value for people."""
    if value is None:
        return UNKNOWN
    if unit == "ms" and isinstance(value, int):
        return span(value)
    if unit == "bytes" and isinstance(value, int):
        found = next(((name, size) for name, size in _BYTES if value >= size), None)
        return f"{value / found[1]:.1f} {found[0]}" if found else f"{value} bytes"
    if unit == "time" and isinstance(value, str):
        return f"{value[:16].replace('T', ' ')} UTC"
    return f"{value:,}" if isinstance(value, int) else value


def span(milliseconds: int) -> str:
    """A length of time in the largest unit that it fills twice; from a second on in seconds."""
    for name, size in _UNITS:
        if milliseconds >= (size if name == "s" else 2 * size):
            return f"{milliseconds / size:.1f} {name}".replace(".0 ", " ")
    return f"{milliseconds} ms"


def _section(number: int, section: Section) -> ET.Element:
    found = element("section", id=section.id)
    add(found, "h2", f"{number}. {section.title}")
    if section.is_unknown:
        add(found, "p", "unknown: no evidence", cls="state")
    for note in section.notes:
        add(found, "p", note)
    if section.figures:
        found.append(_figures(section.figures))
    for table in section.tables:
        _table(found, section.id, table)
    return found


def _figures(figures: Sequence[Figure]) -> ET.Element:
    table = element("table", cls="figures")
    _head(table, ("What", "Value", "Evidence"))
    body = add(table, "tbody")
    for figure in figures:
        row = add(body, "tr", cls=figure.state)
        add(row, "th", figure.label, scope="row")
        value = add(row, "td", _figure(figure), cls="value")
        if figure.note:
            add(value, "span", f" {figure.note}", cls="note")
        _evidence(add(row, "td", cls="evidence"), figure.evidence.where, figure.evidence.command)
    return scrolling(table, "Figures")


def _figure(figure: Figure) -> str:
    if figure.state == "empty":
        return "none"
    return shown(figure.value, figure.unit)


def _evidence(cell: ET.Element, where: str, command: str) -> None:
    cell.text = printable(where)
    if command:
        cell.text = f"{cell.text}: "
        add(cell, "code", command)


def _table(parent: ET.Element, section: str, table: Table) -> None:
    add(parent, "h3", table.title)
    if table.state == "unknown":
        line = add(parent, "p", "unknown: ", cls="state")
        _evidence(line, f"unknown: {table.evidence.where}", table.evidence.command)
        return
    if not table.rows:
        add(parent, "p", f"{table.empty}.")
    else:
        drawn = bars(table, f"{section}-{table.id}")
        if drawn is not None:
            parent.append(drawn)
        parent.append(scrolling(_rows(table), table.title))
    line = add(parent, "p", cls="evidence")
    _evidence(line, f"Evidence: {table.evidence.where}", table.evidence.command)


def _rows(table: Table) -> ET.Element:
    found = element("table")
    numbers = {n for row in table.rows for n, cell in enumerate(row) if isinstance(cell, int)}
    _head(found, [c.label for c in table.columns], numbers)
    body = add(found, "tbody")
    for cells in table.rows:
        row = add(body, "tr")
        for number, (column, cell) in enumerate(zip(table.columns, cells, strict=True)):
            _cell(row, column, cell, head=number == 0)
    return found


def _cell(row: ET.Element, column: Column, cell: Cell, *, head: bool) -> None:
    classes = " ".join(
        name
        for name, holds in (("number", isinstance(cell, int)), ("unknown", cell is None))
        if holds
    )
    text = shown(cell, column.unit)
    if head:
        add(row, "th", text, cls=classes, scope="row")
    else:
        add(row, "td", text, cls=classes)


def _head(table: ET.Element, names: Sequence[str], numbers: Collection[int] = ()) -> None:
    row = add(add(table, "thead"), "tr")
    for place, name in enumerate(names):
        add(row, "th", name, cls="number" if place and place in numbers else "", scope="col")


def rows_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> ET.Element:
    """A table of texts; the first cell of each row names it."""
    found = element("table", cls="stack")
    _head(found, head)
    body = add(found, "tbody")
    for cells in rows:
        row = add(body, "tr")
        add(row, "th", cells[0], scope="row")
        for name, cell in zip(head[1:], cells[1:], strict=True):
            add(add(row, "td"), "span", cell).set("data-label", printable(name))
    return found


def scrolling(table: ET.Element, label: str) -> ET.Element:
    """A wide table scrolls on a narrow screen, by keyboard too, and not the page with it."""
    found = element("div", cls="scroll", label=label, role="region", tabindex="0")
    found.append(table)
    return found
