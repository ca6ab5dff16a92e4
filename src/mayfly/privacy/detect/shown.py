"""Which name of a column, table, key or type is printed. One that is itself personal, such as an
address that a pivoted table has for a column, is not: `(withheld)` stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from mayfly.privacy.guard import classes_in

WITHHELD = "(withheld)"
"""In the place of a name that is itself personal."""


def shown_name(name: str) -> str:
    """A name as it is printed by itself."""
    return WITHHELD if classes_in(name) else name


class ShownNames:
    """Names as they are printed beside each other: withheld ones are told apart by their order, the
    second of them as `(withheld 2)`. Nothing is looked at before the first is asked for.

    Args:
        names: of one table, model or sync, in their order; one may come again.
        made: of names, as `table.column` or the type of a struct is. Where a part of it is personal
            all of it is withheld, unless the column is one of `names`.
    """

    def __init__(self, names: Iterable[str] = (), made: Iterable[str] = ()) -> None:
        self._names = tuple(names)
        self._made = tuple(made)

    def name(self, name: str) -> str:
        """A name, also one that nobody spoke of before."""
        return self._withheld.get(name) or shown_name(name)

    def text(self, text: str) -> str:
        """A sentence, with every name of these as it is printed."""
        if not self._withheld:
            return text
        return self._any.sub(lambda found: self._withheld[found[0]], text)

    @cached_property
    def _withheld(self) -> dict[str, str]:
        found: dict[str, str] = {}
        count = 0
        for name in dict.fromkeys(self._names):
            if classes_in(name):
                count += 1
                found[name] = _numbered(count)
        for name in dict.fromkeys(self._made):
            column = next((tail for tail in _tails(name) if tail in found), "")
            if column and not classes_in(name.removesuffix(column)):
                found[name] = name.removesuffix(column) + found[column]
            elif name not in found and any(map(classes_in, (name, *_tails(name)))):
                count += 1
                found[name] = _numbered(count)
        return found

    @cached_property
    def _any(self) -> re.Pattern[str]:
        """The longest first: one name may stand within another."""
        return re.compile("|".join(map(re.escape, sorted(self._withheld, key=len, reverse=True))))


def _numbered(count: int) -> str:
    return WITHHELD if count == 1 else f"{WITHHELD[:-1]} {count})"


def _tails(name: str) -> Iterator[str]:
    """What stands after each dot, the longest first."""
    return (name[place + 1 :] for place, sign in enumerate(name) if sign == ".")
