"""PostgreSQL."""

from __future__ import annotations

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters.base import Emitter, text_literal


class PostgresEmitter(Emitter):
    """Explicit sets, and the C collation: the same in every locale.

    `translate` looks through its set for every character: patterns and C's own `lower` cost a tenth
    of it and less.
    """

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"translate({text}, {text_literal(characters)}, '')"

    def lower(self, text: str) -> str:
        """ASCII by the C collation, the rest by table: `lower` depends on the locale."""
        latin = (e.UPPER + e.LATIN_UPPER, e.LOWER + e.LATIN_LOWER)
        wide = (latin[0] + e.MORE_UPPER, latin[1] + e.MORE_LOWER)
        one_byte_each = f"octet_length({text}) = char_length({text})"
        return (
            f"CASE WHEN {one_byte_each} THEN {self.lower_ascii(text)} "
            f"WHEN {self.only(text, e.NAME_MARKS + e.DIGITS + e.UPPER + e.LOWER + e.LATIN_1)} "
            f"THEN {self._mapped(text, *latin)} ELSE {self._mapped(text, *wide)} END"
        )

    def lower_ascii(self, text: str) -> str:
        """The C collation knows no other letters."""
        return f'lower(({text}) COLLATE "C")'

    def upper(self, text: str) -> str:
        """ASCII by table."""
        return self._mapped(text, e.LOWER, e.UPPER)

    def sha256(self, text: str) -> str:
        """`sha256` takes bytes."""
        return f"sha256(convert_to({text}, 'UTF8'))"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"decode({text}, 'hex')"

    def full_match(self, text: str, pattern: str) -> str:
        """Anchored at both ends; `~` of the C collation."""
        return f'(({text}) COLLATE "C" ~ {text_literal("^(?:" + pattern + ")$")})'

    def contains(self, text: str, pattern: str) -> str:
        """`~` of the C collation."""
        return f'(({text}) COLLATE "C" ~ {text_literal(pattern)})'

    def extract(self, text: str, pattern: str) -> str:
        """Without groups that capture, all of it."""
        return f'substring(({text}) COLLATE "C" from {text_literal(pattern)})'

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"translate({text}, {text_literal(before)}, {text_literal(after)})"
