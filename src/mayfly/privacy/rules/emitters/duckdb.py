"""DuckDB."""

from __future__ import annotations

from mayfly.privacy.rules.emitters.base import Emitter, character_class, text_literal


class DuckdbEmitter(Emitter):
    """RE2 classes instead of `translate`, whose cost grows with the set; `lower` is proven."""

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """RE2 costs much for each character it removes: one alone, or blanks, which most of them
        are, go cheaper. Not where the text itself is one to be worked out.
        """
        if len(characters) == 1:
            return f"replace({text}, {text_literal(characters)}, '')"
        whole = f"regexp_replace({text}, {text_literal(character_class(characters))}, '', 'g')"
        if " " not in characters or "regexp" in text:
            return whole
        others = text_literal(character_class(characters.replace(" ", "")))
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
        return f"regexp_full_match({text}, {text_literal(pattern)})"

    def pad(self, text: str, length: int) -> str:
        """`length` gives a number too large for `lpad`."""
        return f"lpad({text}, greatest({length}, length({text})::integer), '0')"
