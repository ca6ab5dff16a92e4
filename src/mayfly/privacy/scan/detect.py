"""Hits in one window of bytes, seen raw and through every text encoding."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mayfly.privacy.guard.patterns import CREDIT_CARD, EMAIL, IBAN, PHONE, credit_cards, ibans
from mayfly.privacy.guard.patterns import phones as guard_phones
from mayfly.privacy.scan.likely import AT, PLUS, Span, card_starts, iban_starts
from mayfly.privacy.scan.views import views

KNOWN = "known_value"
BOMB = "bomb"
_REWRITTEN = ("percent", "escape", "quoted-printable", "entity")
_TLDS = frozenset(
    ("com", "org", "net", "edu", "gov", "info", "biz", "name", "example", "test", "invalid", "app")
)
_PREFIXES = ("com", "org", "net", "edu", "gov", "info", "example")
_LOCAL_SIGNS = (string.ascii_letters + string.digits + ".!#$%&'*+/=?^_`{|}~-").encode()
_LOCAL_MAX = 64
_DOMAIN = re.compile(rb"((?:[A-Za-z0-9-]{1,63}\.){1,8})([A-Za-z]{2,24})")
_NOT_ASCII = bytes(range(128, 256))
# Every value holds one of these. One search, so the quickest look at a short run.
_LIKELY = re.compile(
    rb"@|\+[ (]{0,2}[1-9]|[0-9](?:[ -]?[0-9]){12}|[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11}"
)
_SMALL_BYTES = 256
# Bytes around a place that decide whether a value begins there: a card may lie in a UUID.
_BEFORE = 40
_AFTER = 80


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One value found; never the value itself.

    Args:
        offset: of its first byte, approximate within an encoded run.
        class_name: `email`, `phone`, `credit_card`, `iban`, `known_value`, or `bomb` for what
            unpacks to more than is looked at.
        encoding: how it was written: `raw`, `hex`, ...
        member: the way through archives and compressed streams, "" for the file itself.
    """

    offset: int
    class_name: str
    encoding: str
    member: str = ""


def hits_in(data: bytes, known: Sequence[bytes] = ()) -> list[Hit]:
    """Every hit in a window, each place once, raw before encoded."""
    found: list[Hit] = []
    seen: set[tuple[int, str]] = set()
    raw_values: set[tuple[str, bytes]] = set()
    for view in views(data, known):
        rewritten = view.encoding in _REWRITTEN
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
    if len(data) < _SMALL_BYTES and not _LIKELY.search(data):
        return
    for start, end in _emails(data):
        yield start, end, EMAIL
    for name, starts, find in (
        (CREDIT_CARD, card_starts(data), credit_cards),
        (IBAN, iban_starts(data), ibans),
        (PHONE, (found.start() for found in PLUS.finditer(data)), guard_phones),
    ):
        for start, end in _confirmed(data, starts, find):
            yield start, end, name


def _confirmed(
    data: bytes, starts: Iterable[int], find: Callable[[str], Iterator[Span]]
) -> Iterator[Span]:
    """Those starts where the exact recogniser sees a value, too."""
    places = list(starts)
    if len(places) * (_BEFORE + _AFTER) > len(data):
        yield from find(data.decode("ascii", "replace"))
        return
    for start in places:
        first = max(0, start - _BEFORE)
        # One sign per byte, and no byte beyond ASCII counts as a letter: it may be a length.
        text = data[first : start + _AFTER].decode("ascii", "replace")
        for begin, end in find(text):
            if first + begin == start:
                yield start, first + end
            if first + begin >= start:
                break


def _emails(data: bytes) -> Iterator[Span]:
    strict: bool | None = None
    for found in AT.finditer(data):
        at = found.start()
        before = data[max(0, at - _LOCAL_MAX) : at]
        local = len(before) - len(before.rstrip(_LOCAL_SIGNS))
        domain = _DOMAIN.match(data, at + 1, at + 256)
        if strict is None:
            strict = _binary(data)
        if local and domain and _sane(local, domain, strict=strict):
            yield at - local, domain.end()


def _binary(data: bytes) -> bool:
    beyond = len(data) - len(data.translate(None, _NOT_ASCII))
    return b"\x00" in data or beyond * 20 > len(data)


def _sane(local: int, domain: re.Match[bytes], *, strict: bool) -> bool:
    """Chance alone must not look like an address: in binary data, more is asked."""
    label, top = domain[1], domain[2].lower().decode()
    if label.startswith((b"-", b".")):
        return False
    if not strict:
        return True
    if top in _TLDS or top.startswith(_PREFIXES):
        return len(label) >= 3
    return len(top) == 2 and local >= 3 and len(label) >= 5
