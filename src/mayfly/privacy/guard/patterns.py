"""Exact recognisers of personal values written in clear. Text in, places out; nothing is kept.

Every search is anchored on a rare mark and bounded in both directions, so a hostile text costs
linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from mayfly.privacy.guard.readings import readings

CREDIT_CARD = "credit_card"
EMAIL = "email"
IBAN = "iban"
PHONE = "phone"
CLASSES = (CREDIT_CARD, EMAIL, IBAN, PHONE)

Span = tuple[int, int]

_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,62})\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?!\w)"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CARD = re.compile(
    r"(?<![^\W_])(?<![0-9][ .,-])(?<![+])[2-9](?:[ -]?[0-9]){12,18}(?![ -]?[0-9])(?![^\W_])"
)
_CARD_DOTTED = re.compile(
    r"(?<![0-9.])[2-9][0-9]{3}(?:(?:\.[0-9]{4}){2}\.[0-9]{1,4}(?:\.[0-9]{3})?|\.[0-9]{6}\.[0-9]{4,5})"
    r"(?![0-9.])"
)
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9])")
_IBAN_BODY = re.compile(r"[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){14,33}")
_PHONE = re.compile(
    r"(?<![^\W_])(?<![+/=])\+[ (]{0,2}[1-9](?:[ ().\-/\u00a0]{0,3}[0-9]){7,14}(?!\w)"
)
# National forms that hardly anything else has: a North American number with its area code in
# brackets or with hyphens, a French one in pairs, and a call abroad written in groups.
_SET = re.compile(
    r"(?<![^\W_])(?<![0-9][ .-])(?:"
    r"(?:1[ .-]?)?\([2-9][0-9]{2}\)[ .-]?[2-9][0-9]{2}[ .-][0-9]{4}"
    r"|(?:1-)?[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}"
    r"|0[1-9](?:[ .-][0-9]{2}){4}"
    r"|00[ -]?[1-9][0-9]{0,2}(?:[ ().-]{1,2}[0-9]{1,8}){2,5}"
    r")(?![ .-]?[0-9])(?!\w)"
)
# Lengths per country, from the public IBAN registry.
IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL SD FK",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK MN",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_COUNTRIES = frozenset(" ".join(IBAN_LENGTHS.values()).split())
_LENGTH_OF = {
    country: length for length, countries in IBAN_LENGTHS.items() for country in countries.split()
}


def emails(text: str) -> Iterator[Span]:
    """Places of e-mail addresses."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1, at + 256)
        if local and domain:
            yield local.start(), domain.end()
        at = text.find("@", at + 1)


def credit_cards(text: str) -> Iterator[Span]:
    """Places of card numbers: an issuer's prefix, its length and a right Luhn digit."""
    uuids: list[Span] | None = None
    for match in (*_CARD.finditer(text), *_CARD_DOTTED.finditer(text)):
        digits = re.sub(r"[ .-]", "", match.group())
        if not (_issued(digits) and luhn(digits)):
            continue
        if uuids is None:
            uuids = [found.span() for found in _UUID.finditer(text)]
        if not any(start <= match.start() < end for start, end in uuids):
            yield match.span()


def ibans(text: str) -> Iterator[Span]:
    """Places of bank account numbers: a country's length and the right check digits."""
    for start in _IBAN_START.finditer(text):
        length = _LENGTH_OF.get(start.group()[:2].upper())
        body = _IBAN_BODY.match(text, start.start(), start.start() + 70)
        if length is None or body is None:
            continue
        end = _nth_alphanumeric(body.group(), length)
        if end is None:
            continue
        stop = start.start() + end
        if text[stop : stop + 1].isalnum():
            continue
        if mod97(re.sub(r"[ -]", "", text[start.start() : stop])):
            yield start.start(), stop


def phones(text: str) -> Iterator[Span]:
    """Places of telephone numbers: with a plus and 8 to 15 digits, or set as only they are."""
    for match in _PHONE.finditer(text):
        yield match.span()
    for match in _SET.finditer(text):
        digits = sum(sign.isdigit() for sign in match.group())
        if 10 <= digits <= 17:
            yield match.span()


FINDERS: Mapping[str, Callable[[str], Iterator[Span]]] = MappingProxyType(
    {CREDIT_CARD: credit_cards, EMAIL: emails, IBAN: ibans, PHONE: phones}
)


def classes_in(text: str) -> list[str]:
    """The classes of value a text holds, in clear or in an encoding, sorted."""
    found: set[str] = set()
    for reading in readings(text):
        found |= {name for name, find in FINDERS.items() if next(find(reading), None) is not None}
    return sorted(found)


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check of those before it."""
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an account number without separators has the right check digits."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _issued(digits: str) -> bool:
    """Whether a network issues cards of this prefix and length; spares times and counters."""
    size, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return size in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if two in (30, 36, 38, 39):
        return size >= 14
    if two in {35, 81} or 2200 <= four <= 2204:
        return size >= 16
    if four == 9792:
        return size == 16
    return digits[0] == "6" or two in (50, 56, 57, 58)


def _nth_alphanumeric(text: str, count: int) -> int | None:
    """The end of the count-th letter or digit."""
    seen = 0
    for position, sign in enumerate(text):
        seen += sign.isalnum()
        if seen == count:
            return position + 1
    return None
