"""Spark."""

from __future__ import annotations

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters.base import Emitter, anchored, spelled


class SparkEmitter(Emitter):
    """Folds by table: `lower` follows the JVM's language, in which I may be another letter."""

    def literal(self, text: str) -> str:
        """A backslash begins an escape, and two quotes are no quote."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return "'" + "".join(c if c.isprintable() else _by_code(c) for c in escaped) + "'"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"translate({text}, {self.literal(characters)}, '')"

    def lower(self, text: str) -> str:
        """All of the repertoire."""
        before, after = e.UPPER + e.LATIN_UPPER + e.MORE_UPPER, e.LOWER + e.LATIN_LOWER
        return self._mapped(text, before, after + e.MORE_LOWER)

    def lower_ascii(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.UPPER, e.LOWER)

    def upper(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.LOWER, e.UPPER)

    def sha256(self, text: str) -> str:
        """`sha2` gives hex."""
        return f"unhex(sha2({text}, 256))"

    def full_match(self, text: str, pattern: str) -> str:
        """Java's patterns."""
        return f"({text} RLIKE {self.literal(anchored(pattern))})"

    def contains(self, text: str, pattern: str) -> str:
        """Java's patterns."""
        return f"({text} RLIKE {self.literal(spelled(pattern))})"

    def extract(self, text: str, pattern: str) -> str:
        """Java's patterns."""
        return f"regexp_extract({text}, {self.literal(spelled(pattern))}, 0)"

    def found(self, text: str, part: str) -> str:
        """In characters."""
        return f"instr({text}, {part})"

    def integer(self, text: str) -> str:
        """Branches that are not taken may be worked out."""
        return f"try_cast({text} AS int)"

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"translate({text}, {self.literal(before)}, {self.literal(after)})"


def _by_code(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
