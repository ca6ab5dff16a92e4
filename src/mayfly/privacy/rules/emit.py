"""The rules as SQL: one small emitter a dialect. The guard keeps what SQL may not touch away."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
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
                    f"WHEN {self.literal(k)} THEN {self.literal(v)}" for k, v in table.items()
                )
                return f"CASE {text} {whens} ELSE {text if keep else 'NULL'} END"
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
                return f"({text} = '')"
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
                return f"({text} IN ({', '.join(self.literal(v) for v in values)}))"
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
                shape = f"{_class(characters)}*{shape}{_class(characters)}*"
            case e.StripWide(text=inner):
                shape = f"{_class(e.SPACES)}*{shape}{_class(e.SPACES)}*"
        return self.full_match(self.text(inner, column), shape)

    def position(self, text: str, part: str) -> str:
        """Position of a part from 1, 0 where absent."""
        return f"strpos({text}, {text_literal(part)})"

    def literal(self, text: str) -> str:
        """A text of a rule's own characters."""
        return text_literal(text)

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
        return f"substr({text}, length({self.before(text, mark)}) + {len(mark) + 1})"

    def pad(self, text: str, length: int) -> str:
        """With zeros on the left up to a length; longer ones are not cut."""
        return f"lpad({text}, greatest({length}, length({text})::integer), '0')"

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
    def only(self, text: str, characters: str) -> str:
        """Whether a text is made of some characters alone."""

    @abstractmethod
    def lower(self, text: str) -> str:
        """Lower case on the repertoire: ASCII and the Latin-1 letters."""

    @abstractmethod
    def lower_ascii(self, text: str) -> str:
        """Lower case of a text that is known to be ASCII."""

    @abstractmethod
    def upper(self, text: str) -> str:
        """Upper case of ASCII letters."""

    @abstractmethod
    def sha256(self, text: str) -> str:
        """SHA-256 of UTF-8 as 32 bytes."""

    @abstractmethod
    def unhex(self, text: str) -> str:
        """Bytes of hex text."""

    @abstractmethod
    def full_match(self, text: str, pattern: str) -> str:
        """Whether the whole text matches a pattern of ASCII classes and counts."""


