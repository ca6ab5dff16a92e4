"""Hits in one window of bytes, seen raw and through every text encoding."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mayfly.privacy.guard.patterns import CREDIT_CARD, EMAIL, IBAN, PHONE, credit_cards, ibans
from mayfly.privacy.guard.patterns import phones as guard_phones

KNOWN = "known_value"
_TLDS = frozenset(
    ("com", "org", "net", "edu", "gov", "info", "biz", "name", "example", "test", "invalid", "app")
)
_PREFIXES = ("com", "org", "net", "edu", "gov", "info", "example")
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"((?:[A-Za-z0-9-]{1,63}\.){1,8})([A-Za-z]{2,24})")
_UTF16LE = re.compile(rb"(?:[\x20-\x7e]\x00){6,}")
_UTF16BE = re.compile(rb"(?:\x00[\x20-\x7e]){6,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{12,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}[^\s\"<>]{0,2048}")
_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
# What stands before the first escape belongs to the value, too.
_BEFORE_PERCENT = re.compile(rb"[^\s\"<>]{1,128}\Z")
_BEFORE_ESCAPE = re.compile(rb"[^\r\n\"]{1,128}\Z")
_ESCAPED = re.compile(rb"\\[ux][0-9A-Fa-f]{2}[^\r\n\"]{0,2048}")
# Every value the finders take holds one of these; most decoded runs hold none.
_LIKELY = re.compile(
    rb"@|\+[ (]{0,2}[1-9]|[0-9](?:[ -]?[0-9]){12}|[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11}"
)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One value found; never the value itself.

    Args:
        offset: of its first byte, approximate within an encoded run.
        class_name: `email`, `phone`, `credit_card`, `iban` or `known_value`.
        encoding: how it was written: `raw`, `hex`, ...
        member: the way through archives and compressed streams, "" for the file itself.
    """

    offset: int
    class_name: str
    encoding: str
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class _View:
    """Decoded bytes with the way back to where they stood."""

    encoding: str
    data: bytes
    place: Callable[[int], int]


def hits_in(data: bytes, known: Sequence[bytes] = ()) -> list[Hit]:
    """Every hit in a window, each place once, raw before encoded."""
    found: list[Hit] = []
    seen: set[tuple[int, str]] = set()
    raw_values: set[tuple[str, bytes]] = set()
    for view in _views(data):
        rewritten = view.encoding in ("percent", "escape")
        for start, end, name in _find(view.data, known):
            value = (name, view.data[start:end])
            place = view.place(start)
            if (place, name) in seen or (rewritten and value in raw_values):
                continue
            seen.add((place, name))
            if view.encoding == "raw":
                raw_values.add(value)
            found.append(Hit(offset=place, class_name=name, encoding=view.encoding))
    return found


def _find(data: bytes, known: Sequence[bytes]) -> Iterator[tuple[int, int, str]]:
    for marker in known:
        at = data.find(marker)
        while at >= 0:
            yield at, at + len(marker), KNOWN
            at = data.find(marker, at + 1)
    if not _LIKELY.search(data):
        return
    # One sign per byte, and no byte beyond ASCII counts as a letter: it may be a length.
    text = data.decode("ascii", "replace")
    strict = b"\x00" in data or text.count("\ufffd") * 20 > len(text)
    for start, end in _emails(text, strict=strict):
        yield start, end, EMAIL
    for name, find in ((CREDIT_CARD, credit_cards), (IBAN, ibans), (PHONE, guard_phones)):
        for start, end in find(text):
            yield start, end, name


def _emails(text: str, *, strict: bool) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1, at + 256)
        if local and domain and _sane(local.group(), domain, strict=strict):
            yield local.start(), domain.end()
        at = text.find("@", at + 1)


def _sane(local: str, domain: re.Match[str], *, strict: bool) -> bool:
    """Chance alone must not look like an address: in binary data, more is asked."""
    label, top = domain[1], domain[2].lower()
    if label.startswith(("-", ".")):
        return False
    if not strict:
        return True
    if top in _TLDS or top.startswith(_PREFIXES):
        return len(local) >= 1 and len(label) >= 3
    return len(top) == 2 and len(local) >= 3 and len(label) >= 5


def _views(data: bytes) -> Iterator[_View]:
    yield _View(encoding="raw", data=data, place=lambda at: at)
    yield from _runs(data, _UTF16LE, "utf-16le", lambda run: run[::2], 2)
    yield from _runs(data, _UTF16BE, "utf-16be", lambda run: run[1::2], 2)
    for shift in (0, 1):
        yield from _runs(data, _HEX, "hex", _unhex, 2, shift)
    for shift in range(4):
        yield from _runs(data, _BASE64, "base64", _unbase64, 4 / 3, shift)
    yield from _runs(data, _PERCENT, "percent", unquote_to_bytes, 1, left=_BEFORE_PERCENT)
    yield from _runs(data, _ESCAPED, "escape", _unescape, 1, left=_BEFORE_ESCAPE)


def _runs(
    data: bytes,
    pattern: re.Pattern[bytes],
    encoding: str,
    decode: Callable[[bytes], bytes],
    width: float,
    shift: int = 0,
    left: re.Pattern[bytes] | None = None,
) -> Iterator[_View]:
    for run in pattern.finditer(data):
        first = run.start() + shift
        if left and (before := left.search(data, max(0, first - 128), first)):
            first = before.start()
        decoded = decode(data[first : run.end()])

        def place(at: int, first: int = first) -> int:
            return first + int(at * width)

        yield _View(encoding=encoding, data=decoded, place=place)


def _unhex(run: bytes) -> bytes:
    return binascii.unhexlify(run[: len(run) // 2 * 2])


def _unbase64(run: bytes) -> bytes:
    plain = run.translate(bytes.maketrans(b"-_", b"+/"), b"\r\n")
    # One sign over a multiple of four holds less than a byte.
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    return base64.b64decode(plain + b"=" * (-len(plain) % 4))


def _unescape(run: bytes) -> bytes:
    return _ESCAPE.sub(
        lambda found: chr(int(found[1] or found[2], 16)).encode("utf-8", "replace"), run
    )
