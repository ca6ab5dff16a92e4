"""What dbt's files say of a column's privacy: `meta` and tags as marks. Pure.

A mark may make a rule stricter and never looser. Where a column has several, the strictest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mayfly.config.dbt_manifest import Column, Node
from mayfly.config.findings import name_shown, shown, suggestion
from mayfly.domain.classes import CLASSES, PERSONAL, rank, stricter_class

__all__ = ["FIDES", "PERSONAL", "BadMark", "Mark", "Marks", "rank", "stricter_class"]

TAGS = ("pii", "contains_pii", "personal", "personal_data", "sensitive", "confidential", "gdpr")
KEYS = ("contains_pii", "pii", "personal_data", "sensitive")
_CATEGORIES = ("data_category", "data_categories")
_OWN = ("class", "block")
_NO = ("false", "no", "none", "0", "")
_BLOCKED = "blocked"

# Fides data categories of which a class holds; what is below one belongs to it, too.
FIDES = {
    "user": PERSONAL,
    "user.account.username": "username",
    "user.biometric": "special",
    "user.biometric_health": "special",
    "user.childrens": "special",
    "user.contact.address.city": "city",
    "user.contact.address.country": "country",
    "user.contact.address.postal_code": "postal_code",
    "user.contact.address.state": "region",
    "user.contact.address.street": "street_address",
    "user.contact.email": "email",
    "user.contact.phone_number": "phone",
    "user.demographic.date_of_birth": "date_of_birth",
    "user.demographic.gender": "gender",
    "user.demographic.political_opinion": "special",
    "user.demographic.race_ethnicity": "special",
    "user.demographic.religious_belief": "special",
    "user.demographic.sexual_orientation": "special",
    "user.device.device_id": "device_id",
    "user.device.ip_address": "ip_address",
    "user.genetic": "special",
    "user.government_id.national_identification_number": "national_id",
    "user.health_and_medical": "special",
    "user.location": "geo",
    "user.name.first": "first_name",
    "user.name.last": "last_name",
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is said of one column.

    Args:
        cls: a class, or `PERSONAL`; None where nothing is said.
        blocked: it may not leave at all.
    """

    cls: str | None = None
    blocked: bool = False


@dataclass(frozen=True, kw_only=True)
class BadMark:
    """A mark that means nothing: taken for none, it would leave a column open."""

    place: str
    message: str
    hint: str


@dataclass(kw_only=True)
class Marks:
    """The marks of the columns of one or more nodes.

    Args:
        bad: what could not be understood.
    """

    bad: list[BadMark] = field(default_factory=list)
    _nodes: list[tuple[Mark, Mapping[str, Mark]]] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """Take over a node's marks; of two nodes' the stricter counts."""
        rest = self._read(node.about, (node.id,), whole=True)
        columns: dict[str, Mark] = {}
        for column in node.columns:
            name = column.name.casefold()
            mark = self._read(column, (node.id, column.name), whole=False)
            columns[name] = _stricter(columns.get(name, Mark()), mark)
        self._nodes.append((rest, columns))

    def of(self, column: str) -> Mark:
        """The mark of a column; one that has no class of its own has that of its node."""
        found = Mark()
        for rest, columns in self._nodes:
            own = columns.get(column.casefold(), Mark())
            cls = rest.cls if own.cls is None else own.cls
            found = _stricter(found, Mark(cls=cls, blocked=own.blocked or rest.blocked))
        return found

    def any_blocked(self) -> bool:
        """Whether some column is blocked, so that a whole row is."""
        return any(
            mark.blocked for rest, columns in self._nodes for mark in (rest, *columns.values())
        )

    def _read(self, about: Column, place: tuple[str, ...], *, whole: bool) -> Mark:
        classes: list[str] = []
        blocked = any(_plain(tag) == _BLOCKED for tag in about.tags)
        for meta in about.meta:
            classes += _of_keys(meta)
            blocked |= _says_yes(meta.get(_BLOCKED))
            own = meta.get("mayfly")
            if own is not None:
                cls, block = self._own(own, place, whole=whole)
                classes += [cls] if cls else []
                blocked |= block
        classes += [cls for tag in about.tags if (cls := _of_tag(tag))]
        if whole:
            # That a table holds an e-mail address does not make one of each column.
            classes = [PERSONAL if rank(cls) else cls for cls in classes]
        strictest = [cls for cls in classes if rank(cls) == max(map(rank, classes))]
        named = sorted({cls for cls in strictest if cls != PERSONAL})
        if len(named) > 1 and rank(named[0]) > 1:
            self._refuse(place, f"marks differ: {' and '.join(named)}", "Leave one of them.")
        return Mark(cls=named[0] if named else next(iter(strictest), None), blocked=blocked)

    def _own(
        self, found: object, place: tuple[str, ...], *, whole: bool
    ) -> tuple[str | None, bool]:
        """Our own key is ours to check."""
        if not isinstance(found, dict):
            self._refuse(place, "meta.mayfly: expected keys and values", suggestion("", _OWN))
            return None, False
        for key in found:
            if key not in _OWN:
                self._refuse(place, f"meta.mayfly: unknown key {shown(key)}", suggestion(key, _OWN))
        block = found.get("block", False)
        if not isinstance(block, bool):
            self._refuse(place, "meta.mayfly.block: expected true or false", "")
        cls = found.get("class")
        if cls is None:
            return None, block is True
        if whole:
            self._refuse(place, "meta.mayfly.class belongs to a column", "Write it below columns.")
        elif cls not in CLASSES:
            hint = suggestion(cls, CLASSES)
            self._refuse(place, "meta.mayfly.class: this is no class", hint)
        return (str(cls) if cls in CLASSES else None), block is True

    def _refuse(self, place: tuple[str, ...], message: str, hint: str) -> None:
        named = ".".join(map(name_shown, place))
        self.bad.append(BadMark(place=named, message=message, hint=hint))


def _stricter(one: Mark, other: Mark) -> Mark:
    cls = max((one.cls, other.cls), key=lambda c: (rank(c), c not in (None, PERSONAL), c or ""))
    return Mark(cls=cls, blocked=one.blocked or other.blocked)


def _of_keys(meta: Mapping[str, object]) -> Iterator[str]:
    """Classes that common keys of `meta` tell; `none` where they say that there is none."""
    for key, value in meta.items():
        if _plain(key) in KEYS:
            text = _plain(value)
            yield text if text in CLASSES else PERSONAL if _says_yes(value) else "none"
        elif _plain(key) in _CATEGORIES:
            for category in value if isinstance(value, list) else [value]:
                yield _of_category(str(category))


def _of_category(text: str) -> str:
    """Of a Fides category, its own class or that of the nearest above it."""
    parts = text.strip().casefold().split(".")
    if parts[0] == "system":
        return "none"
    above = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((FIDES[name] for name in above if name in FIDES), PERSONAL)


def _of_tag(tag: str) -> str | None:
    """`pii`, and `pii:email` or `pii_email` where it names a class."""
    plain = _plain(tag)
    if plain in TAGS:
        return PERSONAL
    for known in TAGS:
        if plain.startswith(f"{known}_"):
            rest = plain.removeprefix(f"{known}_")
            return rest if rest in CLASSES else PERSONAL
    return None


def _plain(value: object) -> str:
    return re.sub(r"[-\s:./]+", "_", str(value).strip().casefold())


def _says_yes(value: object) -> bool:
    return value is not None and _plain(value) not in _NO
