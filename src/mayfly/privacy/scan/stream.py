"""Scans streams of any length in bounded memory, and what is compressed inside them."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from mayfly.privacy.scan.detect import BOMB, Hit, hits_in

WINDOW_BYTES = 1 << 20
OVERLAP_BYTES = 1 << 13
DEPTH_MAX = 4
_OUT_BYTES_MAX = 1 << 30
# Text packs to a hundredth at most; what is far above is made to fill a memory or a day.
_RATIO_MAX = 1_000
_RATIO_FROM_BYTES = 1 << 24
# One pattern each: with fixed first bytes `re` is fast, with alternatives it is not.
_MAGICS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zlib": re.compile(rb"\x78[\x01\x5e\x9c\xda]"),
    "bz2": re.compile(rb"BZh[1-9]1AY&SY"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
    "snappy": re.compile(rb"\xff\x06\x00\x00sNaPpY"),
}
_ARROW = frozenset({"zstd", "lz4", "brotli"})
# Most magics are chance and fail at once, so the decoder is first given little.
_PROBE_BYTES = 1 << 12

# Magics too long to stand at a file's beginning by chance: such a file must unpack to its end.
_STRONG = frozenset({"gzip", "bz2", "xz", "zstd", "lz4", "snappy"})


class BombError(Exception):
    """A stream unpacks to more than is looked at."""


def scan_bytes(data: bytes, known: Sequence[bytes] = ()) -> list[Hit]:
    """Every hit in some bytes held in memory."""
    return list(scan_chunks(lambda: iter([data]), known))


def scan_chunks(
    chunks: Callable[[], Iterable[bytes]],
    known: Sequence[bytes] = (),
    *,
    member: str = "",
    depth: int = 0,
) -> Iterator[Hit]:
    """Hits in a stream, read window by window.

    Args:
        chunks: opens the stream anew at each call.
        known: markers to find as well.
        member: the stream's name within its file.
        depth: how many streams it lies within; the deepest are not opened further.
    """
    head = b""
    for base, context, final, window in _windows(chunks()):
        limit = len(window) if final else len(window) - OVERLAP_BYTES
        if base == 0:
            head = window[:16]
        for hit in hits_in(window, known):
            if context <= hit.offset < limit:
                yield Hit(
                    offset=base + hit.offset,
                    class_name=hit.class_name,
                    encoding=hit.encoding,
                    member=member,
                )
        if depth >= DEPTH_MAX:
            continue
        for at, kind in _magics(window, context, limit):
            if base + at:
                place = f"{member}/{kind}@{base + at}".lstrip("/")
                yield from _inside(window[at:], kind, place, known, depth)
    kind = stream_kind(head)
    if kind and (depth < DEPTH_MAX or kind != "zlib"):
        place = f"{member}/{kind}".lstrip("/")
        whole = depth == 0 and kind in _STRONG
        yield from unpacked_hits(
            lambda: unpacked(chunks(), kind, whole=whole), kind, known, place, depth
        )


def stream_kind(head: bytes) -> str:
    """Of the compressed stream that some bytes begin, "" for none."""
    return next((name for name, magic in _MAGICS.items() if magic.match(head)), "")


def unpacked_hits(
    chunks: Callable[[], Iterable[bytes]],
    kind: str,
    known: Sequence[bytes],
    member: str,
    depth: int,
) -> Iterator[Hit]:
    """Hits in what a stream unpacks to; one that may not be looked through is a hit by itself."""
    bomb = Hit(offset=0, class_name=BOMB, encoding=kind, member=member)
    if depth >= DEPTH_MAX:
        yield bomb
        return
    try:
        yield from scan_chunks(chunks, known, member=member, depth=depth + 1)
    except BombError:
        yield bomb


def unpacked(chunks: Iterable[bytes], kind: str, *, whole: bool = False) -> Iterator[bytes]:
    """What a compressed stream holds, up to its first fault.

    Args:
        chunks: of the stream.
        kind: `gzip`, `zlib`, `deflate`, `bz2`, `xz`, `zstd`, `lz4`, `snappy` or `brotli`.
        whole: a fault is an error.

    Raises:
        ValueError: where `whole` is asked and the stream is damaged or cut.
        BombError: it unpacks to more than 1 GiB, or to more than 16 MiB and a thousand times its
            size.
    """
    given = 0

    def counted() -> Iterator[bytes]:
        nonlocal given
        for chunk in chunks:
            given += len(chunk)
            yield chunk

    total = 0
    for part in _steps(counted(), kind, whole):
        total += len(part)
        if total > max(_RATIO_FROM_BYTES, min(_OUT_BYTES_MAX, _RATIO_MAX * given)):
            raise BombError
        yield part


def _steps(chunks: Iterator[bytes], kind: str, whole: bool) -> Iterator[bytes]:
    if kind in _ARROW:
        return _unpacked_arrow(chunks, kind, whole)
    if kind == "snappy":
        return _unpacked_snappy(chunks, whole)
    return _unpacked(chunks, kind, whole)


def _magics(window: bytes, start: int, end: int) -> list[tuple[int, str]]:
    """Where a compressed stream may begin, and of which kind, in order."""
    return sorted(
        (found.start(), kind)
        for kind, magic in _MAGICS.items()
        for found in magic.finditer(window, start, end)
    )


def _inside(
    data: bytes, kind: str, member: str, known: Sequence[bytes], depth: int
) -> Iterator[Hit]:
    def chunks() -> Iterator[bytes]:
        return unpacked([data[:_PROBE_BYTES], data[_PROBE_BYTES:]], kind)

    yield from unpacked_hits(chunks, kind, known, member, depth)


def _unpacked(chunks: Iterable[bytes], kind: str, whole: bool) -> Iterator[bytes]:
    decoder = _decoder(kind)
    ended = False
    for chunk in chunks:
        data = chunk
        while data:
            try:
                out = decoder.decompress(data, WINDOW_BYTES)
                if out:
                    yield out
                while not decoder.eof and (out := _pending(decoder)):
                    yield out
            except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
                if whole and not ended:
                    raise ValueError("compressed stream damaged") from None
                return
            if not decoder.eof:
                break
            ended = True
            data = decoder.unused_data
            decoder = _decoder(kind)
    if whole and not ended:
        raise ValueError("compressed stream cut")


def _pending(decoder: Any) -> bytes:
    """More output of the input already given."""
    if hasattr(decoder, "unconsumed_tail"):
        tail = decoder.unconsumed_tail
        return bytes(decoder.decompress(tail, WINDOW_BYTES)) if tail else b""
    return b"" if decoder.needs_input else bytes(decoder.decompress(b"", WINDOW_BYTES))


def _decoder(kind: str) -> Any:
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor()
    return zlib.decompressobj(wbits=-15 if kind == "deflate" else 47)


def _unpacked_arrow(chunks: Iterable[bytes], kind: str, whole: bool) -> Iterator[bytes]:
    stream = pa.PythonFile(_Reader(chunks), mode="r")
    try:
        with pa.CompressedInputStream(stream, kind) as source:
            # Small steps: a fault behind the frame must not cost what came before it.
            while out := source.read(256):
                yield bytes(out)
    except (OSError, pa.ArrowException):
        if whole:
            raise ValueError("compressed stream damaged") from None


def _unpacked_snappy(chunks: Iterable[bytes], whole: bool) -> Iterator[bytes]:
    """Snappy's framing: chunks of a kind, three bytes of length, a checksum, and a block."""
    reader = _Reader(chunks)
    while len(head := reader.read(4)) == 4:
        size = int.from_bytes(head[1:], "little")
        body = reader.read(size)
        if len(body) < size:
            break
        if head[0] == 0x00:
            try:
                yield unsnapped(body[4:])
            except ValueError:
                break
        elif head[0] == 0x01:
            yield body[4:]
        elif head[0] < 0x80:
            break
    else:
        if not head:
            return
    if whole:
        raise ValueError("compressed stream damaged")


