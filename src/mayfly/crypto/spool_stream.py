"""The byte format of a sealed batch: a header, and segments under AES-256-GCM.

`docs/specs/spool.md` is its description. A segment's nonce holds its number and whether it is the
last, so that a stream that was cut, reordered or added to does not open; its associated data
names workspace, region, sync and batch, so that it does not open under another label either.
A key seals one stream: nonces are told apart by four random bytes only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mayfly.crypto.aead import KEY_BYTES, associated_data
from mayfly.domain.errors import IntegrityError

SEGMENT_BYTES = 1 << 20
SEGMENTS_MAX = 1 << 16
VERSION = 1
_MAGIC = b"mfspool"
_PREFIX_BYTES = 4
_COUNTER_BYTES = 7
_TAG_BYTES = 16
_HEADER_BYTES = len(_MAGIC) + 2 + _PREFIX_BYTES
_EXPONENT_MIN, _EXPONENT_MAX = 4, 20


@dataclass(frozen=True, kw_only=True)
class SpoolContext:
    """What a sealed batch is bound to.

    Args:
        workspace: id of the workspace.
        region: region of the worker that may open it; empty where none is configured.
        sync: id of the sync.
        batch: id of the batch, unique among all.
    """

    workspace: str
    region: str
    sync: str
    batch: str


def seal_stream(
    key: bytes,
    chunks: Iterable[bytes],
    context: SpoolContext,
    *,
    segment_bytes: int = SEGMENT_BYTES,
) -> Iterator[bytes]:
    """The sealed form of all chunks together, piece by piece; one segment is in memory at a time.

    Args:
        key: 32 bytes, used for this stream alone.
        chunks: the content, cut in any way.
        context: what it is bound to.
        segment_bytes: a power of two from 16 to 1 MiB.

    Raises:
        ValueError: the key is not 32 bytes, `segment_bytes` is none of these, or, while it is
            read, the content has more than 65,536 segments.
    """
    exponent = max(0, segment_bytes.bit_length() - 1)
    if segment_bytes != 1 << exponent or not _EXPONENT_MIN <= exponent <= _EXPONENT_MAX:
        raise ValueError("a segment is a power of two from 16 bytes to 1 MiB")
    return _sealed(_cipher(key), chunks, _bound(context, exponent), exponent)


def open_stream(key: bytes, chunks: Iterable[bytes], context: SpoolContext) -> Iterator[bytes]:
    """The content that `seal_stream` sealed, one segment at a time.

    What was handed out is authentic, but not whole before the iterator has ended: act on nothing
    until then.

    Args:
        key: 32 bytes.
        chunks: the sealed form, cut in any way.
        context: what it was bound to.

    Raises:
        ValueError: the key is not 32 bytes.
        IntegrityError: while it is read: `spool_damaged`. It does not say what was wrong.
    """
    return _opened(_cipher(key), chunks, context)


def _sealed(cipher: AESGCM, chunks: Iterable[bytes], aad: bytes, exponent: int) -> Iterator[bytes]:
    prefix = os.urandom(_PREFIX_BYTES)
    yield _MAGIC + bytes((VERSION, exponent)) + prefix
    for number, (piece, last) in enumerate(_pieces(chunks, 1 << exponent)):
        if number >= SEGMENTS_MAX:
            raise ValueError("a sealed stream has at most 65,536 segments")
        yield cipher.encrypt(_nonce(prefix, number, last=last), piece, aad)


def _opened(cipher: AESGCM, chunks: Iterable[bytes], context: SpoolContext) -> Iterator[bytes]:
    head, rest = _split(chunks, _HEADER_BYTES)
    exponent = head[8] if len(head) == _HEADER_BYTES else 0
    if not head.startswith(_MAGIC + bytes((VERSION,))) or not (
        _EXPONENT_MIN <= exponent <= _EXPONENT_MAX
    ):
        raise _damaged()
    prefix, aad = head[-_PREFIX_BYTES:], _bound(context, exponent)
    for number, (piece, last) in enumerate(_pieces(rest, (1 << exponent) + _TAG_BYTES)):
        # A content has one form only: an empty segment stands alone.
        empty = len(piece) <= _TAG_BYTES and number > 0
        if number >= SEGMENTS_MAX or len(piece) < _TAG_BYTES or empty:
            raise _damaged()
        try:
            plain = cipher.decrypt(_nonce(prefix, number, last=last), piece, aad)
        except InvalidTag:
            raise _damaged() from None
        yield plain


def _pieces(chunks: Iterable[bytes | memoryview], size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of exactly `size` bytes, and whether each is the last, which may be shorter."""
    waiting = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if len(waiting) == size:
                yield bytes(waiting), False
                waiting.clear()
            room = size - len(waiting)
            waiting += view[:room]
            view = view[room:]
    yield bytes(waiting), True


def _split(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes | memoryview]]:
    """The first bytes of a stream, fewer where it is shorter, and all others."""
    head, rest = bytearray(), iter(chunks)
    for chunk in rest:
        missing = size - len(head)
        head += chunk[:missing]
        if len(head) == size:
            return bytes(head), chain([memoryview(chunk)[missing:]], rest)
    return bytes(head), rest


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + number.to_bytes(_COUNTER_BYTES, "big") + bytes((last,))


def _bound(context: SpoolContext, exponent: int) -> bytes:
    version = f"mayfly/spool/{VERSION}/{exponent}"
    return associated_data(version, context.workspace, context.region, context.sync, context.batch)


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError("a key is 32 bytes")
    return AESGCM(key)


def _damaged() -> IntegrityError:
    return IntegrityError(
        "spool_damaged",
        "A sealed batch was altered, or sealed under another key or for another place.",
        hint="It cannot be opened; purge it and run the sync again where its source still has it.",
    )
