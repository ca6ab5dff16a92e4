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
        """RE2 costs much for each character it removes: one alone, or blanks, which most of them
        are, go cheaper. Not where the text itself is one to be worked out.
        """
        if len(characters) == 1:
            return f"replace({text}, {self.literal(characters)}, '')"
        whole = f"regexp_replace({text}, {self.literal(character_class(characters))}, '', 'g')"
        if " " not in characters or "regexp" in text:
            return whole
        others = self.literal(character_class(characters.replace(" ", "")))
        packed = f"replace({text}, ' ', '')"
        return f"CASE WHEN regexp_matches({looked_at}, {others}) THEN {whole} ELSE {packed} END"

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

    def pad(self, text: str, length: int) -> str:
        """`length` gives a number too large for `lpad`."""
        return f"lpad({text}, greatest({length}, length({text})::integer), '0')"
