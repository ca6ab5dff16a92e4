"""Names of people and places of many countries, as Faker, libphonenumber and Python know them.

Lists of others, so that none is kept here; they are read when the first column is looked at.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from mayfly.privacy.detect.words import folded

_FIRST = re.compile(r"^first_.*names?$|^first_names")
_LAST = re.compile(r"last_names")
_CITIES = re.compile(
    r"^(?:cities|city_names|real_city_names|communes|municipalities|localities|places|concelhos"
    r"|towns|province_lgus|settlements|villages)$"
)
_REGIONS = re.compile(
    r"^(?:states|states_abbr|regions|provinces|prefectures|cantons|departments|wilayas|counties"
    r"|estados|distritos|provinces_abbr|region_names|union_territories)$"
)
_COUNTRIES = re.compile(r"^countries$")
# One Latin letter is no name; one Han character is most Chinese family names.
_LATIN_END = "\u0250"


def _providers(kind: str) -> Iterator[Any]:
    package = importlib.import_module(f"faker.providers.{kind}")
    yield package.Provider
    for found in pkgutil.iter_modules(package.__path__):
        if found.ispkg:
            yield importlib.import_module(f"faker.providers.{kind}.{found.name}").Provider


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for key in value for text in _texts(key))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _texts(item)


def _collected(kind: str, pattern: re.Pattern[str]) -> Iterator[str]:
    for provider in _providers(kind):
        for name in dir(provider):
            if pattern.search(name) and not name.startswith("_"):
                yield from _texts(getattr(provider, name))


def _set_of(texts: Iterable[str]) -> frozenset[str]:
    names = (folded(text).strip() for text in texts)
    return frozenset(n for n in names if len(n) > 1 or n > _LATIN_END)


@cache
def _words() -> frozenset[str]:
    """Words and colours, which some are called by, too: few enough to do without."""
    told = _collected("lorem", re.compile(r"^word_list$"))
    colours = _collected("color", re.compile(r"^all_colors$|^safe_colors$"))
    return frozenset(w for w in _set_of([*told, *colours]) if w.isascii())


@cache
def first_names() -> frozenset[str]:
    """First names, folded, without those that are everyday words."""
    return _set_of(_collected("person", _FIRST)) - _words()


@cache
def last_names() -> frozenset[str]:
    """Family names, folded, without those that are everyday words."""
    return _set_of(_collected("person", _LAST)) - _words()


@cache
def countries() -> frozenset[str]:
    """Names of countries in many languages, folded."""
    return _set_of(_collected("address", _COUNTRIES))


@cache
def country_codes() -> frozenset[str]:
    """Codes of countries of two and three letters, in capitals."""
    provider = importlib.import_module("faker.providers.date_time").Provider
    codes = {text for c in provider.countries for text in (c.alpha_2_code, c.alpha_3_code)}
    return frozenset(codes)


@cache
def regions() -> frozenset[str]:
    """Names and short forms of states, provinces and regions, folded."""
    return _set_of(_collected("address", _REGIONS))


@cache
def cities() -> frozenset[str]:
    """Names of places, folded: those of calling areas and time zones, too."""
    areas = importlib.import_module("phonenumbers.geodata").GEOCODE_DATA
    called = {
        text.split(",")[0].split(" - ")[0] for names in areas.values() for text in names.values()
    }
    zones = {name.rpartition("/")[2].replace("_", " ") for name in zoneinfo.available_timezones()}
    named = _set_of([*_collected("address", _CITIES), *called, *zones])
    return named - countries()
