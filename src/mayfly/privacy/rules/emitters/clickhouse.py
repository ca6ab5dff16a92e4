"""ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.privacy.rules.emitters.base import Emitter, character_class


class ClickhouseEmitter(Emitter):
    """Its plain functions count bytes and fold ASCII: those for UTF-8 where characters matter.

    A text that may be null has no array of parts and no cast to a plain number.
    """

    def literal(self, text: str) -> str:
        """A backslash begins an escape, of bytes and not of characters."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        kept = (c if c.isprintable() or not c.isascii() else f"\\x{ord(c):02x}" for c in escaped)
        return f"'{''.join(kept)}'"

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """Its own function: the standard's list of rows came late."""
        rows = ", ".join(f"({n}, {self.literal(t)})" for n, t in enumerate(texts))
        return f"values('{number} UInt32, {text} String', {rows}) AS mf_probe"

    def is_not_true(self, condition: str) -> str:
        """The standard's word came late, too."""
        return f"coalesce(NOT ({condition}), TRUE)"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """RE2, as in DuckDB."""
        del looked_at
        return f"replaceRegexpAll({text}, {self.literal(character_class(characters))}, '')"

    def lower(self, text: str) -> str:
        """Of Unicode; equal on the repertoire."""
        return f"lowerUTF8({text})"

    def sha256(self, text: str) -> str:
        """32 bytes, of a type of their own, as a text like those read from hex; a cast would drop
        zero bytes at the end.
        """
        return f"concat(SHA256({text}), '')"

    def full_match(self, text: str, pattern: str) -> str:
        """Its end of text is not before a last line break."""
        return f"match({text}, {self.literal('^(?:' + pattern + ')$')})"

    def contains(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"match({text}, {self.literal(pattern)})"

    def extract(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"extract({text}, {self.literal(pattern)})"

    def found(self, text: str, part: str) -> str:
        """In bytes; only asked whether there is one, or of ASCII."""
        return f"position({text}, {part})"

    def length(self, text: str) -> str:
        """In characters."""
        return f"lengthUTF8({text})"

    def left(self, text: str, length: int) -> str:
        """In characters."""
        return f"substringUTF8({text}, 1, {length})"

    def before(self, text: str, mark: str) -> str:
        """By place: in bytes, which the mark's place and the cut share."""
        place = self.position(text, mark)
        return f"CASE WHEN {place} = 0 THEN {text} ELSE substring({text}, 1, {place} - 1) END"

    def pad(self, text: str, length: int) -> str:
        """Of ASCII."""
        return f"leftPad({text}, greatest({length}, length({text})), '0')"

    def integer(self, text: str) -> str:
        """Null stays null."""
        return f"toInt32OrNull({text})"
