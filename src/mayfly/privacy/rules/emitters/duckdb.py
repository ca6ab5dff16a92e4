"""DuckDB."""

from __future__ import annotations

from mayfly.privacy.rules.emitters.base import Emitter, character_class, text_literal


class DuckdbEmitter(Emitter):
    """RE2 classes instead of `translate`, whose cost grows with the set; `lower` is proven."""

    def literal(self, text: str) -> str:
        """Letters beyond ASCII as the bytes that they are: the client counts the characters of any
        other statement one by one, each time, which takes longer than the statement.
        """
        if text.isascii() or not text.isprintable():
            return text_literal(text)
        doubled = text.replace("\\", r"\\").replace("'", "''").encode()
        letters = (chr(b) if b < 0x80 else f"\\x{b:02X}" for b in doubled)
        return f"E'{''.join(letters)}'"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """RE2 costs much for each character it removes: blanks, which most of them are, go before.

        Without CASE: DuckDB works out functions of functions once for each value of a dictionary.
        """
        del looked_at
        packed = f"replace({text}, ' ', '')" if " " in characters else text
        others = characters.replace(" ", "")
        if not others:
            return packed
        if len(others) == 1:
            return f"replace({packed}, {self.literal(others)}, '')"
        return f"regexp_replace({packed}, {self.literal(character_class(others))}, '', 'g')"

    def lower(self, text: str) -> str:
        """DuckDB's own differs at U+0130 only, which is outside the repertoire."""
        return f"lower({text})"

    def sha256(self, text: str) -> str:
        """`sha256` gives hex."""
        return f"unhex(sha256({text}))"

    def full_match(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"regexp_full_match({text}, {self.literal(pattern)})"

    def contains(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"regexp_matches({text}, {self.literal(pattern)})"

    def extract(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"regexp_extract({text}, {self.literal(pattern)})"

    def pad(self, text: str, length: int) -> str:
        """`length` gives a number too large for `lpad`."""
        return f"lpad({text}, greatest({length}, length({text})::integer), '0')"
