"""Signatures as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig), verified.

Whatever is not exactly as the format has it is refused; nothing is guessed or passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

_MAGIC = b"SSHSIG"
_VERSION = 1
_RSA_BITS = range(2048, 16385)
_MOST_BYTES = 16 * 1024
_ARMOUR = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?"
)
_HASHES: dict[bytes, Callable[[bytes], bytes]] = {
    b"sha256": lambda data: hashlib.sha256(data).digest(),
    b"sha512": lambda data: hashlib.sha512(data).digest(),
}
_CURVES: dict[str, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm, int]] = {
    "ecdsa-sha2-nistp256": (ec.SECP256R1, hashes.SHA256(), 32),
    "ecdsa-sha2-nistp384": (ec.SECP384R1, hashes.SHA384(), 48),
    "ecdsa-sha2-nistp521": (ec.SECP521R1, hashes.SHA512(), 66),
}
_RSA: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
}
KEY_TYPES = ("ssh-ed25519", *_CURVES, "ssh-rsa")
"""Types of keys that signatures are taken of."""


class SignatureError(Exception):
    """It is no signature, or none by that key over that message."""


@dataclass(frozen=True)
class SshKey:
    """A public key, as its type and its bytes."""

    type: str
    blob: bytes

    @classmethod
    def parse(cls, text: str) -> SshKey:
        """Of a line as in `id_ed25519.pub`; its comment is left out.

        Raises:
            SignatureError: it is no such line, or of a type or size that is not taken.
        """
        words = text.split(" ", 2)
        if len(words) < 2 or words[0] not in KEY_TYPES:
            raise SignatureError
        blob = _base64(words[1])
        key = cls(words[0], blob)
        reader = _Reader(blob)
        if reader.text() != key.type:
            raise SignatureError
        key.loaded()
        return key

    def line(self) -> str:
        """Type and key, without a comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    def loaded(self) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
        """The key itself.

        Raises:
            SignatureError: it is none, or not as its type says.
        """
        try:
            key = load_ssh_public_key(self.line().encode("ascii"))
        except (ValueError, UnsupportedAlgorithm):
            raise SignatureError from None
        curve = _CURVES.get(self.type)
        fits = {
            "ssh-ed25519": isinstance(key, ed25519.Ed25519PublicKey),
            "ssh-rsa": isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS,
        }.get(
            self.type,
            isinstance(key, ec.EllipticCurvePublicKey)
            and curve is not None
            and isinstance(key.curve, curve[0]),
        )
        known = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
        if not fits or not isinstance(key, known):
            raise SignatureError
        return key


@dataclass(frozen=True)
class SshSignature:
    """A parsed signature; nothing of it was verified."""

    key: bytes
    namespace: bytes
    hash_name: bytes
    algorithm: str
    value: bytes

    @classmethod
    def parse(cls, blob: bytes) -> SshSignature:
        """Of the bytes that the armour holds.

        Raises:
            SignatureError: they are not in the format, to the last byte.
        """
        if len(blob) > _MOST_BYTES or not blob.startswith(_MAGIC):
            raise SignatureError
        reader = _Reader(blob[len(_MAGIC) :])
        if reader.number() != _VERSION:
            raise SignatureError
        key, namespace, reserved, hash_name = (reader.string() for _ in range(4))
        inner = _Reader(reader.string())
        reader.end()
        algorithm, value = inner.text(), inner.string()
        inner.end()
        if reserved or hash_name not in _HASHES:
            raise SignatureError
        return cls(key, namespace, hash_name, algorithm, value)


def unarmoured(text: str) -> bytes:
    """The bytes of a signature file.

    Raises:
        SignatureError: it is none.
    """
    found = _ARMOUR.fullmatch(text.replace("\r\n", "\n"))
    if found is None or len(text) > 2 * _MOST_BYTES:
        raise SignatureError
    return _base64(found.group(1).replace("\n", ""))


def verify(blob: bytes, message: bytes, *, key: SshKey, namespace: str) -> None:
    """Whether a signature is by that key, over that message, for that purpose.

    Args:
        blob: as `unarmoured` gives it.
        message: that was signed.
        key: that may have signed it.
        namespace: what the signature is for (`ssh-keygen -n`).

    Raises:
        SignatureError: in every other case.
    """
    found = SshSignature.parse(blob)
    if found.key != key.blob or not namespace or found.namespace != namespace.encode():
        raise SignatureError
    digest = _HASHES[found.hash_name](message)
    parts = (found.namespace, b"", found.hash_name, digest)
    signed = _MAGIC + b"".join(map(_string, parts))
    try:
        _verify(key, found, signed)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise SignatureError from None


def _verify(key: SshKey, found: SshSignature, signed: bytes) -> None:
    public = key.loaded()
    if isinstance(public, ed25519.Ed25519PublicKey):
        if found.algorithm != key.type or len(found.value) != 64:
            raise SignatureError
        public.verify(found.value, signed)
    elif isinstance(public, rsa.RSAPublicKey):
        algorithm = _RSA.get(found.algorithm)
        if algorithm is None or len(found.value) > (public.key_size + 7) // 8:
            raise SignatureError
        # OpenSSH leaves leading zeros out.
        value = found.value.rjust((public.key_size + 7) // 8, b"\x00")
        public.verify(value, signed, padding.PKCS1v15(), algorithm)
    else:
        _, algorithm, size = _CURVES[key.type]
        reader = _Reader(found.value)
        r, s = reader.positive(size), reader.positive(size)
        reader.end()
        if found.algorithm != key.type:
            raise SignatureError
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(algorithm))


class _Reader:
    """Numbers and strings as SSH writes them (RFC 4251)."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise SignatureError
        self._at += size
        return taken

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def string(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError:
            raise SignatureError from None

    def positive(self, size: int) -> int:
        """A whole number above 0 of so many bytes at most, written in the fewest."""
        data = self.string()
        number = int.from_bytes(data, "big")
        least = (number.bit_length() + 8) // 8
        if number == 0 or len(data) != least or (number.bit_length() + 7) // 8 > size:
            raise SignatureError
        return number

    def end(self) -> None:
        if self._at != len(self._data):
            raise SignatureError


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError from None
    if base64.b64encode(data).decode() != text:
        raise SignatureError
    return data
