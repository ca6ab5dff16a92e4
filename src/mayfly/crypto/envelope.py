"""Envelopes: content sealed under a data key of its own, which a key provider wraps.

The wrapped key and the sealed content are handed back apart and must be kept apart: destroying
the wrapped key destroys the content.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mayfly.crypto.aead import new_key, seal, unseal

_KEY_CONTEXT = b"mayfly/envelope/1/key\x00"
_CONTENT_CONTEXT = b"mayfly/envelope/1/content\x00"


class Wrapper(Protocol):
    """What an envelope asks of a key provider."""

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key, sealed and bound to `aad`."""
        ...

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key again."""
        ...


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """One sealed content and its wrapped data key, to be stored in different places."""

    wrapped_key: bytes = field(repr=False)
    content: bytes = field(repr=False)


def seal_envelope(provider: Wrapper, plaintext: bytes, aad: bytes) -> Envelope:
    """Seal under a fresh data key; both halves are bound to `aad`.

    Raises:
        ValueError: `aad` is empty.
        EngineError: whatever the provider raises; nothing is sealed then.
    """
    if not aad:
        raise ValueError("associated data must say what is sealed")
    key = new_key()
    wrapped = provider.wrap(key, _KEY_CONTEXT + aad)
    return Envelope(wrapped_key=wrapped, content=seal(key, plaintext, _CONTENT_CONTEXT + aad))


def open_envelope(provider: Wrapper, envelope: Envelope, aad: bytes) -> bytes:
    """The plaintext that `seal_envelope` sealed with the same `aad`.

    Raises:
        IntegrityError: `unwrap_failed` or `unseal_failed`.
        EngineError: whatever else the provider raises.
    """
    key = provider.unwrap(envelope.wrapped_key, _KEY_CONTEXT + aad)
    return unseal(key, envelope.content, _CONTENT_CONTEXT + aad)
