"""BigQuery."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.privacy.rules.emitters.base import Emitter, character_class

_ESCAPES = {
    "\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\v": "\\v",
    **{chr(n): f"\\x{n:02x}" for n in (*range(9), *range(14, 32), 127)},
}  # fmt: skip


class BigqueryEmitter(Emitter):
    """RE2 classes; `LOWER` and `UPPER` follow Unicode, whatever the locale."""

    def literal(self, text: str) -> str:
        """A backslash begins an escape, and two quotes are no quote."""
        return "'" + "".join(_ESCAPES.get(c, c) for c in text) + "'"

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """VALUES stand in no FROM."""
        rows = ", ".join(f"({n}, {self.literal(t)})" for n, t in enumerate(texts))
        kind = f"ARRAY<STRUCT<{number} INT64, {text} STRING>>"
        return f"UNNEST({kind}[{rows}]) AS mf_probe"

    def joined(self, *parts: str) -> str:
        """As a function."""
        return f"CONCAT({', '.join(parts)})"

    def strip(self, text: str, characters: str) -> str:
        """`TRIM` takes a set of characters."""
        return f"TRIM({text}, {self.literal(characters)})"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """As a pattern; of one character alone as a text."""
        del looked_at
        if len(characters) == 1:
            return f"REPLACE({text}, {self.literal(characters)}, '')"
        return f"REGEXP_REPLACE({text}, {self.literal(character_class(characters))}, '')"

    def lower(self, text: str) -> str:
        """By Unicode."""
        return f"LOWER({text})"

    def sha256(self, text: str) -> str:
        """Bytes, of UTF-8."""
        return f"SHA256({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """RE2, in which a dollar stands at the text's end alone."""
        return f"REGEXP_CONTAINS({text}, {self.literal(f'^(?:{pattern})$')})"

    def contains(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"REGEXP_CONTAINS({text}, {self.literal(pattern)})"

    def extract(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"REGEXP_EXTRACT({text}, {self.literal(pattern)})"

    def found(self, text: str, part: str) -> str:
        """In characters."""
        return f"STRPOS({text}, {part})"

    def length(self, text: str) -> str:
        """In characters."""
        return f"CHAR_LENGTH({text})"

    def before(self, text: str, mark: str) -> str:
        """All of it where there is none."""
        return f"SPLIT({text}, {self.literal(mark)})[SAFE_OFFSET(0)]"

    def integer(self, text: str) -> str:
        """Branches that are not taken may be worked out."""
        return f"SAFE_CAST({text} AS INT64)"

    def unhex(self, text: str) -> str:
        """Of hex digits in whatever case."""
        return f"FROM_HEX({text})"

    def pad(self, text: str, length: int) -> str:
        """Of zeros, no fewer than none."""
        return f"CONCAT(REPEAT('0', GREATEST(0, {length} - {self.length(text)})), {text})"
