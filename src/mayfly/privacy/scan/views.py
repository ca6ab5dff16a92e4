"""The text encodings: bytes seen raw and, wherever a value may hide, decoded.

Hex and base64 runs are everywhere in digests, so a window is first decoded as one piece at each
alignment. Only runs in which that shows something likely are decoded on their own.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import string
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mayfly.privacy.scan.likely import Span, likely

# Six or more printable signs, each beside a zero byte: p and 0 after `_WIDE_KINDS`.
_UTF16LE = re.compile(b"p0" * 6 + b"(?:p0)*")
_UTF16BE = re.compile(b"0p" * 6 + b"(?:0p)*")
_UTF32LE = re.compile(b"(?:p000){6,}")
_UTF32BE = re.compile(b"(?:000p){6,}")
_WIDE_KINDS = bytes(
    ord("0") if byte == 0 else ord("p" if 0x20 <= byte <= 0x7E else "x") for byte in range(256)
)
_HEX = re.compile(rb"[0-9A-Fa-f]{12,}")
_HEX_SIGNS = string.hexdigits.encode()
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*")
_BASE64_SIGNS = (string.ascii_letters + string.digits + "+/_-").encode()
# Shorter runs hold no address, and words are seldom as long.
_BASE32 = re.compile(rb"[A-Z2-7]{16,}|[a-z2-7]{16,}")
_BREAK = re.compile(rb"[\r\n]")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}[^\s\"<>]{0,2048}")
_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
_QUOTED = re.compile(rb"=(?:[0-9A-Fa-f]{2}|\r?\n)(?:[^\s\"<>]|=\r?\n){0,2048}")
_ENTITY = re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});[^\s\"<>]{0,2048}")
# What stands before the first escape belongs to the value, too.
_BEFORE_PERCENT = re.compile(rb"[^\s\"<>]{1,128}\Z")
_BEFORE_ESCAPE = re.compile(rb"[^\r\n\"]{1,128}\Z")
_ESCAPED = re.compile(rb"\\[ux][0-9A-Fa-f]{2}[^\r\n\"]{0,2048}")
# No run is recognised by more than this many signs.
_RUN_MIN = 12

# What is no sign of the encoding is read as one that means zero bits.
_HEX_ONLY = bytes(byte if byte in _HEX_SIGNS else ord("0") for byte in range(256))
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BASE64_ONLY = bytes(_URL_SAFE[byte] if byte in _BASE64_SIGNS else ord("A") for byte in range(256))


@dataclass(frozen=True, kw_only=True)
class View:
    """Decoded bytes with the way back to where they stood."""

    encoding: str
    data: bytes
    place: Callable[[int], int]


def views(data: bytes, known: Sequence[bytes] = ()) -> Iterator[View]:
    """The bytes themselves and every decoded run that may hold a value or a known marker."""
    yield View(encoding="raw", data=data, place=lambda at: at)
    if b"\x00" in data:
        kinds = data.translate(_WIDE_KINDS)
        little = [run.span() for run in _UTF16LE.finditer(kinds)]
        yield from _decoded(data, little, "utf-16le", lambda run: run[::2], 2)
        big = [run.span() for run in _UTF16BE.finditer(kinds)]
        yield from _decoded(data, big, "utf-16be", lambda run: run[1::2], 2)
        little = [run.span() for run in _UTF32LE.finditer(kinds)]
        yield from _decoded(data, little, "utf-32le", lambda run: run[::4], 4)
        big = [run.span() for run in _UTF32BE.finditer(kinds)]
        yield from _decoded(data, big, "utf-32be", lambda run: run[3::4], 4)
    spans = list(_runs_at(data, _HEX, _HEX_SIGNS, _likely_hex(data, known)))
    for shift in (0, 1):
        yield from _decoded(data, spans, "hex", _unhex, 2, shift)
    spans = list(_runs_at(data, _BASE64, _BASE64_SIGNS + b"\r\n", _likely_base64(data, known)))
    for shift in range(4):
        yield from _decoded(data, spans, "base64", _unbase64, 4 / 3, shift)
    spans = [run.span() for run in _BASE32.finditer(data)]
    for shift in range(8):
        yield from _decoded(data, spans, "base32", _unbase32, 8 / 5, shift)
    spans = list(_widened(data, _PERCENT, _BEFORE_PERCENT))
    yield from _decoded(data, spans, "percent", unquote_to_bytes, 1)
    spans = list(_widened(data, _ESCAPED, _BEFORE_ESCAPE))
    yield from _decoded(data, spans, "escape", _unescape, 1)
    spans = list(_widened(data, _QUOTED, _BEFORE_PERCENT))
    yield from _decoded(data, spans, "quoted-printable", binascii.a2b_qp, 1)
    spans = list(_widened(data, _ENTITY, _BEFORE_PERCENT))
    yield from _decoded(data, spans, "entity", _unentity, 1)


def _decoded(
    data: bytes,
    spans: Iterable[Span],
    encoding: str,
    decode: Callable[[bytes], bytes],
    width: float,
    shift: int = 0,
) -> Iterator[View]:
    for start, end in spans:
        first = start + shift

        def place(at: int, first: int = first) -> int:
            return first + int(at * width)

        yield View(encoding=encoding, data=decode(data[first:end]), place=place)


def _widened(data: bytes, pattern: re.Pattern[bytes], left: re.Pattern[bytes]) -> Iterator[Span]:
    for run in pattern.finditer(data):
        first = run.start()
        before = left.search(data, max(0, first - 128), first)
        yield before.start() if before else first, run.end()


def _runs_at(
    data: bytes, pattern: re.Pattern[bytes], signs: bytes, spans: Sequence[Span]
) -> Iterator[Span]:
    """Whole runs that touch a span, in order, each once. Spans must be sorted."""
    at = 0
    for start, end in spans:
        if end <= at:
            continue
        if start > at:
            # No run reaches beyond the signs it is made of.
            at += len(data[at:start].rstrip(signs))
        while at < end and (begun := pattern.search(data, at, end + _RUN_MIN)):
            if begun.start() >= end:
                break
            run = pattern.match(data, begun.start())
            if run is None:
                break
            at = run.end()
            if at > start:
                yield run.span()
        at = max(at, end)


def _likely_hex(data: bytes, known: Sequence[bytes]) -> list[Span]:
    plain = data.translate(_HEX_ONLY)
    return sorted(
        (shift + 2 * start, shift + 2 * end)
        for shift in (0, 1)
        for start, end in likely(_unhex(plain[shift:]), known)
    )


def _likely_base64(data: bytes, known: Sequence[bytes]) -> list[Span]:
    plain = data.translate(_BASE64_ONLY, b"\r\n")
    spans = sorted(
        (shift + start // 3 * 4, shift + -(-end // 3) * 4)
        for shift in range(4)
        for start, end in likely(_unbase64(plain[shift:]), known)
    )
    if not spans or len(plain) == len(data):
        return spans
    # Back to places in the data, which has its line breaks.
    breaks = [found.start() - n for n, found in enumerate(_BREAK.finditer(data))]
    return [
        (start + bisect_right(breaks, start), end + bisect_right(breaks, end))
        for start, end in spans
    ]


def _unhex(run: bytes) -> bytes:
    return binascii.unhexlify(run[: len(run) // 2 * 2])


def _unbase64(run: bytes) -> bytes:
    plain = run.translate(_URL_SAFE, b"\r\n")
    # One sign over a multiple of four holds less than a byte.
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    return base64.b64decode(plain + b"=" * (-len(plain) % 4))


def _unbase32(run: bytes) -> bytes:
    # Less than eight signs at the end may be no whole number of bytes: at most four are lost.
    whole = run[: len(run) // 8 * 8]
    rest = run[len(whole) :]
    signs = next(n for n in (7, 5, 4, 2, 0) if n <= len(rest))
    padded = whole + (rest[:signs] + b"=" * (8 - signs) if signs else b"")
    return base64.b32decode(padded, casefold=True)


def _unentity(run: bytes) -> bytes:
    return html.unescape(run.decode("utf-8", "replace")).encode()


def _unescape(run: bytes) -> bytes:
    return _ESCAPE.sub(
        lambda found: chr(int(found[1] or found[2], 16)).encode("utf-8", "replace"), run
    )
