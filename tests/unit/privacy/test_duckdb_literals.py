"""Texts in DuckDB's SQL: ASCII only, and read as what they are."""

from __future__ import annotations

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from mayfly.privacy.rules.emitters.duckdb import DuckdbEmitter


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        st.sampled_from(["éA1", "é'\\x41", "ß\\", "😀\n", "'é'", "\\é"]),
    )
)
def test_a_text_is_written_in_ascii_and_read_as_it_was(text: str) -> None:
    """Quotes, backslashes and what follows an escape included."""
    written = DuckdbEmitter().literal(text) if text else "''"
    assert written.isascii()
    assert duckdb.sql(f"SELECT {written}").fetchall() == [(text,)]