def snappy_block(head: bytes, size: int) -> bool:
    """Whether a file may be one block of Snappy, which has no sign: by the length it gives first.

    Args:
        head: its first six bytes.
        size: of all of it.
    """
    holds, at = _snappy_length(head)
    # Three bytes make 64 at most, what cannot be packed grows by a sixth, and nothing can be
    # repeated before there is something: the first element is a literal.
    possible = at > 0 and len(head) > at and head[at] & 3 == 0
    return possible and size - at <= 32 + holds + holds // 6 and holds <= 22 * size


def _snappy_length(head: bytes) -> tuple[int, int]:
    """(Length of what a block holds, length of that number), zeros where there is none."""
    size = shift = 0
    for at, byte in enumerate(head[:5], 1):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return size, at
    return 0, 0


def unsnapped(block: bytes) -> bytes:
    """What one block of Snappy holds.

    Raises:
        ValueError: it is damaged.
        BombError: it says it holds more than 1 GiB.
    """
    size, _ = _snappy_length(block)
    if size > _OUT_BYTES_MAX:
        raise BombError
    try:
        return bytes(pa.Codec("snappy").decompress(block, size, asbytes=True)) if size else b""
    except (OSError, pa.ArrowException):
        raise ValueError("damaged block") from None


class _Reader(io.RawIOBase):
    """A file over chunks, for the one decoder that pulls."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        parts = [self._held]
        have = len(self._held)
        while size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        cut = len(data) if size < 0 else size
        self._held = data[cut:]
        return data[:cut]


def _windows(chunks: Iterable[bytes]) -> Iterator[tuple[int, int, bool, bytes]]:
    """Overlapping windows: offset of the first byte, context before what is new, last, bytes."""
    base, context = 0, 0
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < WINDOW_BYTES + 3 * OVERLAP_BYTES:
            continue
        window = b"".join(held)
        yield base, context, False, window
        keep = window[-2 * OVERLAP_BYTES :]
        base += len(window) - len(keep)
        held, size, context = [keep], len(keep), OVERLAP_BYTES
    yield base, context, True, b"".join(held)
