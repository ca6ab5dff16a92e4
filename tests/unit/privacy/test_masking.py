"""What a person may see of a value."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.privacy.masking import masked, masked_digest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann.lee@example.com", "an… (16-31)"),
        ("69001", "69… (4-7)"),
        ("Lyon", "… (4-7)"),
        ("M", "… (1-3)"),
        ("", "… (empty)"),
        ("x" * 40, "xx… (32+)"),
        ("\x1b[31mred", "·[… (8-15)"),
    ],
)
def test_a_beginning_and_a_size(text: str, shown: str) -> None:
    """Of short values no beginning, and nothing that a terminal would obey."""
    assert masked(text, len(text)) == shown


def test_nothing_is_a_dash() -> None:
    """Neither value nor digest."""
    assert masked(None, None) == masked_digest(None) == "–"


@given(st.text(min_size=1, max_size=80))
def test_most_of_a_value_stays_hidden(text: str) -> None:
    """Two characters at most, and of none their number."""
    begin, _, _ = masked(text, len(text)).partition("…")
    assert len(begin) <= 2
    assert len(begin) * 2 < len(text)


def test_a_digest_is_told_by_eight_digits() -> None:
    """Enough to compare, too few to look it up as an identifier."""
    digest = hashlib.sha256(b"x").digest()
    assert masked_digest(digest) == digest.hex()[:8] + "…"
