"""What is no plain YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, add, check, swap

FAULTS: Faults = {
    "duplicate YAML key": (
        add("version: 1\n"),
        35,
        1,
        "duplicate_key",
        "first in line 1",
    ),
    "anchor": (swap("{class: email}", "&a {class: email}"), 15, 14, "anchor", "Write the value"),
    "tag": (swap("{class: email}", "!x {class: email}"), 15, 14, "tag", "`!`"),
    "merge key": (swap("{class: email}", "{<<: {class: email}}"), 15, 15, "merge_key", "keys out"),
    "directive": (lambda text: "%YAML 1.1\n---\n" + text, 1, 1, "directive", "%"),
    "tab": (swap("  shop: {type", "\tshop: {type"), 7, 1, "tab", "Use spaces."),
    "control character": (swap("VIP", "V\x07P"), 31, 16, "control_character", ""),
    "escaped control character": (
        swap("audience: VIP customers", 'audience: "a\\0b"'),
        31,
        15,
        "control_character",
        "",
    ),
    "number as a key": (swap("EMAIL: email", "1: email"), 33, 15, "bad_key", "Quote"),
    "second colon": (swap("mode: audience", "mode: a: b"), 30, 12, "yaml", "Quote the text."),
    "second document": (add("---\nversion: 1\n"), 35, 1, "yaml", "one document"),
    "a list": (lambda text: "- 1\n", 1, 1, "wrong_type", "key: …"),
    "too deep": (lambda text: "a: " + "[" * 40 + "]" * 40, 1, 33, "too_deep", "30 levels"),
    "line too long": (swap("VIP customers", "x" * 256), 31, 15, "bad_text", "255"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_where_it_stands(tmp_path: Path, fault: str) -> None:
    """With its file, line, column, code and way out."""
    check(tmp_path, FAULTS[fault])
