"""Every rule, once. The `version` of a rule changes whenever an output of it does.

States hold what was delivered, as digests: comparing with and taking back what an earlier version
made needs no earlier rule. What must be computed by earlier versions is in `canonical`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters.base import character_class
from mayfly.privacy.rules.tables import (
    COUNTRY_CODES,
    COUNTRY_NAMES,
    GENDERS,
    NO_GENDER,
    US_STATES,
)

# Not "until now": a rule gives the same answer on every day, and platforms take nobody this young.
BIRTH_YEARS = (1900, 2026)

Encoding = Literal["sha256-hex", "sha256-base64", "sha512-hex", "none", "md5-hex"]
PhoneForm = Literal["none", "plus", "digits"]

_V = e.Value()
_ANY = e.Length(_V, 1, 10_000)
_NONE = e.Only(_V, "")


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """A rule that reads all values but some as another does: to SQL it costs little where the
    other's digest is at hand.

    Args:
        plain: the other rule.
        pattern: of the raw values that differ, of ASCII alone; none of them is refused.
        text: what stands for those.
    """

    plain: Rule
    pattern: str
    text: e.Text


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one platform wants one field.

    Args:
        platform, field: names as the test vectors spell them.
        normal: the normalised text.
        valid: what it must fulfil; else the value is absent or refused.
        inside: of the raw value: true where SQL's text functions are proven equal.
        phone: for phones, the platform's form; `normal` is not used then.
        phone_digits: bounds of the digits of a phone.
        bare_nanp: phones typed as `1 (650) 123-4567` need no country.
        encoding: how the platform writes the digest; `none` where it takes the value in clear.
        prehashed_only: takes digests only, never a clear value.
        version: a state made by another one is compared anew.
        spelling: another way to say `normal`; None where there is none.
    """

    platform: str
    field: str
    normal: e.Text = _V
    valid: e.Condition = _ANY
    inside: e.Condition = _NONE
    phone: PhoneForm = "none"
    phone_digits: tuple[int, int] = (8, 15)
    bare_nanp: bool = False
    encoding: Encoding = "sha256-hex"
    prehashed_only: bool = False
    version: int = 1
    spelling: Spelling | None = None


def _email(
    platform: str, normal: e.Text, *, dot: bool = True, encoding: Encoding = "sha256-hex"
) -> Rule:
    """Exactly one @, something on both sides, no white space inside."""
    return Rule(
        platform=platform,
        field="email",
        normal=normal,
        valid=e.EmailShape(normal, labels=dot),
        inside=e.Only(_V, e.PRINTABLE + e.SPACES),
        encoding=encoding,
    )


def _without_tag(normal: e.Text, domains: tuple[str, ...]) -> e.Text:
    """Without dots and `+tag` in the local part, at some domains only."""
    domain = e.After(normal, "@")
    return e.Case(e.In(domain, domains), e.Join((_local(normal), "@", domain)), normal)


