"""The rules as SQL. The guard keeps what SQL may not touch away."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from mayfly.privacy.rules import expression as e

# Printable ASCII without `@`, and without `@` and `.`: the guard keeps all else away.
PLAIN = "[!-?A-~]+@[!-?A-~]+"
BASE64_DIGEST = "[A-Za-z0-9+/]{43}="
OTHER_DIGEST = (
    "(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})"
)
LABELS = "[!-?A-~]+@[!-\\-/-?A-~]+([.][!-\\-/-?A-~]+)+"


def text_literal(text: str) -> str:
    """A text literal of a rule's own characters, control characters escaped by `chr`."""
    if all(c.isprintable() for c in text):
        return "'" + text.replace("'", "''") + "'"
    return "(" + " || ".join(f"chr({ord(c)})" for c in text) + ")"


class Emitter(ABC):
    """Walks a rule's tree and writes one expression over a column."""

    def text(self, node: e.Text, column: str) -> str:
        """SQL of a text node."""
        match node:
            case e.Value():
                return column
            case e.Case(condition, then, other):
                return (
                    f"CASE WHEN {self.condition(condition, column)} THEN "
                    f"{self.text(then, column)} ELSE {self.text(other, column)} END"
                )
            case e.Join(parts):
                made = [
                    self.literal(p) if isinstance(p, str) else self.text(p, column) for p in parts
                ]
                return self.joined(*made)
            case e.Remove(characters=characters):
                return self._removed(node.text, column, characters)
            case e.LettersOnly(digits=digits):
                marks = e.NAME_MARKS + e.SPACES.strip(" ") + ("" if digits else e.DIGITS)
                return self._removed(node.text, column, marks)
        return self._apply(node, self.text(node.text, column))

    def _removed(self, node: e.Text, column: str, characters: str) -> str:
        kept = _unstripped(node, characters)
        # No letter's lower case is among what rules remove: it may be looked for before the fold.
        looked_at = kept.text if isinstance(kept, e.Lower) else kept
        return self.remove(
            self.text(kept, column), characters, looked_at=self.text(looked_at, column)
        )

    def _apply(self, node: e.Text, text: str) -> str:
        match node:
            case e.Strip(characters=characters):
                return self.strip(text, characters)
            case e.StripWide():
                return self.strip(text, e.SPACES)
            case e.Lower(ascii_only=ascii_only):
                return self.lower_ascii(text) if ascii_only else self.lower(text)
            case e.Upper():
                return self.upper(text)
            case e.Left(length=length):
                return self.left(text, length)
            case e.Before(mark=mark):
                return self.before(text, mark)
            case e.After(mark=mark):
                return self.after(text, mark)
            case e.Pad(length=length):
                return self.pad(text, length)
            case e.Lookup(table=table, keep=keep):
                whens = " ".join(
                    f"WHEN {self.compared_literal(k)} THEN {self.literal(v)}"
                    for k, v in table.items()
                )
                return f"CASE {self.compared(text)} {whens} ELSE {text if keep else 'NULL'} END"
        raise TypeError("not a text node")

    def condition(self, node: e.Condition, column: str) -> str:
        """SQL of a condition; it may be null where the text is."""
        match node:
            case e.All(conditions):
                return "(" + " AND ".join(self.condition(c, column) for c in conditions) + ")"
            case e.Not(condition):
                return f"(NOT {self.condition(condition, column)})"
            case e.EmailShape():
                return self._email_shape(node, column)
        text = self.text(node.text, column)
        match node:
            case e.Only(characters=""):
                return f"({self.compared(text)} = {self.compared_literal('')})"
            case e.Only(characters=characters):
                return self.only(text, characters)
            case e.Length(least=least, most=most):
                return f"({self.length(text)} BETWEEN {least} AND {most})"
            case e.Count(mark=mark, number=number):
                without = f"replace({text}, {self.literal(mark)}, '')"
                return f"(length({text}) - length({without}) = {number * len(mark)})"
            case e.Has(part=part):
                return f"({self.position(text, part)} > 0)"
            case e.In(values=values):
                listed = ", ".join(self.compared_literal(v) for v in values)
                return f"({self.compared(text)} IN ({listed}))"
            case e.Between(least=least, most=most):
                digits = f"(length({text}) BETWEEN 1 AND 4 AND {self.only(text, e.DIGITS)})"
                return (
                    f"(CASE WHEN {digits} THEN {self.integer(text)} "
                    f"BETWEEN {least} AND {most} ELSE FALSE END)"
                )
        raise TypeError("not a condition")

    def _email_shape(self, node: e.EmailShape, column: str) -> str:
        """The spaces that are stripped stand in the pattern: one pass over the raw column."""
        shape = LABELS if node.labels else PLAIN
        inner = node.text.text if isinstance(node.text, e.Lower) else node.text
        match inner:
            case e.Strip(text=inner, characters=characters):
                shape = f"{character_class(characters)}*{shape}{character_class(characters)}*"
            case e.StripWide(text=inner):
                shape = f"{character_class(e.SPACES)}*{shape}{character_class(e.SPACES)}*"
        return self.full_match(self.text(inner, column), shape)

    def position(self, text: str, part: str) -> str:
        """Position of a part from 1, 0 where absent."""
        return self.found(text, self.literal(part))

    def found(self, text: str, part: str) -> str:
        """As `position`, of a part that is itself SQL."""
        return f"strpos({text}, {part})"

    def literal(self, text: str) -> str:
        """A text of a rule's own characters."""
        return text_literal(text)

    def compared(self, text: str) -> str:
        """A text as one side of a comparison that tells texts apart by all their characters."""
        return text

    def compared_literal(self, text: str) -> str:
        """A rule's own text as the other side."""
        return self.literal(text)

    def rows(self, number: str, text: str, texts: Sequence[str]) -> str:
        """FROM item of some texts with their places, in columns of two names."""
        rows = ", ".join(f"({n}, {self.literal(t)})" for n, t in enumerate(texts))
        return f"(VALUES {rows}) AS mf_probe ({number}, {text})"

    def is_not_true(self, condition: str) -> str:
        """Whether a condition is false or null."""
        return f"{condition} IS NOT TRUE"

    def joined(self, *parts: str) -> str:
        """Texts in a row."""
        return "(" + " || ".join(parts) + ")"

    def strip(self, text: str, characters: str) -> str:
        """Without some characters at both ends."""
        return f"trim(BOTH {self.literal(characters)} FROM {text})"

    def length(self, text: str) -> str:
        """Number of characters."""
        return f"length({text})"

    def left(self, text: str, length: int) -> str:
        """The first characters."""
        return f"substr({text}, 1, {length})"

    def before(self, text: str, mark: str) -> str:
        """What stands before a mark, all of it where there is none."""
        return f"split_part({text}, {self.literal(mark)}, 1)"

    def after(self, text: str, mark: str) -> str:
        """What stands after a mark, nothing where there is none."""
        place = self.position(text, mark)
        rest = f"substr({text}, {place} + {len(mark)})"
        return f"CASE WHEN {place} = 0 THEN '' ELSE {rest} END"

    def pad(self, text: str, length: int) -> str:
        """With zeros on the left up to a length; longer ones are not cut."""
        return f"lpad({text}, greatest({length}, {self.length(text)}), '0')"

    def integer(self, text: str) -> str:
        """The number that a text of digits is."""
        return f"CAST({text} AS integer)"

    @abstractmethod
    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Without some characters.

        Args:
            text: to take them out of.
            characters: no letters.
            looked_at: a cheaper text, which holds them wherever `text` does.
        """

    @abstractmethod
    def lower(self, text: str) -> str:
        """Lower case on the repertoire, `NAME_LETTERS` and marks."""

    @abstractmethod
    def sha256(self, text: str) -> str:
        """SHA-256 of UTF-8 as 32 bytes."""

    @abstractmethod
    def full_match(self, text: str, pattern: str) -> str:
        """Whether the whole text matches a pattern of ASCII classes and counts."""

    @abstractmethod
    def contains(self, text: str, pattern: str) -> str:
        """Whether a pattern of ASCII classes, counts and ends matches anywhere in the text."""

    @abstractmethod
    def extract(self, text: str, pattern: str) -> str:
        """The first part of a text that such a pattern matches; null or empty where none does."""

    def numbered(self, text: str) -> str:
        """With each capital letter of ASCII as its number, of which A is 10."""
        for place, letter in enumerate(e.UPPER):
            text = f"replace({text}, '{letter}', '{place + 10}')"
        return text

    def only(self, text: str, characters: str) -> str:
        """Whether a text is made of some characters alone."""
        return self.full_match(text, f"{character_class(characters)}*")

    def lower_ascii(self, text: str) -> str:
        """Lower case of a text that is known to be ASCII."""
        return f"lower({text})"

    def upper(self, text: str) -> str:
        """Upper case of ASCII letters."""
        return f"upper({text})"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"unhex({text})"


def _unstripped(node: e.Text, removed: str) -> e.Text:
    """The text without stripping that a removal of the same characters makes needless."""
    match node:
        case e.Lower(text=inner):
            return replace(node, text=_unstripped(inner, removed))
        case e.Strip(text=inner, characters=characters) if set(characters) <= set(removed):
            return _unstripped(inner, removed)
        case e.StripWide(text=inner) if set(e.SPACES) <= set(removed):
            return _unstripped(inner, removed)
    return node


def character_class(characters: str) -> str:
    """A character class; every ASCII mark is escaped, control characters by code.

    Letters in a row are a range, so that hundreds of them stay short.
    """
    runs: list[tuple[str, str]] = []
    for c in characters:
        first, last = runs[-1] if runs else ("", "")
        if last and c.isalnum() and last.isalnum() and ord(c) == ord(last) + 1:
            runs[-1] = first, c
        else:
            runs.append((c, c))
    return "[" + "".join(_run(*run) for run in runs) + "]"


def _run(first: str, last: str) -> str:
    if ord(last) - ord(first) < 3:
        return "".join(_escaped(chr(c)) for c in range(ord(first), ord(last) + 1))
    return f"{first}-{last}"


_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\v": "\\v"}


def _escaped(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]  # the one spelling that both dialects read
    if not character.isprintable():
        return f"\\x{{{ord(character):x}}}"
    if character.isascii() and not character.isalnum() and character != " ":
        return "\\" + character
    return character


def pattern_class(characters: str) -> str:
    """A character class to PCRE and Java: there the short name of a vertical tab is that of every
    vertical space.
    """
    return spelled(character_class(characters))


def spelled(pattern: str) -> str:
    """A pattern with its vertical tabs by code."""
    return pattern.replace("\\v", "\\x0b")


def anchored(pattern: str) -> str:
    """A pattern of a whole text to PCRE and Java: a dollar would also stand before a last line
    break.
    """
    return f"^(?:{spelled(pattern)})\\z"
