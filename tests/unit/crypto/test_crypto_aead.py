"""Sealing: what was sealed opens under its own key and context only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.crypto.aead import associated_data, new_key, seal, unseal
from mayfly.domain.errors import IntegrityError

KEY = bytes(range(32))
AAD = associated_data("test", "one")


@given(plaintext=st.binary(max_size=300), aad=st.binary(min_size=1, max_size=50))
def test_sealed_bytes_come_back(plaintext: bytes, aad: bytes) -> None:
    """Any plaintext opens again under the same key and context."""
    assert unseal(KEY, seal(KEY, plaintext, aad), aad) == plaintext


@given(position=st.integers(0, 12 + 5 + 16 - 1), bit=st.integers(0, 7))
def test_one_bit_changed_is_found(position: int, bit: int) -> None:
    """Nonce, ciphertext and tag are all covered."""
    sealed = bytearray(seal(KEY, b"hello", AAD))
    sealed[position] ^= 1 << bit
    with pytest.raises(IntegrityError, match="unseal_failed"):
        unseal(KEY, bytes(sealed), AAD)


@pytest.mark.parametrize(
    "sealed", [b"", b"x" * 27, seal(KEY, b"hello", AAD)[:-1]], ids=["none", "short", "cut"]
)
def test_short_bytes_are_refused(sealed: bytes) -> None:
    """Truncated bytes fail as altered ones do."""
    with pytest.raises(IntegrityError, match="unseal_failed"):
        unseal(KEY, sealed, AAD)


def test_another_key_or_context_opens_nothing() -> None:
    """Key and associated data must both be those of the sealing."""
    sealed = seal(KEY, b"hello", AAD)
    for key, aad in ((bytes(32), AAD), (KEY, associated_data("test", "two"))):
        with pytest.raises(IntegrityError, match="unseal_failed"):
            unseal(key, sealed, aad)


def test_key_and_context_are_required() -> None:
    """A short key or an empty context is a mistake of the caller, not a way to seal."""
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"short", b"hello", AAD)
    with pytest.raises(ValueError, match="associated data"):
        seal(KEY, b"hello", b"")
    with pytest.raises(ValueError, match="associated data"):
        unseal(KEY, b"hello", b"")


def test_sealing_twice_differs() -> None:
    """Every sealing takes a fresh nonce, every key is fresh."""
    assert seal(KEY, b"hello", AAD) != seal(KEY, b"hello", AAD)
    assert new_key() != new_key()
    assert len(new_key()) == 32


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_contexts_are_unambiguous(first: list[str], second: list[str]) -> None:
    """Two lists of parts give the same bytes only where they are the same list."""
    assert (associated_data(*first) == associated_data(*second)) == (first == second)