_GMAIL = ("gmail.com", "googlemail.com")
# Some letter or digit of the local part is left without its dots and its tag.
_IS_GMAIL = (
    f"{character_class(e.SPACES)}*[.]*[!-*,\\-/-?A-~][!-?A-~]*@"
    "(?:[gG][mM][aA][iI][lL]|[gG][oO][oO][gG][lL][eE][mM][aA][iI][lL])[.][cC][oO][mM]"
    f"{character_class(e.SPACES)}*"
)
_TRIMMED = e.Lower(e.StripWide(_V))
_UID2 = e.Lower(e.Strip(_V, " "), ascii_only=True)
_NAME = e.LettersOnly(e.Lower(e.StripWide(_V)))
_NAME_INSIDE = e.Only(_V, e.NAME_LETTERS + e.NAME_MARKS + e.DIGITS)
_CITY = e.LettersOnly(e.Lower(e.StripWide(_V)), digits=False)
_WORD = e.Remove(e.Lower(e.Strip(_V, e.SPACES)), " .,-'")
_ZIP = e.Remove(e.Lower(e.StripWide(_V)), e.SPACES + e.NO_BREAK)
_ZIP_PLAIN = e.Remove(_ZIP, "-")
_ZIP_US = e.All(
    (
        e.Only(_ZIP, e.DIGITS + "-"),
        e.Count(_ZIP, "-", 1),
        e.Length(e.Before(_ZIP, "-"), 5, 5),
    )
)
_DIGITS_STRIPPED = e.Strip(_V, e.SPACES)
_ISO_DATE = e.All(
    (
        e.Length(_DIGITS_STRIPPED, 10, 10),
        e.Count(_DIGITS_STRIPPED, "-", 2),
        e.Only(_DIGITS_STRIPPED, e.DIGITS + "-"),
    )
)
_YEAR = e.Case(_ISO_DATE, e.Left(_DIGITS_STRIPPED, 4), _DIGITS_STRIPPED)
_MONTH = e.Case(_ISO_DATE, e.Left(e.After(_DIGITS_STRIPPED, "-"), 2), _DIGITS_STRIPPED)
_DAY = e.Case(_ISO_DATE, e.After(e.After(_DIGITS_STRIPPED, "-"), "-"), _DIGITS_STRIPPED)
_DATE_INSIDE = e.Only(_V, e.DIGITS + "-" + e.SPACES)
_COUNTRY_TEXT = e.LettersOnly(e.Lower(e.StripWide(_V)), digits=False)
# SQL's repertoire is two letters: the long table is behind a case that it never enters.
_COUNTRY = e.Case(
    e.Length(_COUNTRY_TEXT, 0, 2),
    e.Lookup(_COUNTRY_TEXT, {k: v for k, v in COUNTRY_NAMES.items() if len(k) == 2}),
    e.Lookup(_COUNTRY_TEXT, COUNTRY_NAMES),
)
_MADID = e.Lower(e.Strip(_V, e.SPACES))
_IS_MADID = e.All(
    (
        e.Length(_MADID, 36, 36),
        e.Count(_MADID, "-", 4),
        e.Only(_MADID, "0123456789abcdef-"),
    )
)


def trimmed_email(platform: str) -> Rule:
    """An e-mail in lower case without white space around it, as several take it."""
    return _email(platform, _TRIMMED)


def one_mailbox_email(platform: str) -> Rule:
    """As `trimmed_email`, and all spellings of one Gmail address as one: dots, what follows a plus,
    and the domain's other name.

    Source: https://developers.google.com/data-manager/api/devguides/concepts/formatting, but for
    the other name, which leads to the same mailbox.
    """
    local = _local(_TRIMMED)
    named = e.All((e.In(e.After(_TRIMMED, "@"), _GMAIL), e.Length(local, 1, 10_000)))
    folded = e.Case(named, e.Join((local, "@gmail.com")), _TRIMMED)
    packed = e.Lower(e.Remove(_V, e.SPACES), ascii_only=True)
    spelling = Spelling(
        plain=trimmed_email(platform),
        pattern=_IS_GMAIL,
        text=e.Join((_local(packed), "@gmail.com")),
    )
    return replace(_email(platform, folded), spelling=spelling)


def _local(address: e.Text) -> e.Text:
    """What stands before the `@`, without dots and what follows a plus."""
    return e.Remove(e.Before(e.Before(address, "@"), "+"), ".")


