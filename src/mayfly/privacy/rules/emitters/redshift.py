"""Redshift. Compiled, not run: written after its documentation, never asked of a Redshift."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters.base import Emitter

_END = "."
_PARTS = re.compile(r"\\x\{([0-9a-f]+)\}|\\(.)|(.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
# The same range without a backslash: a dash that comes first is itself.
_TO_DASH, _FROM_DASH = "[!-\\-", "[-!-,"
_WHOLE = "(?s)^(?:{})(?!.)"
_TEXT = "VARCHAR(65535)"


class RedshiftEmitter(Emitter):
    """Sets by `TRANSLATE`, folds by table, patterns as PCRE.

    It began as a PostgreSQL 8.0 and is another engine: `SHA2` gives hex, there is no `bytea`, a
    backslash begins an escape in a text, a list of VALUES is no table, and comparisons take no
    notice of blanks at an end.
    """

    def literal(self, text: str) -> str:
        """Control characters and backslashes by code: a release may read escapes or not."""
        if not text:
            return "''"
        parts = []
        for plain, run in groupby(text, _is_plain):
            if plain:
                parts.append("'" + "".join(run).replace("'", "''") + "'")
            else:
                parts += [f"CHR({ord(c)})" for c in run]
        return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"

    def compared(self, text: str) -> str:
        """With a mark behind it, no blank is at an end."""
        return f"({text} || '{_END}')"

    def compared_literal(self, text: str) -> str:
        """See `compared`."""
        return self.literal(text + _END)

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """No list of VALUES is a table."""
        first, *others = (
            f"SELECT {n} AS {number}, CAST({self.literal(t)} AS {_TEXT}) AS {text}"
            for n, t in enumerate(texts)
        )
        return f"({' UNION ALL '.join((first, *others))}) AS mf_probe"

    def strip(self, text: str, characters: str) -> str:
        """`BTRIM` takes a set of characters."""
        return f"BTRIM({text}, {self.literal(characters)})"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"TRANSLATE({text}, {self.literal(characters)}, '')"

    def only(self, text: str, characters: str) -> str:
        """Nothing is left without them, not even blanks."""
        return f"(OCTET_LENGTH({self.remove(text, characters, looked_at=text)}) = 0)"

    def lower(self, text: str) -> str:
        """All of the repertoire, by table."""
        before, after = e.UPPER + e.LATIN_UPPER + e.MORE_UPPER, e.LOWER + e.LATIN_LOWER
        return self._mapped(text, before, after + e.MORE_LOWER)

    def upper(self, text: str) -> str:
        """ASCII, by table."""
        return self._mapped(text, e.LOWER, e.UPPER)

    def lower_ascii(self, text: str) -> str:
        """ASCII, by table."""
        return self._mapped(text, e.UPPER, e.LOWER)

    def sha256(self, text: str) -> str:
        """`SHA2` gives hex."""
        return f"FROM_HEX(SHA2({text}, 256))"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"FROM_HEX({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """PCRE, to the very end: a dollar would also stand before a last line break.

        A pattern is one literal, it is said: control characters stand in it as they are.
        """
        shape = _WHOLE.format(_plainly(pattern.replace(_TO_DASH, _FROM_DASH)))
        return f"(REGEXP_INSTR({text}, {self._pattern(shape)}, 1, 1, 0, 'p') = 1)"

    def contains(self, text: str, pattern: str) -> str:
        """PCRE."""
        return f"(REGEXP_INSTR({text}, {self._pattern(_plainly(pattern))}, 1, 1, 0, 'p') > 0)"

    def extract(self, text: str, pattern: str) -> str:
        """PCRE."""
        return f"REGEXP_SUBSTR({text}, {self._pattern(_plainly(pattern))}, 1, 1, 'p')"

    def _pattern(self, shape: str) -> str:
        return self.literal(shape) if "\\" in shape else "'" + shape.replace("'", "''") + "'"

    def integer(self, text: str) -> str:
        """Branches that are not taken may be worked out, and no text without a digit is cast."""
        return f"TRY_CAST(('0' || {text}) AS INTEGER)"

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"TRANSLATE({text}, {self.literal(before)}, {self.literal(after)})"


def _is_plain(character: str) -> bool:
    return character >= " " and character not in "\\\x7f"


def _plainly(pattern: str) -> str:
    """A pattern without backslashes, but where a class needs one: a mark by itself is a class."""
    made, inside = "", False
    for code, marked, plain in _PARTS.findall(pattern):
        if code:
            made += chr(int(code, 16))
        elif marked in _CONTROLS:
            made += _CONTROLS[marked]
        elif marked and inside:
            made += f"\\{marked}" if marked in "\\]^-[" else marked
        elif marked:
            made += f"[{marked}]"
        else:
            inside = plain == "[" or (inside and plain != "]")
            made += plain
    return made
