"""The expression a match-hash rule is made of: explicit character sets, no engine's own trim.

A value is `Value()`; each node takes text and gives text, each condition takes text and gives a
truth. SQL emitters and the Python evaluator walk the same tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SPACES = " \t\n\r\f\v"
NO_BREAK = "\u00a0"
DIGITS = "0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
LATIN_UPPER = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞ"
LATIN_LOWER = LATIN_UPPER.lower()
PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F))
LATIN_1 = LATIN_UPPER + LATIN_LOWER + "ßÿ"
# Further letters of Latin, Greek and Cyrillic, each composed by itself, whose lower case is one
# letter and the same on every engine. Not U+0130, U+0131, U+0149, U+017F, U+1E9E and the large
# sigma, whose lower case depends on locale, place or version.
_RANGES = "Āį Ĳķ Ĺň Ŋž ƏƏ Ơơ Ưư Ǎǜ Ǟǯ Ǵǵ Ǹț Ȟȟ Ȧȳ əə ΆΆ ΈΊ ΌΌ ΎΡ Τώ Ѐџ Ҋԯ Ḁẕ Ạỹ"
MORE_LETTERS = "".join(
    chr(c) for pair in _RANGES.split() for c in range(ord(pair[0]), ord(pair[1]) + 1)
)
MORE_UPPER = "".join(c for c in MORE_LETTERS if c.lower() != c)
MORE_LOWER = MORE_UPPER.lower()
NAME_MARKS = " '-.,"
NAME_LETTERS = UPPER + LOWER + LATIN_1 + MORE_LETTERS


@dataclass(frozen=True)
class Value:
    """The input."""


@dataclass(frozen=True)
class Strip:
    """Without these characters at both ends."""

    text: Text
    characters: str


@dataclass(frozen=True)
class StripWide:
    """Without white space of any script at both ends; SQL handles its repertoire's only."""

    text: Text


@dataclass(frozen=True)
class Remove:
    """Without these characters anywhere."""

    text: Text
    characters: str


@dataclass(frozen=True)
class LettersOnly:
    """Without white space, punctuation, symbols and, if asked, digits, of any script."""

    text: Text
    digits: bool = True


@dataclass(frozen=True)
class Lower:
    """Lower case; ASCII only where asked."""

    text: Text
    ascii_only: bool = False


@dataclass(frozen=True)
class Upper:
    """Upper case of ASCII letters."""

    text: Text


@dataclass(frozen=True)
class Left:
    """The first characters."""

    text: Text
    length: int


@dataclass(frozen=True)
class Before:
    """What stands before the first occurrence; all of it where there is none."""

    text: Text
    mark: str


@dataclass(frozen=True)
class After:
    """What stands after the first occurrence; empty where there is none."""

    text: Text
    mark: str


@dataclass(frozen=True)
class Join:
    """Parts in a row."""

    parts: tuple[Text | str, ...]


@dataclass(frozen=True)
class Pad:
    """With zeros on the left up to a length."""

    text: Text
    length: int


@dataclass(frozen=True)
class Lookup:
    """A closed table; what is not in it stays, or is absent."""

    text: Text
    table: Mapping[str, str] = field(hash=False)
    keep: bool = True


@dataclass(frozen=True)
class Case:
    """One of two, by a condition."""

    condition: Condition
    then: Text
    other: Text


Text = (
    Value
    | Strip
    | StripWide
    | Remove
    | LettersOnly
    | Lower
    | Upper
    | Left
    | Before
    | After
    | Join
    | Pad
    | Lookup
    | Case
)


@dataclass(frozen=True)
class Only:
    """Made of these characters alone, or empty."""

    text: Text
    characters: str


@dataclass(frozen=True)
class Length:
    """So many characters."""

    text: Text
    least: int
    most: int


@dataclass(frozen=True)
class Count:
    """So many occurrences of one character."""

    text: Text
    mark: str
    number: int


@dataclass(frozen=True)
class Has:
    """Holds a text."""

    text: Text
    part: str


@dataclass(frozen=True)
class In:
    """Is one of a closed list."""

    text: Text
    values: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """Is digits, and the number lies within bounds."""

    text: Text
    least: int
    most: int


@dataclass(frozen=True)
class EmailShape:
    """One `@` with something on both sides, perhaps a domain of labels; nothing invisible.

    White space of any script, control characters and zero-width marks are refused: hashed as they
    stand they would match nobody, and no entry of the suppression list either.
    """

    text: Text
    labels: bool = True


@dataclass(frozen=True)
class All:
    """Every condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = Only | Length | Count | Has | In | Between | EmailShape | All | Not


def texts(condition: Condition) -> Iterator[Text]:
    """The texts that a condition looks at."""
    match condition:
        case All(conditions):
            for one in conditions:
                yield from texts(one)
        case Not(one):
            yield from texts(one)
        case _:
            yield condition.text
