"""Pages that are read from the program: no code and no table is without its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mayfly.cli.error_codes import PACKAGE, sites, troubleshooting_page
from mayfly.cli.measured import measured_page
from mayfly.cli.stored import stored_page
from mayfly.domain.retention import REGISTRY
from mayfly.domain.telemetry import ATTRIBUTES, METRICS, SPANS

DOCS = Path(__file__).parents[3] / "docs/reference"
PASSED_ON = re.compile(r"(\w+\.)*code|\w+\[[\w.\[\]]+\](\.code)?|name|vendor|_ours\(code\)")
"""How a code that was made elsewhere is handed on."""


def test_the_page_of_codes_is_what_the_code_gives() -> None:
    """Regenerate it with `python -m mayfly.cli.reference docs/reference`."""
    assert (DOCS / "troubleshooting.md").read_text(encoding="utf-8") == troubleshooting_page()


def test_every_code_has_a_line_that_says_what_to_do() -> None:
    """Each with a cell for what was found and one for what to do, neither empty."""
    text = troubleshooting_page()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:3] == "| `"]
    whole = {cells[0].strip().strip("`"): cells for cells in rows if len(cells) == 4}
    assert {site.code for site in sites()[0]} <= set(whole)
    assert [code for code, cells in whole.items() if not all(c.strip() for c in cells)] == []


def test_a_code_stands_where_it_is_made() -> None:
    """What is no text there only hands on a code: none is put together unseen."""
    assert [text for text in sites()[1] if not PASSED_ON.fullmatch(text)] == []


@pytest.mark.parametrize("path", ["adapters/egress.py", "services/pausing.py", "api/examine.py"])
def test_codes_of_errors_and_findings_are_seen(path: str) -> None:
    """A code that a plain search finds in a file is on the page."""
    text = (PACKAGE / path).read_text(encoding="utf-8")
    made = re.findall(r'(?:Error|finding)\(\s*"([a-z_]+)"', text)
    assert made
    assert set(made) <= {site.code for site in sites()[0]}


def test_the_page_of_what_is_stored_is_what_the_registry_says() -> None:
    """Every entry, in the form that is checked in."""
    text = stored_page()
    assert (DOCS / "what-we-store.md").read_text(encoding="utf-8") == text
    missing = [
        e.name for e in REGISTRY if f"| `{e.name}` | `{e.cls.value}` | {e.holds} |" not in text
    ]
    assert missing == []


def test_the_page_of_metrics_is_what_the_list_says() -> None:
    """Every metric, span and attribute, in the form that is checked in."""
    text = measured_page()
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == text
    listed = {m.prometheus for m in METRICS.values()} | {*SPANS, *ATTRIBUTES}
    assert [name for name in listed if f"| `{name}` |" not in text] == []
