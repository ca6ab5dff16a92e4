"""What reports are made of, and how they are written: escaped, closed, the same in each form."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest

from mayfly.services.render_csv import report_csv
from mayfly.services.render_html import report_html, shown
from mayfly.services.report_document import (
    Column,
    Evidence,
    Figure,
    Report,
    Section,
    Table,
    content_digest,
    unknown,
)

EVIL = "<script>alert(1)</script>\" onload='x' &amp; \u202eevil"
AT = Evidence(source="store", where=EVIL, command=EVIL)
TABLE = Table(
    id="rows",
    title=EVIL,
    columns=(Column(id="name", label=EVIL), Column(id="count", label="Count")),
    rows=[(EVIL, 3), ("=cmd()", None)],
    evidence=AT,
    charted=("count",),
)
SECTION = Section(
    id="one",
    title=EVIL,
    figures=[
        Figure(id="f", label=EVIL, value=EVIL, evidence=AT, note=EVIL),
        unknown("gone", "What is gone", "no evidence"),
    ],
    tables=[TABLE],
    notes=[EVIL],
)
REPORT = Report(
    kind="security",
    title=EVIL,
    subtitle=EVIL,
    schema="s/1",
    content={"a": EVIL, "sections": [SECTION.to_dict(1)]},
    sections=[SECTION],
)


class Page(HTMLParser):
    """Tags and attributes of a page, and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def read(html: str) -> Page:
    """What a browser would see."""
    page = Page()
    page.feed(html)
    return page


def test_names_cannot_become_markup() -> None:
    """A name with a script is text wherever it stands, and turns no direction."""
    html = report_html(REPORT)
    page = read(html)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert sum("<script>alert(1)</script>" in text for text in page.texts) >= 8
    assert "\u202e" not in html


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    """Nothing from elsewhere, no inline style; the policy lets the one style sheet in alone."""
    page = read(report_html(REPORT))
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "srcset", "style", "action", "background", "data"}
    assert {v for n, v in page.attributes if n == "href"} == {"#one"}
    policy = next(v for n, v in page.attributes if n == "content" and "default-src" in str(v))
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; "
        "form-action 'none'",
        str(policy),
    )
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(page.tags)


def test_each_chart_has_its_table() -> None:
    """Bars are drawn of a table that stands below them, and say what they are of."""
    html = report_html(REPORT)
    assert html.count("<svg") == html.count('role="img"') == 1
    assert html.index("<svg") < html.index("Count</th>")
    assert "unknown</text>" in html


def test_what_is_unknown_is_no_zero() -> None:
    """A figure without evidence has no value in any form, and cannot be given one."""
    lines = list(csv.DictReader(io.StringIO(report_csv(REPORT))))
    gone = [line for line in lines if line["name"] == "gone"]
    assert [(line["state"], line["value"]) for line in gone] == [("unknown", "")]
    assert SECTION.figures[1].to_dict()["value"] is None
    assert shown(None, "") == "unknown"
    with pytest.raises(ValueError, match="value"):
        Figure(id="x", label="x", state="unknown", value=0, evidence=AT)
    with pytest.raises(ValueError, match="value"):
        Figure(id="x", label="x", evidence=AT)


def test_every_form_says_the_same() -> None:
    """The digest of what the report says stands in each."""
    digest = content_digest(REPORT.content)
    assert f'name="mayfly-content-sha256" content="{digest}"' in report_html(REPORT)
    assert digest in report_csv(REPORT).splitlines()[1]
    document = json.loads(json.dumps(REPORT.to_dict()))
    assert document["content_sha256"] == content_digest(document["content"])


def test_no_cell_is_a_formula() -> None:
    """A spreadsheet takes no text of a report for a formula."""
    rows = list(csv.reader(io.StringIO(report_csv(REPORT))))
    assert [cell for row in rows for cell in row if "cmd" in cell] == ["'=cmd()"]
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234, "", "1,234"),
        (999, "ms", "999 ms"),
        (7_200_000, "ms", "2 h"),
        (2_592_000_000, "ms", "30 d"),
        (12, "bytes", "12 bytes"),
        (1_500_000, "bytes", "1.5 MB"),
        ("2026-03-01T12:30:00+00:00", "time", "2026-03-01 12:30 UTC"),
    ],
)
def test_values_are_shown_for_people(value: int | str, unit: str, text: str) -> None:
    """Times, sizes and lengths in the unit that fits."""
    assert shown(value, unit) == text  # type: ignore[arg-type]
