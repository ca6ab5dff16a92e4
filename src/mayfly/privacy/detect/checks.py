"""Values that their own arithmetic tells: numbers of cards, accounts, telephones and persons."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import cast

import phonenumbers

from mayfly.privacy.guard import classes_in
from mayfly.privacy.guard.patterns import CREDIT_CARD, IBAN, luhn

_CHECKED = 1_000
_SEPARATORS = re.compile(r"[ .\-/]")
# Shape without separators, and the module of python-stdnum that checks it.
_PERSONS: tuple[tuple[str, str], ...] = (
    (r"[0-9]{15}|[12][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{8}", "fr.nir"),
    (r"[0-9]{11}", "de.idnr"),
    (r"[0-9]{8}[A-Z]", "es.dni"),
    (r"[XYZ][0-9]{7}[A-Z]", "es.nie"),
    (
        r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
        "it.codicefiscale",
    ),
    (r"[0-9]{9}", "nl.bsn"),
    (r"[123][0-9]{8}", "pt.nif"),
    (r"[0-9]{11}", "pl.pesel"),
    (r"[0-9]{6}[+-]?[0-9]{4}|[0-9]{8}-?[0-9]{4}", "se.personnummer"),
    (r"[0-9]{11}", "br.cpf"),
    (r"[2-9][0-9]{11}", "in_.aadhaar"),
    (r"756[0-9]{10}", "ch.ssn"),
    (r"[0-9]{11}", "be.nn"),
    (r"[0-9]{6}[-+A-FU-Y]?[0-9]{3}[0-9A-Y]", "fi.hetu"),
    (r"[0-9]{11}", "no.fodselsnummer"),
    (r"[1-9][0-9]{10}", "tr.tckimlik"),
    (r"[0-9]{13}", "za.idnr"),
    (r"[1-9][0-9]{12}", "ro.cnp"),
    (r"[0-9]{10}", "cz.rc"),
    (r"[1-9][0-9]{5}[12][0-9]{10}[0-9X]", "cn.ric"),
    (r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", "mx.curp"),
    (r"[0-9]{7}[A-W][A-IW]?", "ie.pps"),
    (r"[0-9]{7,8}[0-9K]", "cl.rut"),
)
# Forms that hardly anything else has, with their separators.
_PLAIN = re.compile(
    r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}"
    r"|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
    r"|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
    r"|756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"
    r"|784-?[0-9]{4}-?[0-9]{7}-?[0-9]"
    r"|[0-9]{6}-[1-4][0-9]{6}"
    r"|[A-Z]{5}[0-9]{4}[A-Z]"
    r"|[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}"
    # Of Egypt: a century and a day of birth.
    r"|[23][0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{7}"
    r"|[12] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{3} [0-9]{3}(?: [0-9]{2})?"
)
# Regions whose numbers are tried where a number names no country.
_HOME = ("US", "FR", "DE", "GB", "ES", "IT", "NL", "PT", "PL", "SE", "IN", "JP", "BR")


def share_of(texts: Sequence[str], check: Callable[[str], bool]) -> float:
    """Of some texts, a thousand at most, the part that passes a check."""
    some = texts[:: max(1, len(texts) // _CHECKED)]
    return sum(map(check, some)) / len(some) if some else 0.0


def is_card(text: str) -> bool:
    """Whether a text is or holds the number of a card."""
    return CREDIT_CARD in classes_in(text)


def is_iban(text: str) -> bool:
    """Whether a text is or holds an account number."""
    return IBAN in classes_in(text)


def is_abroad(digits: str) -> bool:
    """Whether digits with a `+` before them are a telephone number."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits.lstrip('0')}"))
    except phonenumbers.NumberParseException:
        return False


def home_share(texts: Sequence[str]) -> float:
    """The part of some texts that are telephone numbers of one and the same country."""
    return max(share_of(texts, _valid_in(region)) for region in _HOME)


def us_share(texts: Sequence[str]) -> float:
    """The part of some texts that are telephone numbers of North America."""
    return share_of(texts, _valid_in("US"))


def _valid_in(region: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return phonenumbers.is_valid_number_for_region(phonenumbers.parse(text, region), region)
        except phonenumbers.NumberParseException:
            return False

    return check


@cache
def _checker(module: str) -> Callable[[str], bool]:
    return cast("Callable[[str], bool]", importlib.import_module(f"stdnum.{module}").is_valid)


def _my_number(text: str) -> bool:
    """A Japanese number of a person: the last digit checks the others, modulo 11."""
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(w * int(d) for w, d in zip(weights, text, strict=False)) % 11
    return int(text[-1]) == (0 if rest <= 1 else 11 - rest)


_OWN: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"[0-9]{12}", _my_number),
    # Saudi Arabia's.
    (r"[12][0-9]{9}", luhn),
)


def person_share(texts: Iterable[str]) -> float:
    """The part of some texts that are numbers of persons, by their form or a check digit.

    Kinds may be mixed: of other numbers half would pass one of them by chance, never nearly all.
    """
    some = list(texts)[:_CHECKED]
    return sum(map(_is_person, some)) / len(some) if some else 0.0


def _is_person(text: str) -> bool:
    upper = text.upper()
    if _PLAIN.fullmatch(upper):
        return True
    bare = _SEPARATORS.sub("", upper)
    if any(re.fullmatch(shape, bare) and check(bare) for shape, check in _OWN):
        return True
    return any(re.fullmatch(shape, bare) and _checker(module)(bare) for shape, module in _PERSONS)
