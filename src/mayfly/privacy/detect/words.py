"""Names of columns cut into words, and words made comparable across spellings."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = {"ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i", "þ": "th"}
_TABLE = str.maketrans(_LETTERS)
_LATIN_MARKS = 0x36F
# `homePhone`, `IPAddress`, `tel2`; what has no case stays whole.
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f\s]+")


def folded(text: str) -> str:
    """A text without case and accents: `Müller` and `MULLER` are one."""
    once = _plain(text).casefold()  # ㍱ is taken apart to hPa
    return once if once.isascii() else _plain(once)


def words_of(name: str) -> list[str]:
    """Words of a column's name, folded: `E-Mail_Adresse` gives `e`, `mail`, `adresse`."""
    # Accents first: a letter with one would end a word.
    return [word.casefold() for word in _PART.findall(_plain(name))]


def _plain(text: str) -> str:
    """Without the accents of Latin letters; marks of other scripts are letters' parts."""
    apart = unicodedata.normalize("NFKD", text.translate(_TABLE))
    kept = "".join(c for c in apart if not unicodedata.combining(c) or ord(c) > _LATIN_MARKS)
    return unicodedata.normalize("NFC", kept)
