"""Checkpoints: the signed head of a ledger, as a C2SP tlog-checkpoint signed note.

The note's text is the origin, the number of entries and the base64 root, one a line, and from the
first suppression on the head of that list; after an
empty line follow signature lines. We sign with Ed25519. Signatures by other keys, such as a
witness's, may stand beside ours and are passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mayfly.domain.errors import IntegrityError

VERSION = 1
ORIGIN_PREFIX = f"mayfly/ledger/{VERSION}/"
_ED25519 = b"\x01"
_ORIGIN = re.compile(r"[A-Za-z0-9_.:/=-]{1,128}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_TEXT_CHARACTERS_MAX = 16_384
_SUPPRESSION = "suppression "


@dataclass(frozen=True, kw_only=True)
class ListHead:
    """What a suppression list is told by, and nobody on it.

    Args:
        count: of its digests, each once.
        root: Merkle root over them in their order as bytes, 32 bytes.
    """

    count: int
    root: bytes

    def to_line(self) -> str:
        """As a checkpoint states it, without the line's end."""
        return f"{_SUPPRESSION}{self.count} {base64.b64encode(self.root).decode()}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The head of a tree.

    Args:
        origin: which ledger this is.
        size: number of entries.
        root: Merkle root over them, 32 bytes.
        suppression: head of the suppression list then; None before there was any.
    """

    origin: str
    size: int
    root: bytes
    suppression: ListHead | None = None


@dataclass(frozen=True, kw_only=True)
class VerifierKey:
    """The public half of a ledger's signing key, with the ledger's origin as its name."""

    origin: str
    public_key: Ed25519PublicKey = field(repr=False)

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names its key."""
        named = self.origin.encode() + b"\n" + _ED25519 + _raw(self.public_key)
        return hashlib.sha256(named).digest()[:4]

    def to_line(self) -> str:
        """The key as `key.pub` holds it, without the line's end: `origin+id+base64`."""
        body = base64.b64encode(_ED25519 + _raw(self.public_key)).decode()
        return f"{self.origin}+{self.key_id.hex()}+{body}"


@dataclass(frozen=True, kw_only=True)
class Signer:
    """What signs a ledger's checkpoints. Never prints its key."""

    origin: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, *, workspace: str, seed: bytes) -> Signer:
        """The signer of a workspace's ledger, from 32 bytes of the keyring.

        Raises:
            ValueError: the seed is not 32 bytes, or the workspace's id cannot stand in an origin.
        """
        origin = ORIGIN_PREFIX + workspace
        _check_origin(origin)
        return cls(origin=origin, private_key=Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def verifier_key(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(origin=self.origin, public_key=self.private_key.public_key())

    def checkpoint(self, size: int, root: bytes, suppression: ListHead | None = None) -> str:
        """A signed checkpoint of this ledger."""
        return make_checkpoint(self.origin, size, root, self.private_key, suppression=suppression)


def make_checkpoint(
    origin: str,
    size: int,
    root: bytes,
    private_key: Ed25519PrivateKey,
    *,
    suppression: ListHead | None = None,
) -> str:
    """The signed note over one head, its last line ended.

    Raises:
        ValueError: the origin holds other characters than an origin may, the size is negative
            or the root is not 32 bytes.
    """
    _check_origin(origin)
    if size < 0 or len(root) != 32:
        raise ValueError("a checkpoint needs a size of 0 or more and a root of 32 bytes")
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    if suppression is not None:
        text += f"{suppression.to_line()}\n"
    key = VerifierKey(origin=origin, public_key=private_key.public_key())
    signature = base64.b64encode(key.key_id + private_key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {origin} {signature}\n"


def parse_checkpoint(note: str) -> Checkpoint:
    """The head a note states, **its signature unchecked**.

    Raises:
        IntegrityError: `checkpoint_malformed`.
    """
    return _parse(note)[0]


def verify_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """The head a note states, once the key's signature over it is found good.

    Raises:
        IntegrityError: `checkpoint_malformed`, or `checkpoint_unsigned` where the note is of
            another ledger, holds no signature by the key, or a wrong one.
    """
    head, text, signatures = _parse(note)
    ours = [s for name, s in signatures if name == key.origin and s[:4] == key.key_id]
    if head.origin != key.origin or not ours:
        raise _unsigned()
    for signature in ours:
        try:
            key.public_key.verify(signature[4:], text.encode())
        except InvalidSignature:
            raise _unsigned() from None
    return head


def parse_verifier_key(line: str) -> VerifierKey:
    """The key that `VerifierKey.to_line` wrote; an ended line is accepted.

    Raises:
        IntegrityError: `key_malformed`.
    """
    try:
        origin, key_id, body = line.strip().split("+", 2)
        _check_origin(origin)
        raw = base64.b64decode(body, validate=True)
        if raw[:1] != _ED25519:
            raise ValueError("not an Ed25519 key")
        key = VerifierKey(origin=origin, public_key=Ed25519PublicKey.from_public_bytes(raw[1:]))
        if key.key_id.hex() != key_id:
            raise ValueError("the key's id does not match")
    except ValueError:
        raise IntegrityError(
            "key_malformed", "The public key is not a line of origin+id+base64 for Ed25519."
        ) from None
    return key


def _parse(note: str) -> tuple[Checkpoint, str, list[tuple[str, bytes]]]:
    """The head, the signed text, and the signatures as (name, key id and signature)."""
    text, separator, tail = note.partition("\n\n")
    lines = text.split("\n")
    if len(note) > _TEXT_CHARACTERS_MAX or not separator or len(lines) < 3:
        raise _malformed()
    origin, size, root_text = lines[:3]
    if not (_ORIGIN.fullmatch(origin) and _SIZE.fullmatch(size) and tail.endswith("\n")):
        raise _malformed()
    root = _decode(root_text)
    if len(root) != 32:
        raise _malformed()
    signatures = [_signature(line) for line in tail[:-1].split("\n")]
    listed = [_list_head(line) for line in lines[3:] if line.startswith(_SUPPRESSION)]
    if len(listed) > 1:
        raise _malformed()
    head = Checkpoint(
        origin=origin, size=int(size), root=root, suppression=listed[0] if listed else None
    )
    return head, text + "\n", signatures


def _list_head(line: str) -> ListHead:
    count, _, root = line.removeprefix(_SUPPRESSION).partition(" ")
    if not _SIZE.fullmatch(count) or len(decoded := _decode(root)) != 32:
        raise _malformed()
    return ListHead(count=int(count), root=decoded)


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not parts[1]:
        raise _malformed()
    return parts[1], _decode(parts[2])


def _decode(text: str) -> bytes:
    """Base64, in the one form that encodes these bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if base64.b64encode(data).decode() != text:
        raise _malformed()
    return data


def _check_origin(origin: str) -> None:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("an origin is 1 to 128 characters of A-Z a-z 0-9 _ . : / = -")


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _malformed() -> IntegrityError:
    return IntegrityError("checkpoint_malformed", "The checkpoint is not a signed note of a head.")


def _unsigned() -> IntegrityError:
    return IntegrityError("checkpoint_unsigned", "The checkpoint is not signed by this key.")
