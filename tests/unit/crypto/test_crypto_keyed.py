"""Keyed digests of columns equal HMAC-SHA256, row by row."""

from __future__ import annotations

import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.crypto.keyed import keyed_digest_one, keyed_digests

KEY = bytes(range(32))
DIGEST = pa.binary(32)
ROWS = st.lists(st.one_of(st.none(), st.binary(min_size=32, max_size=32)), max_size=20)


def expected(rows: list[bytes | None], key: bytes = KEY) -> list[bytes | None]:
    """What the standard library says, row by row."""
    return [None if row is None else hmac.new(key, row, "sha256").digest() for row in rows]


@given(rows=ROWS, key=st.binary(min_size=32, max_size=32), start=st.integers(0, 20))
def test_a_column_equals_hmac_of_each_row(rows: list[bytes | None], key: bytes, start: int) -> None:
    """Nulls stay null, and slices of a column are read from where they begin."""
    column = pa.array(rows, DIGEST).slice(start)
    result = keyed_digests(key, column)
    result.validate(full=True)
    assert result.type == DIGEST
    assert result.to_pylist() == expected(rows[start:], key)
    assert result.null_count == column.null_count


def test_chunks_are_read_as_one_column() -> None:
    """A chunked column, empty chunks included, gives one array."""
    rows: list[bytes | None] = [bytes([n]) * 32 for n in range(5)]
    chunks = [pa.array(part, DIGEST) for part in (rows[:2], [], rows[2:])]
    assert keyed_digests(KEY, pa.chunked_array(chunks)).to_pylist() == expected(rows)
    assert keyed_digests(KEY, pa.chunked_array([], DIGEST)).to_pylist() == []


def test_one_value_equals_the_column() -> None:
    """The single form and the column form agree."""
    value = b"\x07" * 32
    assert keyed_digests(KEY, pa.array([value], DIGEST))[0].as_py() == keyed_digest_one(KEY, value)
    assert keyed_digest_one(KEY, value) == expected([value])[0]


def test_other_types_and_keys_are_refused() -> None:
    """Only 32-byte keys and 32-byte digests are taken; text never is."""
    with pytest.raises(ValueError, match="key is 32"):
        keyed_digests(b"short", pa.array([], DIGEST))
    with pytest.raises(ValueError, match="key is 32"):
        keyed_digest_one(b"", bytes(32))
    with pytest.raises(ValueError, match="digest is 32"):
        keyed_digest_one(KEY, b"ann")
    for column in (pa.array(["ann"]), pa.array([b"x"]), pa.array([b"x"], pa.binary(1))):
        with pytest.raises(ValueError, match="32-byte"):
            keyed_digests(KEY, column)
