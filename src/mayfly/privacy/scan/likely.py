"""Where in some bytes a personal value may stand; a cheap look before an exact one.

Each pattern is a necessary condition on the value's own bytes, begins with fixed signs so that `re`
passes over the rest quickly, and repeats within bounds only. Numbers and accounts have no fixed
sign, so they are looked for in a copy where each byte is replaced by its kind.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

Span = tuple[int, int]

# Most at-signs in binary data have no local part and no domain around them.
AT = re.compile(rb"@(?<=[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]@)(?=[A-Za-z0-9-]{1,63}\.[A-Za-z0-9-])")
PLUS = re.compile(rb"\+[ (]{0,2}[1-9](?:[ ().\-/]{0,3}[0-9]){7}")
_NUMBER = re.compile(rb"[2-9](?:[ -]?[0-9]){12}")
# Thirteen digits with at most one sign between two of them hold one of these.
_DIGITS = (re.compile(b"ddd"), re.compile(b"dsd"))
_ACCOUNT = re.compile(b"lldd(?:s?[ld]){11}")
# The longest stretch of thirteen digits and what may stand between them, less one.
_REACH = 24
# In text, numbers and accounts begin where a word does, and cards with one of the digits c.
_CARD_STARTS = (
    re.compile(b"xc(?=(?:s?[cd]){12})"),
    re.compile(b"sc(?<![cd]sc)(?=(?:s?[cd]){12})"),
)
_IBAN_STARTS = tuple(
    re.compile(sign + b"ll[cd][cd](?=(?:s?[lcd]){11})") for sign in (b"x", b"s", b"p")
)


def _kinds(**signs_of: bytes) -> bytes:
    """A table from each byte to its kind, x where none is given."""
    kinds = bytearray(b"x" * 256)
    for kind, signs in signs_of.items():
        for sign in signs:
            kinds[sign] = ord(kind)
    return bytes(kinds)


_LETTERS = string.ascii_letters.encode()
_KINDS = _kinds(d=b"0123456789", l=_LETTERS, s=b" -")
# No card number begins behind a plus, so there it is no start of a word.
_WORD_KINDS = _kinds(c=b"23456789", d=b"01", l=_LETTERS, s=b" -", p=b"+")


def likely(data: bytes, known: Sequence[bytes] = ()) -> Iterator[Span]:
    """Spans such that every value's first bytes lie in one; most bytes lie in none."""
    for marker in known:
        at = data.find(marker)
        while at >= 0:
            yield at, at + len(marker)
            at = data.find(marker, at + len(marker))
    for pattern in (AT, PLUS):
        for found in pattern.finditer(data):
            yield found.span()
    kinds = data.translate(_KINDS)
    for found in _ACCOUNT.finditer(kinds):
        yield found.span()
    for pattern in _DIGITS:
        for found in pattern.finditer(kinds):
            first, end = max(0, found.start() - _REACH), found.end() + _REACH
            if _NUMBER.search(data, first, end):
                yield first, min(end, len(data))


def card_starts(data: bytes) -> Iterator[int]:
    """Where a card number may begin, at least every place where one does."""
    yield from _starts(data, _CARD_STARTS)


def iban_starts(data: bytes) -> Iterator[int]:
    """Where an account number may begin, at least every place where one does."""
    yield from _starts(data, _IBAN_STARTS)


def _starts(data: bytes, patterns: Sequence[re.Pattern[bytes]]) -> Iterator[int]:
    # The sign set before moves every place by one, which the pattern's first sign takes back.
    kinds = b"x" + data.translate(_WORD_KINDS)
    for pattern in patterns:
        for found in pattern.finditer(kinds):
            yield found.start()
