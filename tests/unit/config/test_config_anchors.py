"""Where checkpoints may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, add, check

FAULTS: Faults = {
    "relative folder": (
        add("anchors: {a: {type: folder, path: audit}}\n"),
        35,
        35,
        "relative_path",
        "absolute",
    ),
    "unknown source": (
        add("anchors: {a: {type: source, source: shp}}\n"),
        35,
        37,
        "unknown_source",
        "Did you mean shop?",
    ),
    "plain http": (
        add('anchors: {a: {type: webhook, url: "http://audit.example/x", secret: env:HOOK}}\n'),
        35,
        35,
        "bad_webhook",
        "https://HOST/PATH",
    ),
    "a query": (
        add('anchors: {a: {type: webhook, url: "https://a.example/x?t=1", secret: env:HOOK}}\n'),
        35,
        35,
        "bad_webhook",
        "https://HOST/PATH",
    ),
    "a literal secret": (
        add("anchors: {a: {type: webhook, url: 'https://a.example/x', secret: whsec_abcd}}\n"),
        35,
        66,
        "literal_secret",
        "env:NAME",
    ),
    "another type": (
        add("anchors: {a: {type: bucket, path: /x}}\n"),
        35,
        21,
        "not_allowed",
        "folder",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_in_its_place(tmp_path: Path, name: str) -> None:
    """With line, column, code and what to write."""
    check(tmp_path, FAULTS[name])