class DuckdbEmitter(Emitter):
    """RE2 classes instead of `translate`, whose cost grows with the set; `lower` is proven."""

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """RE2 costs much for each character it removes: one alone, or blanks, which most of them
        are, go cheaper. Not where the text itself is one to be worked out.
        """
        if len(characters) == 1:
            return f"replace({text}, {text_literal(characters)}, '')"
        whole = f"regexp_replace({text}, {text_literal(_class(characters))}, '', 'g')"
        if " " not in characters or "regexp" in text:
            return whole
        others = text_literal(_class(characters.replace(" ", "")))
        packed = f"replace({text}, ' ', '')"
        return f"CASE WHEN regexp_matches({looked_at}, {others}) THEN {whole} ELSE {packed} END"

    def only(self, text: str, characters: str) -> str:
        """One pass of RE2."""
        return f"regexp_full_match({text}, {text_literal(_class(characters) + '*')})"

    def lower(self, text: str) -> str:
        """DuckDB's own differs at U+0130 only, which is outside the repertoire."""
        return f"lower({text})"

    def lower_ascii(self, text: str) -> str:
        """On ASCII, which the guard has seen to."""
        return f"lower({text})"

    def upper(self, text: str) -> str:
        """On ASCII."""
        return f"upper({text})"

    def sha256(self, text: str) -> str:
        """`sha256` gives hex."""
        return f"unhex(sha256({text}))"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"unhex({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """RE2."""
        return f"regexp_full_match({text}, {text_literal(pattern)})"


class PostgresEmitter(Emitter):
    """Explicit sets, and the C collation: the same in every locale.

    `translate` looks through its set for every character: patterns and C's own `lower` cost a tenth
    of it and less.
    """

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"translate({text}, {text_literal(characters)}, '')"

    def only(self, text: str, characters: str) -> str:
        """A pattern of the C collation."""
        return self.full_match(text, f"{_class(characters)}*")

    def lower(self, text: str) -> str:
        """ASCII by the C collation, and Latin-1 by table: `lower` depends on the locale."""
        mapped = self._mapped(text, e.UPPER + e.LATIN_UPPER, e.LOWER + e.LATIN_LOWER)
        one_byte_each = f"octet_length({text}) = char_length({text})"
        return f"CASE WHEN {one_byte_each} THEN {self.lower_ascii(text)} ELSE {mapped} END"

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

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"translate({text}, {text_literal(before)}, {text_literal(after)})"


class ClickhouseEmitter(Emitter):
    """Its plain functions count bytes and fold ASCII: those for UTF-8 where characters matter.

    A text that may be null has no array of parts and no cast to a plain number.
    """

    def literal(self, text: str) -> str:
        """A backslash begins an escape."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return "'" + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped) + "'"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """RE2, as in DuckDB."""
        del looked_at
        return f"replaceRegexpAll({text}, {self.literal(_class(characters))}, '')"

    def only(self, text: str, characters: str) -> str:
        """One pass of RE2."""
        return self.full_match(text, f"{_class(characters)}*")

    def lower(self, text: str) -> str:
        """Of Unicode; equal on the repertoire."""
        return f"lowerUTF8({text})"

    def lower_ascii(self, text: str) -> str:
        """Knows no other letters."""
        return f"lower({text})"

    def upper(self, text: str) -> str:
        """Knows no other letters than ASCII's."""
        return f"upper({text})"

    def sha256(self, text: str) -> str:
        """32 bytes, of a type of their own; compared with what is read from hex as a text."""
        return f"CAST(SHA256({text}) AS Nullable(String))"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"unhex({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """Its end of text is not before a last line break."""
        return f"match({text}, {self.literal('^(?:' + pattern + ')$')})"

    def position(self, text: str, part: str) -> str:
        """In bytes; only asked whether there is one."""
        return f"position({text}, {self.literal(part)})"

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

    def after(self, text: str, mark: str) -> str:
        """By place."""
        place = self.position(text, mark)
        rest = f"substring({text}, {place} + {len(mark)})"
        return f"CASE WHEN {place} = 0 THEN '' ELSE {rest} END"

    def pad(self, text: str, length: int) -> str:
        """Of ASCII."""
        return f"leftPad({text}, greatest({length}, length({text})), '0')"

    def integer(self, text: str) -> str:
        """Null stays null."""
        return f"toInt32OrNull({text})"


class MariadbEmitter(Emitter):
    """Each fold is given a collation that is proven, and each result one that compares bytes.

    `||` is OR, `trim` takes a text and no set, and most collations see no blanks at an end.
    """

    def literal(self, text: str) -> str:
        """A backslash begins an escape; control characters stand as they are."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def joined(self, *parts: str) -> str:
        """As a function."""
        return f"concat({', '.join(parts)})"

    def strip(self, text: str, characters: str) -> str:
        """As a pattern."""
        ends = self.literal("^{0}+|{0}+\\z".format(_pcre_class(characters)))
        return f"regexp_replace({text}, {ends}, '')"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """As a pattern."""
        del looked_at
        return f"regexp_replace({text}, {self.literal(_pcre_class(characters))}, '')"

    def only(self, text: str, characters: str) -> str:
        """One pass of PCRE."""
        return self._matched(text, f"{_pcre_class(characters)}*")

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

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"unhex({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """To PCRE the short name of a vertical tab is that of every vertical space."""
        return self._matched(text, pattern.replace("\\v", "\\x0b"))

    def _matched(self, text: str, pattern: str) -> str:
        # A dollar would also stand before a last line break.
        return f"({text} REGEXP {self.literal('^(?:' + pattern + ')' + chr(92) + 'z')})"

    def position(self, text: str, part: str) -> str:
        """In characters."""
        return f"instr({text}, {self.literal(part)})"

    def length(self, text: str) -> str:
        """In characters."""
        return f"char_length({text})"

    def before(self, text: str, mark: str) -> str:
        """All of it where there is none."""
        return f"substring_index({text}, {self.literal(mark)}, 1)"

    def after(self, text: str, mark: str) -> str:
        """By place."""
        place = self.position(text, mark)
        rest = f"substr({text}, {place} + {len(mark)})"
        return f"CASE WHEN {place} = 0 THEN '' ELSE {rest} END"

    def pad(self, text: str, length: int) -> str:
        """Longer ones are not cut."""
        return f"lpad({text}, greatest({length}, char_length({text})), '0')"

    def integer(self, text: str) -> str:
        """Signed."""
        return f"CAST({text} AS signed)"


class SparkEmitter(Emitter):
    """Folds by table: `lower` follows the JVM's language, in which I may be another letter."""

    def literal(self, text: str) -> str:
        """A backslash begins an escape, and two quotes are no quote."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + "'"

    def strip(self, text: str, characters: str) -> str:
        """A set."""
        return f"trim(BOTH {self.literal(characters)} FROM {text})"

    def remove(self, text: str, characters: str, *, looked_at: str) -> str:
        """Characters without a partner are removed."""
        del looked_at
        return f"translate({text}, {self.literal(characters)}, '')"

    def only(self, text: str, characters: str) -> str:
        """One pass of Java's patterns."""
        return self._matched(text, f"{_pcre_class(characters)}*")

    def lower(self, text: str) -> str:
        """ASCII and Latin-1."""
        return self._mapped(text, e.UPPER + e.LATIN_UPPER, e.LOWER + e.LATIN_LOWER)

    def lower_ascii(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.UPPER, e.LOWER)

    def upper(self, text: str) -> str:
        """ASCII."""
        return self._mapped(text, e.LOWER, e.UPPER)

    def sha256(self, text: str) -> str:
        """`sha2` gives hex."""
        return f"unhex(sha2({text}, 256))"

    def unhex(self, text: str) -> str:
        """Bytes of hex text."""
        return f"unhex({text})"

    def full_match(self, text: str, pattern: str) -> str:
        """To Java, too, the short name of a vertical tab is that of every vertical space."""
        return self._matched(text, pattern.replace("\\v", "\\x0b"))

    def position(self, text: str, part: str) -> str:
        """In characters."""
        return f"instr({text}, {self.literal(part)})"

    def pad(self, text: str, length: int) -> str:
        """Longer ones are not cut."""
        return f"lpad({text}, greatest({length}, length({text})), '0')"

    def integer(self, text: str) -> str:
        """Branches that are not taken may be worked out."""
        return f"try_cast({text} AS int)"

    def _matched(self, text: str, pattern: str) -> str:
        # A dollar would also stand before a last line break.
        return f"({text} RLIKE {self.literal('^(?:' + pattern + ')' + chr(92) + 'z')})"

    def _mapped(self, text: str, before: str, after: str) -> str:
        return f"translate({text}, {self.literal(before)}, {self.literal(after)})"


_FOLDING = "utf8mb4_uca1400_ai_ci"
_BYTES = "utf8mb4_nopad_bin"


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


def _class(characters: str) -> str:
    """A character class; every ASCII mark is escaped, control characters by code."""
    return "[" + "".join(_escaped(c) for c in characters) + "]"


def _pcre_class(characters: str) -> str:
    return _class(characters).replace("\\v", "\\x0b")


_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\v": "\\v"}


def _escaped(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]  # the one spelling that both dialects read
    if not character.isprintable():
        return f"\\x{{{ord(character):x}}}"
    if character.isascii() and not character.isalnum() and character != " ":
        return "\\" + character
    return character


EMITTERS: dict[str, Callable[[], Emitter]] = {
    "duckdb": DuckdbEmitter,
    "postgres": PostgresEmitter,
    "clickhouse": ClickhouseEmitter,
    "mariadb": MariadbEmitter,
    "spark": SparkEmitter,
}
