"""Snowflake."""

from __future__ import annotations

import re
from itertools import groupby

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters.base import Emitter

_CONTROLS = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\f": "\f", "\\v": "\v"}
_BY_CODE = re.compile(r"\\x\{([0-9a-f]+)\}|\\[tnrfv]")


class SnowflakeEmitter(Emitter):
    """Sets by `translate`, folds by table: patterns are left to what nothing else can say."""

    def literal(self, text: str) -> str:
        """A backslash begins an escape; control characters by code."""
        if not text:
            return "''"
        parts = []
        for plain, run in groupby(text, str.isprintable):
            if plain:
                parts.append("'" + "".join(run).replace("\\", "\\\\").replace("'", "''") + "'")
            else:
                parts += [f"CHR({ord(c)})" for c in run]
        return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"

    def strip(self, text: str, characters: str) -> str:
        """The text comes first."""
        return f"TRIM({text}, {self.literal(characters)})"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"TRANSLATE({text}, {self.literal(characters)}, '')"

    def only(self, text: str, characters: str) -> str:
        """Nothing is left without them."""
        return f"({self.remove(text, characters, looked_at=text)} = '')"

    def lower(self, text: str) -> str:
        """All of the repertoire, whatever the column's collation."""
        before, after = e.UPPER + e.LATIN_UPPER + e.MORE_UPPER, e.LOWER + e.LATIN_LOWER
        return self._mapped(text, before, after + e.MORE_LOWER)

    def lower_ascii(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.UPPER, e.LOWER)

    def upper(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.LOWER, e.UPPER)

    def sha256(self, text: str) -> str:
        """Of the bytes of UTF-8."""
        return f"SHA2_BINARY({text}, 256)"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"TO_BINARY({text}, 'HEX')"

    def full_match(self, text: str, pattern: str) -> str:
        """Anchored by itself, without groups that do not capture; control characters themselves."""
        return f"REGEXP_LIKE({text}, {self.literal(_shape(pattern))})"

    def contains(self, text: str, pattern: str) -> str:
        """With anything around it, line breaks included."""
        return f"REGEXP_LIKE({text}, {self.literal(f'.*({_shape(pattern)}).*')}, 's')"

    def extract(self, text: str, pattern: str) -> str:
        """All of it, whatever its groups."""
        return f"REGEXP_SUBSTR({text}, {self.literal(_shape(pattern))})"

    def found(self, text: str, part: str) -> str:
        """In characters."""
        return f"POSITION({part}, {text})"

    def integer(self, text: str) -> str:
        """Branches that are not taken may be worked out."""
        return f"TRY_TO_NUMBER({text})"

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"TRANSLATE({text}, {self.literal(before)}, {self.literal(after)})"


def _shape(pattern: str) -> str:
    return _BY_CODE.sub(_character, pattern).replace("(?:", "(")


def _character(found: re.Match[str]) -> str:
    code = found.group(1)
    return _CONTROLS[found.group(0)] if code is None else chr(int(code, 16))
