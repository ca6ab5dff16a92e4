"""SQLite, whose sessions lend it what it lacks: functions `mf_…` of this process."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.privacy.rules.emitters.base import Emitter


class SqliteEmitter(Emitter):
    """Its own functions fold ASCII alone and know no patterns."""

    def literal(self, text: str) -> str:
        """Control characters stand as they are."""
        return "'" + text.replace("'", "''") + "'"

    def strip(self, text: str, characters: str) -> str:
        """`trim` takes a set."""
        return f"trim({text}, {self.literal(characters)})"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Lent; one alone goes cheaper."""
        del looked_at
        if len(characters) == 1:
            return f"replace({text}, {self.literal(characters)}, '')"
        return f"mf_remove({text}, {self.literal(characters)})"

    def lower(self, text: str) -> str:
        """Lent: Python's own, which the rules are written in."""
        return f"mf_lower({text})"

    def sha256(self, text: str) -> str:
        """Lent."""
        return f"mf_sha256({text})"

    def unhex(self, text: str) -> str:
        """Lent: SQLite has it from 3.41 on."""
        return f"mf_unhex({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """Lent."""
        return f"mf_matches({text}, {self.literal(pattern)})"

    def contains(self, text: str, pattern: str) -> str:
        """Lent."""
        return f"mf_contains({text}, {self.literal(pattern)})"

    def numbered(self, text: str) -> str:
        """Lent by the session: so many functions in one another it does not parse."""
        return f"mf_numbered({text})"

    def extract(self, text: str, pattern: str) -> str:
        """Lent by the session."""
        return f"mf_extract({text}, {self.literal(pattern)})"

    def found(self, text: str, part: str) -> str:
        """In characters."""
        return f"instr({text}, {part})"

    def before(self, text: str, mark: str) -> str:
        """By place."""
        place = self.position(text, mark)
        return f"CASE WHEN {place} = 0 THEN {text} ELSE substr({text}, 1, {place} - 1) END"

    def pad(self, text: str, length: int) -> str:
        """The zeros that are missing, if any."""
        zeros = self.literal("0" * length)
        return f"substr({zeros}, 1, max(0, {length} - length({text}))) || {text}"

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """Its VALUES have columns of their own names."""
        rows = ", ".join(f"({n}, {self.literal(t)})" for n, t in enumerate(texts))
        return f"(SELECT column1 AS {number}, column2 AS {text} FROM (VALUES {rows})) AS mf_probe"
