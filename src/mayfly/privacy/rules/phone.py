"""Phone numbers as E.164: by libphonenumber here, and by shape in SQL where both are equal."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from mayfly.privacy.rules.emitters import Emitter
from mayfly.privacy.rules.expression import SPACES
from mayfly.privacy.rules.phone_national import national_e164

# Releases of its data change how some national numbers are read.
PHONE_DATA = f"phonenumbers {phonenumbers.__version__}"
SEPARATORS = " ()-./\u00a0"
_UNSEPARATED = str.maketrans("", "", SEPARATORS + SPACES)
_SHAPE = re.compile(r"\+?[0-9]{4,20}")
# An area code in brackets behind a 1 is written so in North America alone.
_NANP = re.compile(r"1[ .-]?\([2-9][0-9]{2}\)[ .-]?[0-9]{3}[ .-]?[0-9]{4}")
# Calling codes whose trunk prefix is 0 or none: behind them a first digit of 1 to 9 is never
# rewritten by libphonenumber, so that SQL may take the digits as they stand.
_PLAIN_CODES = "20|27|30|31|32|33|34|40|41|43|44|45|46|47|48|49|51|60|62|64|65|66|90|92|94|98"
SQL_INTERNATIONAL = rf"\+(?:1[2-9][0-9]{{9}}|(?:{_PLAIN_CODES})[1-9][0-9]{{6,9}})"
SQL_NATIONAL = {
    "FR": ("0[1-9][0-9]{8}", "33", 2),
    "GB": ("0[127][0-9]{9}", "44", 2),
    "US": ("[2-9][0-9]{9}", "1", 1),
    "CA": ("[2-9][0-9]{9}", "1", 1),
}


@lru_cache(maxsize=65_536)
def e164(text: str, country: str | None, *, bare_nanp: bool = False) -> str | None:
    """A number as `+` and digits, or None.

    Without `+` and without a country nothing tells whether digits begin with a country's code:
    13812345678 is a number in China and in North America. They are refused, for the digest of a
    wrong number is somebody else's.

    Args:
        text: as it was typed.
        country: ISO code that national numbers are read in.
        bare_nanp: whether `1 (650) 123-4567` is taken without either.
    """
    compact = text.strip().translate(_UNSEPARATED)
    if not _SHAPE.fullmatch(compact):
        return None
    if compact.startswith("+"):
        return _of_length(_parsed(compact, None))
    if country is not None:
        region = country.strip().upper()
        return _of_length(national_e164(compact, region) or _parsed(compact, region))
    return f"+{compact}" if bare_nanp and _NANP.fullmatch(text.strip()) else None


def _of_length(number: str | None) -> str | None:
    return number if number is not None and 8 <= len(number) - 1 <= 15 else None


def _parsed(text: str, country: str | None) -> str | None:
    number = _number(text, country)
    if number is None:
        return None
    if country is not None and not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _number(text: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    number.extension = None
    return number


def sql_e164(emitter: Emitter, column: str, country: str | None) -> tuple[str, str]:
    """(E.164 or null, what is left without separators) of a text expression."""
    compact = emitter.remove(column, SEPARATORS + SPACES.strip(" "), looked_at=column)
    whens = [f"WHEN {emitter.full_match(compact, SQL_INTERNATIONAL)} THEN {compact}"]
    if country in SQL_NATIONAL:
        pattern, code, start = SQL_NATIONAL[country]
        match = emitter.full_match(compact, pattern)
        number = emitter.joined(f"'+{code}'", f"substr({compact}, {start})")
        whens.append(f"WHEN {match} THEN {number}")
    # "(0)" is a trunk prefix that is not dialled from abroad: libphonenumber decides.
    trunk = f"({emitter.position(column, '(0)')} > 0)"
    return f"(CASE WHEN {trunk} THEN NULL {' '.join(whens)} END)", compact
