"""AES-256-GCM with associated data that must be given.

A sealed text is the nonce (12 random bytes), the ciphertext and the tag (16 bytes). Nonces are
random, so one key seals at most 2**32 texts.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mayfly.domain.errors import IntegrityError

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


def new_key() -> bytes:
    """A random key of 32 bytes."""
    return os.urandom(KEY_BYTES)


def associated_data(*parts: str) -> bytes:
    """Parts of a context as bytes, so that no two different lists of parts give the same.

    Each part is preceded by its length; shifting a letter from one part to the next changes
    the result.
    """
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """The plaintext sealed under the key and bound to `aad`.

    Raises:
        ValueError: the key is not 32 bytes, or `aad` is empty.
    """
    _check(key, aad)
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext that `seal` sealed under the same key and `aad`.

    Raises:
        IntegrityError: `unseal_failed`; it does not say which of key, text or `aad` was wrong.
        ValueError: the key is not 32 bytes, or `aad` is empty.
    """
    _check(key, aad)
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise _failed()
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
    except InvalidTag:
        raise _failed() from None


def _check(key: bytes, aad: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError("a key is 32 bytes")
    if not aad:
        raise ValueError("associated data must say what is sealed")


def _failed() -> IntegrityError:
    return IntegrityError(
        "unseal_failed", "Sealed bytes were altered, or sealed under another key or context."
    )
