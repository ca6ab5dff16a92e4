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

from mayfly.privacy.scan.detect import Hit, hits_in

WINDOW_BYTES = 1 << 20
OVERLAP_BYTES = 1 << 13
_DEPTH_MAX = 4
_OUT_BYTES_MAX = 1 << 30
# One pattern each: with fixed first bytes `re` is fast, with alternatives it is not.
_MAGICS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zlib": re.compile(rb"\x78[\x01\x5e\x9c\xda]"),
    "bz2": re.compile(rb"BZh[1-9]1AY&SY"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
# Most magics are chance and fail at once, so the decoder is first given little.
_PROBE_BYTES = 1 << 12

# Magics too long to stand at a file's beginning by chance: such a file must unpack to its end.
_STRONG = frozenset({"gzip", "bz2", "xz"})


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
        if depth >= _DEPTH_MAX:
            continue
        for at, kind in _magics(window, context, limit):
            if base + at:
                place = f"{member}/{kind}@{base + at}".lstrip("/")
                yield from _inside(window[at:], kind, place, known, depth)
    kind = next((name for name, magic in _MAGICS.items() if magic.match(head)), "")
    if kind and depth < _DEPTH_MAX:
        yield from scan_chunks(
            lambda: unpacked(chunks(), kind, whole=depth == 0 and kind in _STRONG),
            known,
            member=f"{member}/{kind}".lstrip("/"),
            depth=depth + 1,
        )


def unpacked(chunks: Iterable[bytes], kind: str, *, whole: bool = False) -> Iterator[bytes]:
    """What a compressed stream holds, up to its first fault; 1 GiB at most.

    Raises:
        ValueError: where `whole` is asked and the stream is damaged, cut or too large.
    """
    steps = _unpacked_zstd(chunks) if kind == "zstd" else _unpacked(chunks, kind, whole)
    total = 0
    for part in steps:
        total += len(part)
        if total > _OUT_BYTES_MAX:
            if whole:
                raise ValueError("compressed stream too large")
            return
        yield part


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
    yield from scan_chunks(
        lambda: unpacked([data[:_PROBE_BYTES], data[_PROBE_BYTES:]], kind),
        known,
        member=member,
        depth=depth + 1,
    )


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
    return zlib.decompressobj(wbits=47)


def _unpacked_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = pa.PythonFile(_Reader(chunks), mode="r")
    try:
        with pa.CompressedInputStream(stream, "zstd") as source:
            # Small steps: a fault behind the frame must not cost what came before it.
            while out := source.read(256):
                yield bytes(out)
    except (OSError, pa.ArrowException):
        return


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