def _meta() -> list[Rule]:
    m = "meta"
    two = e.Length(e.Strip(_V, e.SPACES), 0, 2)
    short_country = e.All((two, e.Only(_V, e.UPPER + e.LOWER + e.SPACES)))
    gender = e.Lookup(e.Lower(e.Strip(_V, e.SPACES)), GENDERS, keep=False)
    return [
        trimmed_email(m),
        Rule(platform=m, field="phone", phone="digits", bare_nanp=True),
        Rule(platform=m, field="first_name", normal=_NAME, inside=_NAME_INSIDE),
        Rule(platform=m, field="last_name", normal=_NAME, inside=_NAME_INSIDE),
        Rule(platform=m, field="first_initial", normal=e.Left(_NAME, 1), inside=_NAME_INSIDE),
        Rule(platform=m, field="f5first", normal=e.Left(_NAME, 5), inside=_NAME_INSIDE),
        Rule(platform=m, field="city", normal=_CITY, inside=_NAME_INSIDE),
        Rule(
            platform=m,
            field="state",
            normal=e.Lookup(e.LettersOnly(e.Lower(e.StripWide(_V)), digits=False), US_STATES),
            inside=_NAME_INSIDE,
        ),
        Rule(
            platform=m,
            field="zip",
            # The length is asked first: most postcodes are no ZIP+4, and SQL stops there.
            normal=e.Case(
                e.Length(_ZIP, 10, 10),
                e.Case(_ZIP_US, e.Left(_ZIP, 5), _ZIP_PLAIN),
                _ZIP_PLAIN,
            ),
            valid=e.All((e.Length(_ZIP_PLAIN, 2, 12), e.Only(_ZIP_PLAIN, e.LOWER + e.DIGITS))),
            inside=e.Only(_V, e.UPPER + e.LOWER + e.DIGITS + " -"),
        ),
        Rule(
            platform=m,
            field="country",
            normal=_COUNTRY,
            valid=e.In(_COUNTRY, COUNTRY_CODES),
            inside=short_country,
        ),
        Rule(
            platform=m,
            field="gender",
            normal=gender,
            inside=e.Only(_V, e.UPPER + e.LOWER + e.SPACES),
        ),
        Rule(
            platform=m,
            field="dob_year",
            normal=_YEAR,
            valid=e.All((e.Length(_YEAR, 4, 4), e.Between(_YEAR, *BIRTH_YEARS))),
            inside=_DATE_INSIDE,
        ),
        Rule(
            platform=m,
            field="dob_month",
            normal=e.Pad(_MONTH, 2),
            valid=e.All((e.Length(_MONTH, 1, 2), e.Between(_MONTH, 1, 12))),
            inside=_DATE_INSIDE,
        ),
        Rule(
            platform=m,
            field="dob_day",
            normal=e.Pad(_DAY, 2),
            valid=e.All((e.Length(_DAY, 1, 2), e.Between(_DAY, 1, 31))),
            inside=_DATE_INSIDE,
        ),
        Rule(platform=m, field="dob"),
        Rule(platform=m, field="email_hash", prehashed_only=True),
        Rule(platform=m, field="phone_hash", prehashed_only=True),
        Rule(platform=m, field="external_id", normal=e.Lower(e.StripWide(_V))),
        Rule(platform=m, field="madid", normal=_MADID, valid=_IS_MADID, encoding="none"),
    ]


def _google() -> list[Rule]:
    g = "google"
    untagged = _without_tag(_TRIMMED, _GMAIL)
    region = e.Upper(e.Strip(_V, e.SPACES))
    code = e.All((e.Length(region, 2, 2), e.In(e.Lower(region), COUNTRY_CODES)))
    zip_code = e.Strip(_V, e.SPACES)
    return [
        _email(g, untagged),
        Rule(platform=g, field="phone", phone="plus"),
        Rule(platform=g, field="first_name"),
        Rule(platform=g, field="last_name"),
        Rule(platform=g, field="country", normal=region, valid=code, encoding="none"),
        Rule(
            platform=g,
            field="zip",
            normal=zip_code,
            valid=e.All(
                (
                    e.Length(zip_code, 2, 12),
                    e.Only(zip_code, e.UPPER + e.LOWER + e.DIGITS + " -"),
                )
            ),
            encoding="none",
        ),
        # Of addresses, for Google Analytics: of these the street alone is hashed.
        Rule(platform=g, field="street_address"),
        Rule(platform=g, field="city", encoding="none"),
        Rule(platform=g, field="region", encoding="none"),
        Rule(platform=g, field="maid", normal=_MADID, valid=_IS_MADID, encoding="none"),
        Rule(platform=g, field="email_hash", prehashed_only=True),
        Rule(platform=g, field="phone_hash", prehashed_only=True),
    ]


