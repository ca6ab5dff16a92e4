"""Which name of a column, table, key or type is printed. One that is itself personal, such as an
address that a pivoted table has for a column, is not: `(withheld)` stands in its place. Where it is
kept it is a digest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from mayfly.privacy.guard import classes_in

WITHHELD = "(withheld)"
"""In the place of a name that is itself personal."""


_KEPT = re.compile(r"\(withheld [0-9a-f]{64}\)")


def kept_name(name: str, within: str) -> str:
    """A name as it may be kept: of one that is personal a digest, by which it is told from others
    and known again. Who has a list of names can find out which of them it is.

    Args:
        name: or a digest, which stays as it is.
        within: what it is a name in; the same name has another digest within another.
    """
    return _kept(name, within) if classes_in(name) and not _KEPT.fullmatch(name) else name


def kept_made(name: str, within: str) -> str:
    """The same of what is made of names, where a part of it is personal."""
    return _kept(name, within) if _is_made_of_personal(name) else name


def _kept(name: str, within: str) -> str:
    digest = hashlib.sha256(json.dumps([within, name]).encode()).hexdigest()
    return f"{WITHHELD[:-1]} {digest})"


def _is_made_of_personal(name: str) -> bool:
    parts = (name, *_tails(name))
    return any(map(classes_in, parts)) and not _KEPT.fullmatch(name)


def shown_name(name: str) -> str:
    """A name as it is printed by itself."""
    return WITHHELD if classes_in(name) or _KEPT.fullmatch(name) else name


class ShownNames:
    """Names as they are printed beside each other: withheld ones are told apart by their order, the
    second of them as `(withheld 2)`. Nothing is looked at before the first is asked for.

    Args:
        names: of one table, model or sync, in their order; one may come again.
        made: of names, as `table.column` or the type of a struct is. Where a part of it is personal
            all of it is withheld, unless the column is one of `names`.
        within: of `kept_name`: then each is known by its digest, too.
    """

    def __init__(
        self, names: Iterable[str] = (), made: Iterable[str] = (), within: str | None = None
    ) -> None:
        self._names = tuple(names)
        self._made = tuple(made)
        self._within = within

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
        count = itertools.count(1)
        for name in self._names:
            if name not in found and shown_name(name) != name:
                self._note(found, name, _numbered(next(count)))
        for name in self._made:
            column = next((tail for tail in _tails(name) if tail in found), "")
            if name in found:
                continue
            if column and not classes_in(name.removesuffix(column)):
                self._note(found, name, name.removesuffix(column) + found[column])
            elif _is_made_of_personal(name) or _KEPT.fullmatch(name):
                self._note(found, name, _numbered(next(count)))
        return found

    def _note(self, found: dict[str, str], name: str, shown: str) -> None:
        found[name] = shown
        if self._within is not None and not _KEPT.fullmatch(name):
            found[_kept(name, self._within)] = shown

    @cached_property
    def _any(self) -> re.Pattern[str]:
        """The longest first: one name may stand within another."""
        return re.compile("|".join(map(re.escape, sorted(self._withheld, key=len, reverse=True))))


def _numbered(count: int) -> str:
    return WITHHELD if count == 1 else f"{WITHHELD[:-1]} {count})"


def _tails(name: str) -> Iterator[str]:
    """What stands after each dot, the longest first."""
    return (name[place + 1 :] for place, sign in enumerate(name) if sign == ".")
