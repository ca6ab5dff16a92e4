"""The sealed requests and replies of UID2 and EUID operators.

A request is a version byte (1), 12 random bytes, the ciphertext and a tag of 16 bytes; a reply the
same without the version. Both hold the time in milliseconds (8 bytes, big endian), a nonce of 8
bytes that a reply repeats, and JSON. Key is the client secret.
Source: unifiedid.com, Encrypting Requests and Decrypting Responses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mayfly.domain.errors import IntegrityError

SECRET_BYTES = 32
_VERSION = b"\x01"
_IV_BYTES = 12
_TAG_BYTES = 16
_TIME_BYTES = 8
_NONCE_BYTES = 8
_HEAD_BYTES = _TIME_BYTES + _NONCE_BYTES


@dataclass(frozen=True, kw_only=True, repr=False)
class SealedRequest:
    """Bytes that only the operator can read, and the nonce that its reply must repeat."""

    envelope: bytes
    nonce: bytes


def seal_request(secret: bytes, payload: bytes, now_ms: int) -> SealedRequest:
    """A request of that moment; an operator takes it for a minute.

    Raises:
        ValueError: the secret is not 32 bytes.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError("a client secret is 32 bytes")
    iv, nonce = os.urandom(_IV_BYTES), os.urandom(_NONCE_BYTES)
    content = b"".join([now_ms.to_bytes(_TIME_BYTES, "big"), nonce, payload])
    sealed = AESGCM(secret).encrypt(iv, content, None)
    return SealedRequest(envelope=b"".join([_VERSION, iv, sealed]), nonce=nonce)


def open_reply(secret: bytes, sealed: bytes, nonce: bytes) -> bytes:
    """The JSON of the reply to the request of that nonce.

    Raises:
        IntegrityError: `uid2_reply_altered`, it was altered, is of another secret, or is the reply
            to another request.
        ValueError: the secret is not 32 bytes.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError("a client secret is 32 bytes")
    if len(sealed) < _IV_BYTES + _HEAD_BYTES + _TAG_BYTES:
        raise _altered()
    try:
        content = AESGCM(secret).decrypt(sealed[:_IV_BYTES], sealed[_IV_BYTES:], None)
    except InvalidTag:
        raise _altered() from None
    if content[_TIME_BYTES:_HEAD_BYTES] != nonce:
        raise _altered()
    return content[_HEAD_BYTES:]


def _altered() -> IntegrityError:
    return IntegrityError(
        "uid2_reply_altered",
        "A sealed reply was altered, or is no reply to the request it came for.",
        hint="Something between this machine and the operator changes what passes: find it.",
    )