def _uid2(platform: str) -> list[Rule]:
    untagged = _without_tag(_UID2, ("gmail.com",))
    base64: Encoding = "sha256-base64"
    return [
        _email(platform, untagged, dot=False, encoding=base64),
        Rule(
            platform=platform, field="phone", phone="plus", phone_digits=(10, 15), encoding=base64
        ),
        Rule(platform=platform, field="email_hash", prehashed_only=True, encoding=base64),
        Rule(platform=platform, field="phone_hash", prehashed_only=True, encoding=base64),
    ]


def _pinterest() -> list[Rule]:
    """Names keep their marks; a postcode is digits."""
    p = "pinterest"
    name = e.Lower(e.StripWide(_V))
    worded = e.Length(e.LettersOnly(name, digits=False), 1, 10_000)
    digits = e.Case(_ZIP_US, e.Left(_ZIP, 5), _ZIP_PLAIN)
    by_name: Mapping[str, Rule] = {r.field: r for r in _meta()}
    taken = [by_name[f] for f in ("city", "state", "country")]
    return [
        trimmed_email(p),
        Rule(platform=p, field="phone", phone="digits", bare_nanp=True),
        Rule(platform=p, field="first_name", normal=name, valid=worded, inside=_NAME_INSIDE),
        Rule(platform=p, field="last_name", normal=name, valid=worded, inside=_NAME_INSIDE),
        *(replace(rule, platform=p) for rule in taken),
        Rule(
            platform=p,
            field="gender",
            normal=e.Lookup(e.Lower(e.Strip(_V, e.SPACES)), GENDERS | NO_GENDER, keep=False),
            inside=e.Only(_V, e.UPPER + e.LOWER + e.SPACES),
        ),
        Rule(
            platform=p,
            field="zip",
            normal=digits,
            valid=e.All((e.Length(digits, 2, 12), e.Only(digits, e.DIGITS))),
            inside=e.Only(_V, e.UPPER + e.LOWER + e.DIGITS + " -"),
        ),
        Rule(platform=p, field="dob"),
        Rule(platform=p, field="external_id"),
        Rule(platform=p, field="maid", normal=_MADID, valid=_IS_MADID),
    ]


def _others() -> list[Rule]:
    spaceless = e.Lower(e.Remove(_V, e.SPACES))
    made = [
        _email("tiktok", spaceless),
        Rule(platform="tiktok", field="phone", phone="digits", bare_nanp=True),
        # Audiences take digits; of events a phone keeps its plus.
        Rule(platform="tiktok", field="events_phone", phone="plus", bare_nanp=True),
        Rule(platform="tiktok", field="maid", normal=_MADID, valid=_IS_MADID),
        Rule(platform="tiktok", field="external_id"),
        _email("linkedin", spaceless),
        Rule(platform="linkedin", field="maid", normal=_MADID, valid=_IS_MADID, encoding="none"),
        Rule(platform="linkedin", field="email_hash", prehashed_only=True),
        trimmed_email("snap"),
        Rule(platform="snap", field="phone", phone="digits", bare_nanp=True),
        Rule(platform="snap", field="maid", normal=_MADID, valid=_IS_MADID),
        trimmed_email("microsoft-ads"),
    ]
    for platform in ("tiktok", "snap", "pinterest", "microsoft-ads"):
        for field in ("email_hash", "phone_hash"):
            made.append(Rule(platform=platform, field=field, prehashed_only=True))
    return made


RULES: Mapping[tuple[str, str], Rule] = {
    (rule.platform, rule.field): rule
    for rule in (
        *_meta(),
        *_google(),
        *_uid2("uid2"),
        *_uid2("euid"),
        *_uid2("the-trade-desk"),
        *_pinterest(),
        *_others(),
    )
}
