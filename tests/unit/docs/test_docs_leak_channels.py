"""The page of leak channels names each channel, and only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/leak-channels.md"
CHANNELS = (
    *("Logs", "Tracebacks", "Error texts", "Vendor bodies", "Metrics", "Core dumps"),
    *("Temporary files", "Spill", "WAL", "Free pages", "Shell history", "Arguments"),
    *("Environment", "Terminals", "Swap, core pattern, temporary folder"),
)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> dict[str, list[str]]:
    """The other cells of each channel's row."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines[2:]]
    return {first: rest for first, *rest in cells}


def functions(path: Path) -> set[str]:
    """Names of the tests in a file, those of classes included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_each_channel_has_its_row() -> None:
    """No more and no fewer, each with a setting and a test."""
    found = rows()
    assert set(found) == set(CHANNELS)
    assert [name for name, (setting, tests) in found.items() if not setting or not tests] == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_tests_that_are_named_exist(channel: str) -> None:
    """Each by file and name."""
    named = TEST.findall(rows()[channel][-1])
    assert named
    assert rows()[channel][-1].count("::") == len(named)
    for file, test in named:
        assert test in functions(ROOT / file), f"{file}::{test}"
