"""The content of a batch in its compressed form: Zstandard, as `docs/specs/spool.md` says."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from mayfly.domain.errors import IntegrityError

CONTENT_BYTES_MAX = 1 << 30
_CHUNK_BYTES = 1 << 20


def compress(content: bytes) -> pa.Buffer:
    """One Zstandard frame.

    Raises:
        ValueError: the content is larger than 1 GiB.
    """
    if len(content) > CONTENT_BYTES_MAX:
        raise ValueError("the content of a batch is at most 1 GiB")
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue()


def decompress(pieces: Iterable[bytes]) -> bytes:
    """What `compress` made a frame of.

    Args:
        pieces: the frame, cut in any way.

    Raises:
        IntegrityError: `spool_damaged`, this is no frame, not a whole one, or one of too much.
    """
    frame = b"".join(pieces)
    if not frame:  # the library would take no frame for one of nothing
        raise _damaged()
    found = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(frame), "zstd") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                found += piece
                if len(found) > CONTENT_BYTES_MAX:
                    raise _damaged()
    except (OSError, pa.ArrowException):
        raise _damaged() from None
    return bytes(found)


def _damaged() -> IntegrityError:
    return IntegrityError(
        "spool_damaged", "A sealed batch opened, and what was in it is no compressed content."
    )
