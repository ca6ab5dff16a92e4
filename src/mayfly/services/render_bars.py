"""Bars of a table's columns as SVG within a page, which the table beside them says in numbers."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from mayfly.services.report_document import Table

_ROWS_MAX = 30
_LABEL, _PLOT, _VALUE, _BAR, _GAP, _LINE = 200, 380, 110, 14, 4, 12
_LABEL_SIGNS = 32


def bars(table: Table, id_: str) -> ET.Element | None:
    """A figure with one group of bars for each row; None where nothing is to be drawn.

    Args:
        table: with the names of the columns that are drawn.
        id_: unique in the page.
    """
    series = [n for n, column in enumerate(table.columns) if column.id in table.charted]
    rows = table.rows
    values = [value for row in rows for n in series if isinstance(value := row[n], int)]
    if not values or len(rows) > _ROWS_MAX:
        return None
    most = max(values)
    group = len(series) * (_BAR + _GAP) + _LINE
    legend = 24 if len(series) > 1 else 0
    width, height = _LABEL + _PLOT + _VALUE, legend + len(rows) * group
    figure = ET.Element("figure")
    svg = ET.SubElement(
        figure,
        "svg",
        {
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-labelledby": f"{id_}-title",
            "class": "bars",
        },
    )
    title = ET.SubElement(svg, "title", {"id": f"{id_}-title"})
    title.text = printable(f"{table.title}, as bars; the table below has the numbers")
    if legend:
        _legend(svg, [table.columns[n].label for n in series])
    for number, row in enumerate(rows):
        top = legend + number * group
        _text(svg, _LABEL - 8, top + _middle(len(series)), _short(str(row[0])), "end")
        for place, column in enumerate(series):
            _bar(svg, top + place * (_BAR + _GAP), row[column], most, place)
    return figure


def printable(text: str) -> str:
    """Without signs that no page may hold, and those that turn the direction of text."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _bar(svg: ET.Element, top: int, value: object, most: int, series: int) -> None:
    if not isinstance(value, int):
        _text(svg, _LABEL + 4, top + 11, "unknown", "start")
        return
    length = round(_PLOT * value / most) if most else 0
    place = {"x": str(_LABEL), "y": str(top), "height": str(_BAR)}
    ET.SubElement(
        svg, "rect", place | {"width": str(max(length, 1)), "class": f"bar series{series}"}
    )
    _text(svg, _LABEL + max(length, 1) + 6, top + 11, f"{value:,}", "start")


def _legend(svg: ET.Element, labels: list[str]) -> None:
    left = _LABEL
    for number, label in enumerate(labels):
        box = {"x": str(left), "y": "2", "width": "12", "height": "12"}
        ET.SubElement(svg, "rect", box | {"class": f"bar series{number}"})
        _text(svg, left + 18, 12, label, "start")
        left += 34 + 7 * len(label)


def _text(svg: ET.Element, x: int, y: int, text: str, anchor: str) -> None:
    place = {"x": str(x), "y": str(y), "text-anchor": anchor}
    ET.SubElement(svg, "text", place).text = printable(text)


def _middle(series: int) -> int:
    return (series * (_BAR + _GAP) - _GAP) // 2 + 4


def _short(text: str) -> str:
    return text if len(text) <= _LABEL_SIGNS else f"{text[: _LABEL_SIGNS - 1]}\u2026"
