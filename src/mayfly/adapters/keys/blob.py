"""How a data key wrapped by a service is written: which version wrapped it, and two checks.

    0x02 | checksum 8 | provider 1+n | version 2+n | tag 16 | what the service returned

The checksum (SHA-256) tells damage from a version that is gone. The tag is an HMAC, under the
data key itself, of everything else and of the associated data: services bind the associated data
in ways of their own, none binds the version's name, and some accept more than one spelling of a
ciphertext.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from mayfly.adapters.keys.refusals import unwrap_failed
from mayfly.crypto.aead import associated_data

_FORMAT = b"\x02"
_CHECK_BYTES = 8
_TAG_BYTES = 16
_BYTES_MAX = 65_536


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """A blob in its parts."""

    provider: str
    version: str
    tag: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """The blob."""
        provider, version = self.provider.encode(), self.version.encode()
        rest = len(provider).to_bytes(1, "big") + provider
        rest += len(version).to_bytes(2, "big") + version + self.tag + self.ciphertext
        return _FORMAT + _checksum(rest) + rest


def read_blob(blob: bytes) -> WrappedKey:
    """The parts of a blob.

    Raises:
        IntegrityError: `unwrap_failed`, it is damaged or no blob.
    """
    head = len(_FORMAT) + _CHECK_BYTES
    rest = blob[head:]
    sound = blob[:1] == _FORMAT and len(blob) <= _BYTES_MAX
    if not sound or not hmac.compare_digest(blob[1:head], _checksum(rest)):
        raise unwrap_failed("was altered, or is none of this provider")
    provider, rest = _part(rest, 1)
    version, rest = _part(rest, 2)
    if len(rest) <= _TAG_BYTES:
        raise unwrap_failed("is cut off")
    return WrappedKey(
        provider=provider, version=version, tag=rest[:_TAG_BYTES], ciphertext=rest[_TAG_BYTES:]
    )


def tag_of(dek: bytes, *, provider: str, version: str, ciphertext: bytes, aad: bytes) -> bytes:
    """What binds the parts of a blob together, 16 bytes."""
    parts = associated_data("mayfly/wrapped-key/2", provider, version)
    text = parts + len(aad).to_bytes(8, "big") + aad + ciphertext
    return hmac.digest(dek, text, "sha256")[:_TAG_BYTES]


def _checksum(rest: bytes) -> bytes:
    return hashlib.sha256(b"mayfly/wrapped-key/2\x00" + rest).digest()[:_CHECK_BYTES]


def _part(rest: bytes, width: int) -> tuple[str, bytes]:
    end = width + int.from_bytes(rest[:width], "big")
    try:
        return rest[width:end].decode(), rest[end:]
    except UnicodeDecodeError:
        raise unwrap_failed("is no blob of this provider") from None
