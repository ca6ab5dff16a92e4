"""Sealed identifiers: equal ones stay equal, and come back as they were."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.crypto.sealed_identifiers import IdentifierSealer
from mayfly.domain.errors import IntegrityError

KEY = bytes(range(32))
COLUMNS = st.lists(st.none() | st.binary(min_size=1, max_size=80))


@given(COLUMNS)
def test_what_was_sealed_comes_back(values: list[bytes | None]) -> None:
    """In its place, nulls included."""
    sealer = IdentifierSealer(KEY)
    sealed = sealer.seal(pa.array(values, pa.binary()), "EMAIL")
    assert sealer.unseal(sealed, "EMAIL").to_pylist() == values


def test_equal_ones_stay_equal_within_a_field_and_a_key() -> None:
    """Another field or another key gives another text."""
    digest = hashlib.sha256(b"ann@example.com").digest()
    twice = pa.array([digest, digest], pa.binary())
    first, second = IdentifierSealer(KEY).seal(twice, "EMAIL").to_pylist()
    assert first == second
    assert digest not in first
    assert IdentifierSealer(KEY).seal(twice, "PHONE")[0].as_py() != first
    assert IdentifierSealer(bytes(32)).seal(twice, "EMAIL")[0].as_py() != first


@pytest.mark.parametrize("fault", ["field", "key", "altered", "cut"])
def test_what_is_not_as_it_was_sealed_is_refused(fault: str) -> None:
    """And the message holds nothing of it."""
    sealed = IdentifierSealer(KEY).seal(pa.array([b"d" * 32], pa.binary()), "EMAIL")
    text = sealed[0].as_py()
    if fault == "altered":
        text = text[:-1] + bytes([text[-1] ^ 1])
    elif fault == "cut":
        text = text[:9]
    sealer = IdentifierSealer(bytes(32) if fault == "key" else KEY)
    with pytest.raises(IntegrityError, match="unseal_failed"):
        sealer.unseal(pa.array([text], pa.binary()), "PHONE" if fault == "field" else "EMAIL")


def test_it_shows_no_key() -> None:
    """Neither in logs nor in a debugger's first line."""
    assert repr(IdentifierSealer(KEY)) == "IdentifierSealer()"
