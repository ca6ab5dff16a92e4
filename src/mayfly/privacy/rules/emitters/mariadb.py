"""MariaDB."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.privacy.rules.emitters.base import Emitter, anchored, pattern_class, spelled

_FOLDING = "utf8mb4_uca1400_ai_ci"
_BYTES = "utf8mb4_nopad_bin"


class MariadbEmitter(Emitter):
    """Each fold is given a collation that is proven, and each result one that compares bytes.

    `||` is OR, `trim` takes a text and no set, and most collations see no blanks at an end.
    """

    def literal(self, text: str) -> str:
        """A backslash begins an escape; control characters stand as they are."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """No columns of VALUES can be named."""
        first, *others = (f"{n}, {self.literal(t)}" for n, t in enumerate(texts))
        names = f"SELECT 0 AS {number}, '' AS {text} FROM (SELECT 1 AS one) AS mf_no WHERE FALSE"
        selects = " UNION ALL ".join(f"SELECT {row}" for row in (first, *others))
        return f"({names} UNION ALL {selects}) AS mf_probe"

    def joined(self, *parts: str) -> str:
        """As a function."""
        return f"concat({', '.join(parts)})"

    def strip(self, text: str, characters: str) -> str:
        """As a pattern."""
        ends = self.literal("^{0}+|{0}+\\z".format(pattern_class(characters)))
        return f"regexp_replace({text}, {ends}, '')"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """As a pattern."""
        del looked_at
        return f"regexp_replace({text}, {self.literal(pattern_class(characters))}, '')"

    def lower(self, text: str) -> str:
        """By the one collation whose fold is that of Unicode whatever the column's is."""
        return f"(lower({text} COLLATE {_FOLDING}) COLLATE {_BYTES})"

    def lower_ascii(self, text: str) -> str:
        """As any other: a Turkish column folds I otherwise."""
        return self.lower(text)

    def upper(self, text: str) -> str:
        """As `lower`."""
        return f"(upper({text} COLLATE {_FOLDING}) COLLATE {_BYTES})"

    def sha256(self, text: str) -> str:
        """Of the bytes of UTF-8."""
        return f"unhex(sha2(convert({text} USING utf8mb4), 256))"

    def full_match(self, text: str, pattern: str) -> str:
        """PCRE."""
        return f"({text} REGEXP {self.literal(anchored(pattern))})"

    def contains(self, text: str, pattern: str) -> str:
        """PCRE."""
        return f"({text} REGEXP {self.literal(spelled(pattern))})"

    def extract(self, text: str, pattern: str) -> str:
        """PCRE."""
        return f"regexp_substr({text}, {self.literal(spelled(pattern))})"

    def found(self, text: str, part: str) -> str:
        """In characters."""
        return f"instr({text}, {part})"

    def length(self, text: str) -> str:
        """In characters."""
        return f"char_length({text})"

    def before(self, text: str, mark: str) -> str:
        """All of it where there is none."""
        return f"substring_index({text}, {self.literal(mark)}, 1)"

    def integer(self, text: str) -> str:
        """Signed."""
        return f"CAST({text} AS signed)"
