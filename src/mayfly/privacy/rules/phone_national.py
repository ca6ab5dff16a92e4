"""National numbers of plain digits, read as libphonenumber does, at several times its speed.

The rules are its own data of each region: which prefix is dialled at home only, which lengths and
shapes its numbers have. What needs more of it (a number from abroad, a prefix that stands for other
digits) is left to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

_NSN_MIN = 2
_NSN_MAX = 17


@dataclass(frozen=True, kw_only=True)
class _Region:
    """What libphonenumber knows of a region.

    Args:
        code: its calling code.
        abroad: what is dialled before a number of another country.
        prefix: what is dialled before a number of this one, None where nothing is.
        rewritten: whether the prefix may stand for other digits.
        shape: of a whole number without prefix.
        lengths: a number may have, in order.
        local: lengths that are a number within one town only.
        possible: lengths by the code's main region, local ones included.
    """

    code: str
    abroad: re.Pattern[str]
    prefix: re.Pattern[str] | None
    rewritten: bool
    shape: re.Pattern[str]
    lengths: tuple[int, ...]
    local: frozenset[int]
    possible: frozenset[int]


def national_e164(digits: str, country: str) -> str | None:
    """`+` and digits of a national number; None where libphonenumber must be asked.

    Args:
        digits: ASCII, without separators.
        country: ISO code in capitals.
    """
    region = _region(country)
    if region is None or digits.startswith(region.code) or region.abroad.match(digits):
        return None
    number = digits
    found = region.prefix.match(digits) if region.prefix else None
    if found:
        if region.rewritten and found.group(found.re.groups) is not None:
            return None
        rest = digits[found.end() :]
        spoilt = region.shape.fullmatch(digits) and not region.shape.fullmatch(rest)
        number = digits if spoilt or not _long_enough(region, len(rest)) else rest
    size = len(number)
    if size not in region.possible or not _NSN_MIN <= size <= _NSN_MAX or not number.strip("0"):
        return None
    return f"+{region.code}{number}"


def _long_enough(region: _Region, size: int) -> bool:
    """Whether what is left behind a prefix is a number, or longer than any."""
    return size not in region.local and (size in region.lengths or size > region.lengths[-1])


@cache
def _region(country: str) -> _Region | None:
    data = PhoneMetadata.metadata_for_region(country, None)
    code = data.country_code if data else None
    if data is None or code is None or data.general_desc is None:
        return None
    main = PhoneMetadata.metadata_for_region_or_calling_code(
        code, phonenumbers.region_code_for_country_code(code)
    )
    general, wider = data.general_desc, main.general_desc if main else None
    if wider is None or not general.possible_length or not general.national_number_pattern:
        return None
    prefix = data.national_prefix_for_parsing
    return _Region(
        code=str(code),
        abroad=re.compile(data.international_prefix or "(?!)"),
        prefix=re.compile(prefix) if prefix else None,
        rewritten=bool(data.national_prefix_transform_rule),
        shape=re.compile(general.national_number_pattern),
        lengths=tuple(general.possible_length),
        local=frozenset(general.possible_length_local_only),
        possible=frozenset((*wider.possible_length, *wider.possible_length_local_only)),
    )
