"""A mapping proposed from classes and names. Pure: what is proposed is written by a person."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Why = Literal["mapped", "class", "name"]
_CLOSE = 0.85

# Words that mean the same, by the class of what they name. Of languages that the classes of
# columns are tested in; a column's own class, where it is declared, weighs more.
_WORDS: Mapping[str, str] = {
    "email": "email mail emailaddress mailaddress emailaddr courriel correo",
    "phone": "phone phonenumber telephone tel mobile mobilephone cell cellphone msisdn telefon "
    "telefono telefone handy",
    "first_name": "firstname givenname forename fname fn prenom vorname nombre nome voornaam imie",
    "last_name": "lastname surname familyname lname ln nom nachname apellido cognome achternaam "
    "nazwisko",
    "full_name": "fullname name displayname",
    "street_address": "address street streetaddress addressline address1 adresse direccion",
    "city": "city town ct ville stadt ciudad citta cidade stad miasto",
    "postal_code": "postalcode zip zipcode postcode plz codepostal cap cep",
    "region": "region state st province administrativearea",
    "country": "country countrycode regioncode land pays pais paese",
    "date_of_birth": "dateofbirth dob birthdate birthday geburtsdatum",
    "gender": "gender sex gen",
    "device_id": "deviceid madid idfa gaid mobileid adid daid",
    "opaque_id": "externid externalid customerid userid contactid id",
}
_CLASS_OF = {word: kind for kind, words in _WORDS.items() for word in words.split()}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a destination; `kind` is the class of personal data it holds, where it says."""

    name: str
    kind: str | None = None
    is_required: bool = False


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One line of a mapping, and why it is proposed."""

    field: str
    column: str
    why: Why


@dataclass(frozen=True, kw_only=True)
class ProposedMapping:
    """A mapping, with what no line was found for.

    Attributes:
        lines: in the order of the fields.
        fields: that are left, those that must be mapped first.
        columns: of the model that are left.
    """

    lines: tuple[Proposal, ...]
    fields: tuple[Field, ...]
    columns: tuple[str, ...]


def propose(
    fields: Sequence[Field], columns: Mapping[str, str | None], mapped: Mapping[str, str]
) -> ProposedMapping:
    """Columns for fields.

    Args:
        fields: of the destination.
        columns: of the model, with their declared classes.
        mapped: what the project files say already; it stays as it is.
    """
    found = {field: Proposal(field=field, column=c, why="mapped") for field, c in mapped.items()}
    left = [f for f in fields if f.name not in found]
    # A class may serve several fields (a first name, and its initial); a mere name only one.
    for field in left:
        column = _by_class(field, columns)
        if column is not None:
            found[field.name] = Proposal(field=field.name, column=column, why="class")
    for field in [f for f in left if f.name not in found]:
        taken = {p.column for p in found.values()}
        column = _by_name(field, [c for c in columns if c not in taken])
        if column is not None:
            found[field.name] = Proposal(field=field.name, column=column, why="name")
    order = {name: place for place, name in enumerate([*mapped, *(f.name for f in fields)])}
    lines = sorted(found.values(), key=lambda line: order[line.field])
    used = {line.column for line in lines}
    unmapped = [f for f in fields if f.name not in found]
    return ProposedMapping(
        lines=tuple(lines),
        fields=tuple(sorted(unmapped, key=lambda f: not f.is_required)),
        columns=tuple(c for c in columns if c not in used),
    )


def _by_class(field: Field, columns: Mapping[str, str | None]) -> str | None:
    """The one column of the field's class, or of several the one that is named most alike."""
    kind = field.kind if field.kind not in (None, "none") else class_of_name(field.name)
    if kind is None:
        return None
    same = [c for c, declared in columns.items() if declared == kind]
    if len(same) <= 1:
        return same[0] if same else None
    return _most_alike(field.name, same, at_least=0.0)


def _by_name(field: Field, columns: Sequence[str]) -> str | None:
    """A column whose name is the field's, or means what the field is for."""
    kind = field.kind if field.kind not in (None, "none") else class_of_name(field.name)
    alike = _most_alike(field.name, columns, at_least=_CLOSE)
    if alike is not None:
        return alike
    meant = [c for c in columns if kind is not None and class_of_name(c) == kind]
    return meant[0] if len(meant) == 1 else None


def _most_alike(name: str, columns: Iterable[str], *, at_least: float) -> str | None:
    folded = _folded(name)
    ranked = [
        (difflib.SequenceMatcher(None, folded, _folded(c)).ratio(), -place, c)
        for place, c in enumerate(columns)
    ]
    best = max(ranked, default=None)
    return best[2] if best is not None and best[0] >= at_least else None


def class_of_name(name: str) -> str | None:
    """The class that a name alone speaks of, None where it is no such word."""
    return _CLASS_OF.get(_folded(name))


def _folded(name: str) -> str:
    """Letters and digits alone, small and without accents."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return re.sub(r"[^a-z0-9]", "", plain)
