"""One column's class: what its values say, its name, and the two together."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect import forms
from mayfly.privacy.detect.checks import (
    home_share,
    is_abroad,
    is_card,
    is_iban,
    person_share,
    share_of,
    us_share,
)
from mayfly.privacy.detect.names import NameVote
from mayfly.privacy.detect.text import NAMES, ORGANISATIONS, as_gender, free_text, lexical, street
from mayfly.privacy.detect.values import Values
from mayfly.privacy.guard import EMAIL, PHONE, found_in
from mayfly.privacy.guard.patterns import luhn

MOST = 0.8
"""Of a column's values: what names and loose forms must reach to give it their class."""
_CERTAIN, _SURE, _LIKELY, _NAMED = 1.0, 0.95, 0.8, 0.6
_HIT_ORDER: tuple[ColumnClass, ...] = ("credit_card", "iban", "email", "phone")
_NOT_PERSONAL: frozenset[ColumnClass] = frozenset(
    {"none", "opaque_id", "uuid", "hashed", "country", "region", "gender"}
)
_WITHIN = "within_text"
_NO_DIGIT = re.compile(r"[^0-9]")
_NUMBER = r"^[0-9 .\-]+[0-9Xx]$"
_BIRTH_YEARS = (1905, 2015)
_MANY = 20
_WORDS = 4


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a column is.

    Args:
        cls: its class.
        confidence: from 0 to 1, of its own measure: 1 is a form that nothing else has.
        evidence: counts of rows by what was found in them; `name` is 1 where the name agrees.
        nested: class by path within values.
    """

    cls: ColumnClass
    confidence: float
    evidence: Mapping[str, int] = field(default_factory=dict)
    nested: Mapping[str, ColumnClass] = field(default_factory=dict)


_Found = tuple[ColumnClass, float]


Hits = Mapping[str, int]
"""Rows by class of values that are personal whatever their column is."""


def classify_texts(values: Values, vote: NameVote, *, integers: bool = False) -> Verdict:
    """The class of a column of texts.

    Args:
        values: of the column.
        vote: of its name.
        integers: whether they are whole numbers of a numeric type.
    """
    if not values.total:
        return _unseen(vote)
    evidence = {"values": values.total, "distinct": len(values.distinct)}
    hashes = _hashes(values)
    evidence |= {f"hash_{name}": rows for name, rows in hashes.items()}
    hits = hits_in(values)
    evidence |= dict(sorted(hits.items()))
    cls, confidence = _decide(values, vote, hashes, hits, integers=integers)
    evidence["name"] = int(vote.cls == cls and cls != "none")
    return Verdict(cls=cls, confidence=confidence, evidence=evidence)


def _unseen(vote: NameVote) -> Verdict:
    """A column without values: its name alone speaks."""
    if vote.cls is None or vote.qualified:
        return Verdict(cls="none", confidence=0.3, evidence={"values": 0})
    return Verdict(cls=vote.cls, confidence=0.4, evidence={"values": 0, "name": 1})


def _hashes(values: Values) -> dict[str, int]:
    """Rows by form of digest."""
    counted = {
        name: values.rows_of(values.mask(pattern))
        for name, pattern in forms.HASHES.items()
        if values.share(pattern) or len(values.sample) < len(values.distinct)
    }
    return {name: rows for name, rows in counted.items() if rows}


def hits_in(values: Values) -> Hits:
    """Rows by class of every value that its own form tells, in clear or in an encoding."""
    masks, within = hit_masks(values)
    rows = {name: values.rows_of(mask) for name, mask in masks.items()}
    rows[_WITHIN] = within
    return {name: count for name, count in rows.items() if count}


def hit_masks(values: Values) -> tuple[dict[str, pl.Series], int]:
    """Which of the distinct texts hold a value of a class, and in how many rows it is a part."""
    picture = values.mask(forms.RETINA)
    email = values.mask(forms.EMAIL) & ~picture
    set_apart = values.mask(forms.PHONE_SET) & ~values.mask(forms.DATE)
    phone = values.mask(forms.PHONE_PLUS) | set_apart
    left = ~(email | phone | picture | values.mask(forms.MESSAGE_ID))
    if values.share(_NUMBER) > 0.5 and len(values.sample) >= _MANY:
        # Among thousands of numbers some look like a card by chance: their share must tell.
        left &= ~values.mask(_NUMBER)
    places, within = left.arg_true(), 0
    parts: dict[str, list[int]] = {}
    for position, classes in found_in(values.distinct.filter(left)):
        place = int(places[position])
        within += int(values.rows[place]) * len(classes)
        for name in classes:
            parts.setdefault(name, []).append(place)
    masks = {EMAIL: email, PHONE: phone & ~email}
    for name, found in parts.items():
        part = pl.zeros(len(left), dtype=pl.Boolean, eager=True).scatter(found, True)
        masks[name] = masks[name] | part if name in masks else part
    return masks, within


def _decide(
    values: Values, vote: NameVote, hashes: Mapping[str, int], hits: Hits, *, integers: bool
) -> _Found:
    found = _digests(values, vote, hashes)
    if found is None:
        for look in (_of_form, _of_date, _of_check, _of_list):
            found = look(values, vote, integers)
            if found is not None:
                break
    if found is None:
        found = _by_name(values, vote, integers) or _of_ids(values, vote, integers)
    return _with_hits(values, found, hits)


def _with_hits(values: Values, found: _Found, hits: Hits) -> _Found:
    """One clear value is enough, whatever the share of the others."""
    if not hits or found[0] not in _NOT_PERSONAL:
        return found
    worst = max(_HIT_ORDER, key=lambda cls: hits.get(cls, 0))
    if found[0] == "hashed":
        return "dirty_hashed", _CERTAIN
    if values.share(forms.URL) >= 0.5:
        return "url_pii", _SURE
    if values.share(forms.NAMED_ADDRESS) >= 0.5:
        return "email", _SURE
    told = values.share(r"\S+\s+\S+\s+\S+", r"[\x{3040}-\x{9fff}]") >= 0.5
    if free_text(values) or (told and hits.get(_WITHIN, 0) * 2 > hits[worst]):
        return "free_text_pii", _SURE
    return worst, _SURE


def _digests(values: Values, vote: NameVote, hashes: Mapping[str, int]) -> _Found | None:
    total = sum(hashes.values())
    if not total or total * 2 < values.total:
        return None
    if len(hashes) == 1 and total == values.total:
        bare = values.share(forms.UUID_BARE)
        if "hex_32" in hashes and bare == 1 and len(values.sample) >= _WORDS:
            return ("device_id" if vote.cls == "device_id" else "uuid"), _LIKELY
        return "hashed", _CERTAIN
    # Tokens as long as a digest are found by chance among others of about that length.
    if all(name.startswith("base64") for name in hashes) and total < values.total * 0.9:
        return None
    return "dirty_hashed", _SURE


def _of_form(values: Values, vote: NameVote, integers: bool) -> _Found | None:
    share = values.share
    if share(forms.EMAIL, forms.SPELT) - share(forms.RETINA) >= 0.5:
        return "email", _CERTAIN
    if share(forms.URL) >= MOST:
        person = values.rows_of(values.mask(forms.URL_PERSON))
        return ("url_pii", _SURE) if person else ("none", _SURE)
    if share(forms.USER_AGENT_SURE) >= 0.5:
        return "user_agent", _CERTAIN
    if vote.cls == "user_agent" and share(forms.USER_AGENT) >= MOST:
        return "user_agent", _SURE
    if share(forms.IPV4, forms.IPV6) >= MOST:
        far = share(forms.IPV4_FAR, forms.IPV6) >= 0.5
        return ("ip_address", _CERTAIN) if far or vote.cls == "ip_address" else ("none", _LIKELY)
    if share(forms.CLIENT_ID) >= MOST:
        return "device_id", _SURE
    if vote.cls == "geo" and share(forms.DEGREES) >= MOST:
        return "geo", _SURE
    if share(forms.MAC) >= MOST:
        return "device_id", _SURE
    if share(forms.UUID) >= MOST:
        return ("device_id" if vote.cls == "device_id" else "uuid"), _SURE
    if share(forms.GEO) >= MOST:
        return "geo", _SURE
    if not integers and share(forms.HANDLE) >= MOST:
        return "username", _SURE
    return _phone_form(values, vote)


def _phone_form(values: Values, vote: NameVote) -> _Found | None:
    share = values.share
    if share(forms.PHONE_PLUS) >= 0.5:
        return "phone", _CERTAIN
    if vote.cls == "phone" and not vote.qualified and share(forms.DIGITS_SET) >= 0.5:
        sample = values.sample.to_list()
        others = share(forms.DATE) >= 0.5 or share_of(sample, is_card) >= 0.9
        return None if others else ("phone", _SURE)
    mixed = share(forms.PHONE_PLUS, forms.PHONE_SET, forms.PHONE_DIGITS)
    if mixed >= MOST and vote.cls not in ("postal_code", "national_id", "opaque_id"):
        return "phone", _SURE
    return None


def _of_check(values: Values, vote: NameVote, integers: bool) -> _Found | None:
    """Numbers that a digit of their own checks."""
    sample = values.sample.to_list()
    digits = values.share(r"^[0-9 .\-/]{7,25}$")
    if values.share(forms.CARD) >= 0.5 and share_of(sample, is_card) >= 0.4:
        return "credit_card", _CERTAIN
    if values.share(forms.IMEI) >= 0.9 and share_of(sample, luhn) >= 0.9:
        return "device_id", _SURE
    if values.share(forms.IBAN) >= 0.5 and share_of(sample, is_iban) >= 0.4:
        return "iban", _CERTAIN
    if vote.cls == "device_id" and values.share(r"^[0-9A-Za-z:_\-]{8,}$") >= MOST:
        return "device_id", _SURE
    if digits >= MOST or values.share(r"^[0-9A-Za-z .\-/]{8,20}$") >= MOST:
        valid = person_share(sample)
        if valid >= (0.5 if vote.cls == "national_id" else 0.9) and (
            len(sample) >= 5 or vote.cls == "national_id"
        ):
            return "national_id", _SURE
    signs, numbered = r"^[0-9A-Za-z .\-/]{5,24}$", r"[0-9].*[0-9].*[0-9].*[0-9]"
    labelled = values.share(forms.LABELLED_NUMBER) >= 0.5
    fits = min(values.share(signs), values.share(numbered)) >= MOST and not labelled
    if vote.cls == "national_id" and fits:
        return "national_id", _LIKELY
    if vote.cls in ("opaque_id", "postal_code") or digits < 0.9 or len(sample) < _MANY // 2:
        return None
    if values.share(r"^[1-9][0-9]{9,14}$") >= 0.9 and share_of(sample, is_abroad) >= 0.6:
        return "phone", _LIKELY
    if integers and values.share(r"^[2-9][0-9]{9}$") >= 0.9 and us_share(sample) >= 0.9:
        return ("phone", _LIKELY) if _scattered(sample) else None
    set_apart = values.share(r"^[0-9(][0-9 .()\-/]{8,16}$") >= 0.9
    set_apart = set_apart and values.share(forms.DEGREES) < 0.1
    if not integers and set_apart and home_share(sample) >= 0.9:
        return ("phone", _LIKELY) if _scattered(sample) else None
    return None


def _scattered(sample: list[str]) -> bool:
    """Numbers that count up one after the other are not telephones."""
    numbers = sorted(int(digits) for text in sample if (digits := _NO_DIGIT.sub("", text)))
    if not numbers:
        return False
    span = numbers[-1] - numbers[0]
    return span > 1_000 * len(numbers)


def _of_date(values: Values, vote: NameVote, integers: bool) -> _Found | None:
    if vote.cls == "date_of_birth" and values.share(r"^(?:19|20)[0-9]{2}$") >= MOST:
        return "date_of_birth", _LIKELY
    if values.share(forms.DATE) < MOST:
        return None
    if vote.cls == "date_of_birth" and not vote.qualified:
        return "date_of_birth", _SURE
    if integers and values.share(r"^(?:19|20)[0-9]{6}$") < MOST:
        return None
    if values.share(forms.TIME_OF_DAY) > 0.1:
        return "none", _SURE
    return ("date_of_birth", _LIKELY) if _born(values.sample) else ("none", _SURE)


def _born(sample: pl.Series) -> bool:
    """Whether years are spread as those of births are: over decades, and none is recent."""
    parts = sample.str.extract_groups(forms.YEAR)
    years = [int(a or b) for a, b in (tuple(p.values()) for p in parts.to_list()) if a or b]
    if len(years) < _MANY // 2:
        return False
    ordered = sorted(years)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    return _BIRTH_YEARS[0] <= low and high <= _BIRTH_YEARS[1] and high - low >= 25


def born_on(days: pl.Series, vote: NameVote) -> Verdict:
    """The class of a column of a temporal type.

    Args:
        days: dates or times.
        vote: of the name.
    """
    kept = days.drop_nulls()
    evidence = {"values": len(kept)}
    if vote.cls == "date_of_birth":
        return Verdict(cls="date_of_birth", confidence=_SURE, evidence=evidence | {"name": 1})
    if len(kept) < _MANY // 2 or kept.dtype not in (pl.Date, pl.Datetime):
        return Verdict(cls="none", confidence=_SURE, evidence=evidence)
    years = kept.dt.year()
    low, high = years.quantile(0.05), years.quantile(0.95)
    midnight = kept.dtype == pl.Date or bool((kept.dt.time() == dt.time()).all())
    is_birth = (
        midnight
        and low is not None
        and high is not None
        and low >= _BIRTH_YEARS[0]
        and high <= _BIRTH_YEARS[1]
        and high - low >= 25
    )
    if is_birth:
        return Verdict(cls="date_of_birth", confidence=_LIKELY, evidence=evidence)
    return Verdict(cls="none", confidence=_SURE, evidence=evidence)


def _of_list(values: Values, vote: NameVote, integers: bool) -> _Found | None:
    """Values of closed lists, names of people and places, addresses and texts."""
    if integers:
        return None
    if as_gender(values, vote):
        return "gender", _SURE
    zips = values.share(forms.ZIP) >= 0.95 and values.share(forms.ZIP_SURE) >= 0.03
    if zips and vote.cls in (None, "postal_code", "region", "city") and values.repeats < 10:
        return "postal_code", _LIKELY
    coded = vote.cls != "phone" and values.share(*forms.POSTCODES.values()) >= MOST
    if coded and not vote.qualified:
        return "postal_code", _LIKELY
    if street(values, vote):
        return "street_address", _LIKELY
    return lexical(values, vote)


def _by_name(values: Values, vote: NameVote, integers: bool) -> _Found | None:
    """What the name says, where values of that class may look like these."""
    cls = vote.cls
    if cls is None or vote.qualified:
        return None
    fits = _FITS.get(cls)
    if fits is None or not fits(values):
        return None
    if integers and cls not in ("postal_code", "date_of_birth", "national_id"):
        return None
    return cls, _NAMED


# Scripts without capitals, in which a name looks like any other word.
_NO_CAPITALS = (
    r"[\x{600}-\x{6ff}\x{900}-\x{97f}\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}]"
)


def _name_like(values: Values) -> bool:
    return values.share(forms.NAME_LIKE) >= MOST


_FITS: Mapping[ColumnClass, Callable[[Values], bool]] = {
    "first_name": _name_like,
    "last_name": _name_like,
    "full_name": lambda v: (
        _name_like(v)
        and v.share(r"[\s_\x{ff65}]|^[\x{3040}-\x{9fff}\x{ac00}-\x{d7af}]") >= 0.5
        and v.share(ORGANISATIONS) <= 0.2
    ),
    "city": lambda v: _name_like(v) and v.share(r"^[\p{Lu}\p{Lo}]") >= MOST,
    "region": lambda v: _name_like(v) and v.share(r"^[\p{Lu}\p{Lo}]") >= MOST,
    "country": _name_like,
    "street_address": lambda v: (
        v.share(r"\p{L}{2}") >= MOST and v.share(r"[0-9]") >= 0.3 and v.share(r"\s") >= 0.5
    ),
    "postal_code": lambda v: v.share(forms.POSTCODE_LOOSE, r"^[0-9]{4,6}$") >= MOST,
    "username": lambda v: v.share(r"^[\w.\-@+]{2,40}$") >= MOST and v.share(r"[A-Za-z]") >= MOST,
    "special": lambda v: v.share(r"^[\p{L}0-9][\p{L}\p{M}0-9 ./'()+\-]{0,80}$") >= 0.5,
    "user_agent": lambda v: v.share(r"/[0-9]") >= MOST,
    "device_id": lambda v: v.share(r"^[\w:\-]{8,}$") >= MOST,
    "free_text_pii": lambda v: (
        free_text(v)
        and v.repeats < 1.5
        and (v.share(NAMES) >= 0.02 or v.share(_NO_CAPITALS) >= 0.5)
    ),
}


def _of_ids(values: Values, vote: NameVote, integers: bool) -> _Found:
    unique = values.repeats < 1.1
    says_id = vote.cls == "opaque_id" and not vote.qualified
    if integers:
        return ("opaque_id", _LIKELY) if says_id else ("none", _LIKELY)
    if says_id and values.share(forms.ID_SIGNS, forms.OPAQUE) >= MOST:
        return "opaque_id", _LIKELY
    if unique and len(values.distinct) >= _MANY and values.share(forms.OPAQUE) >= 0.9:
        return "opaque_id", _LIKELY
    long_tokens = values.share(r"^[A-Za-z0-9_\-]{8,}$") >= 0.9 and values.share(r"[0-9]") >= 0.9
    if unique and len(values.distinct) >= _MANY and long_tokens:
        return "opaque_id", _LIKELY
    return "none", _LIKELY
