"""Forms of values as every SQL engine can match them: classes, counts, groups and ends, no more.

What they count is what `forms` and the guard find, or more: no letters beyond ASCII are told from
marks beyond it, and nothing looks behind. What is written in another encoding than base64, hex or
percents, or in one within a longer text, they do not see.
"""

from __future__ import annotations

from dataclasses import dataclass

from mayfly.privacy.detect import forms
from mayfly.privacy.guard.patterns import IBAN_LENGTHS

_CONTROLS = r"\t\n\r\f\v"
_NO_WORD = r" -/:-@\[\\\]\^`{-~" + _CONTROLS
# Of texts any sign beyond ASCII counts as a letter.
_WORD = rf"[^{_NO_WORD}_]"
_IN_LABEL = r"[^ -,./:-@\[\\\]\^`{-~" + _CONTROLS + "]"
_LOCAL = r"[^ \"(),:;<>@\[\\\]" + _CONTROLS + "]"
_LETTER = r"[^ -@\[\\\]\^_`{-~" + _CONTROLS + "]"
_LAST = rf"(?:[xX][nN]--[A-Za-z0-9-]{{2,59}}|{_LETTER}{{2,24}})"
_DOMAIN = rf"{_WORD}{_IN_LABEL}*(?:\.{_WORD}{_IN_LABEL}*)*\.{_LAST}"

EMAIL = (
    rf"(?:[mM][aA][iI][lL][tT][oO]:)?{_LOCAL}+@{_WORD}[^ -,/:-@\[\\\]\^`{{-~{_CONTROLS}]*\.{_LAST}"
)
EMAIL_WITHIN = rf"{_LOCAL}@{_DOMAIN}(?:$|[{_NO_WORD}])"
RETINA = r"@[0-9]x\.(?:png|jpe?g|gif|webp|svg|avif)$"
MESSAGE_ID = r"<[A-Za-z0-9_.$+-]*[0-9]{4,}[A-Za-z0-9_.$+-]*@[A-Za-z0-9_.-]+>"
EMAIL_PERCENT = (
    r"[A-Za-z0-9._+-]%40[A-Za-z0-9-]+(?:(?:\.|%2[eE])[A-Za-z0-9-]+)*(?:\.|%2[eE])[A-Za-z]{2}"
)
EMAIL_SPELT = r"[^ ] ?[\[({] ?[aA][tT] ?[\])}] ?[^ ]"
# Bytes from a blank to a tilde, in hex, and letters of two bytes.
_IN_HEX = "[2-7][0-9a-fA-F]|[cdCD][0-9a-fA-F][89abAB][0-9a-fA-F]"
EMAIL_HEX = f"(?:{_IN_HEX})+40(?:{_IN_HEX})+2[eE](?:{_IN_HEX}){{2,}}"

_EXTENSION = r"(?: ?(?:x|ext\.?|#) ?[0-9]{1,6})?"
PHONE_PLUS = (
    r"(?:tel:|[wW]hatsapp:)?\(?\+[ (]{0,2}[1-9](?:[ ().\-/" + "\u00a0" + r"]{0,3}[0-9]){6,14}"
    rf"{_EXTENSION}"
)
PHONE_SET = forms.PHONE_SET.removeprefix("^").removesuffix("$")
PHONE_DIGITS = forms.PHONE_DIGITS.removeprefix("^").removesuffix("$")
DIGITS_SET = (
    r"[^0-9A-Za-z]*(?:[0-9][^0-9A-Za-z]{0,3}){6,14}[0-9][^0-9A-Za-z]*"
    r"(?:(?:x|ext\.?|#) ?[0-9]{1,6})?"
)
PHONE_WITHIN = (
    r"(?:^|[^0-9A-Za-z+/=])\+[ (]{0,2}[1-9](?:[ ().\-/"
    + "\u00a0"
    + r"]{0,3}[0-9]){7,14}(?:$|[^0-9A-Za-z_])"
)
_SET = (
    r"(?:1[ .-]?)?\([2-9][0-9]{2}\)[ .-]?[2-9][0-9]{2}[ .-][0-9]{4}"
    r"|(?:1-)?[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}"
    r"|0[1-9](?:[ .-][0-9]{2}){4}"
    r"|00[ -]?[1-9][0-9]{0,2}(?:[ ().-]{1,2}[0-9]{2,8}){2,5}"
)
PHONE_SET_WITHIN = (
    rf"(?:^|[^0-9A-Za-z .-]|(?:^|[^0-9])[ .-])(?:{_SET})(?:$|[^0-9A-Za-z_ .-]|[ .-](?:$|[^0-9]))"
)
DATE = (
    r"(?:(?:18|19|20)[0-9]{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])[-/. ](?:0?[1-9]|[12][0-9]|3[01])[-/. ]"
    r"(?:(?:18|19|20)?[0-9]{2}))(?:[T ][0-9:.]+(?: ?(?:Z|UTC|[+-][0-9:]+))?)?"
)

CARD = (
    r"(?:[2-9](?:[ -]?[0-9]){12,18}"
    r"|[2-9][0-9]{3}(?:(?:\.[0-9]{4}){2}\.[0-9]{1,4}(?:\.[0-9]{3})?|\.[0-9]{6}\.[0-9]{4,5}))"
)
CARD_ISSUED = (
    "(?:4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"
    "|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    "|3[47][0-9]{13}|3[0689][0-9]{12,17}|(?:35|81)[0-9]{14,17}|220[0-4][0-9]{12,15}"
    "|9792[0-9]{12}|6[0-9]{12,18}|5[0678][0-9]{11,17})"
)
_SET_OFF = "[ -]?"
_MORE = f"(?:{_SET_OFF}[0-9])"


def _spread(*signs: str) -> str:
    """Signs that may have a blank or a hyphen between each two."""
    return _SET_OFF.join(signs)


_DIGIT = "[0-9]"
_MASTERCARD = "|".join(
    (
        _spread("2", "2", "[1-9]"),
        _spread("2", "[3-9]", _DIGIT),
        _spread("[3-6]", _DIGIT, _DIGIT),
        _spread("7", "[01]", _DIGIT),
        _spread("7", "2", "0"),
    )
)
CARD_NUMBER = (
    "(?:"
    + "|".join(
        (
            f"4{_MORE}{{12}}(?:{_MORE}{{3}}){{0,2}}",
            f"{_spread('5', '[1-5]')}{_MORE}{{14}}",
            f"2{_SET_OFF}(?:{_MASTERCARD}){_MORE}{{12}}",
            f"{_spread('2', '2', '0', '[0-4]')}{_MORE}{{12,15}}",
            f"{_spread('3', '[47]')}{_MORE}{{13}}",
            f"{_spread('3', '[0689]')}{_MORE}{{12,17}}",
            f"(?:{_spread('3', '5')}|{_spread('8', '1')}){_MORE}{{14,17}}",
            f"{_spread('9', '7', '9', '2')}{_MORE}{{12}}",
            f"6{_MORE}{{12,18}}",
            f"{_spread('5', '[0678]')}{_MORE}{{11,17}}",
        )
    )
    + ")"
)
"""What `CARD_ISSUED` says of digits, with blanks and hyphens among them."""
CARD_WITHIN = (
    f"(?:^|[^0-9A-Za-z+ .,-]|(?:^|[^0-9])[ .,-]){CARD_NUMBER}(?:$|[^0-9A-Za-z -]|[ -](?:$|[^0-9]))"
)
IBAN = r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}"
IBAN_SIZED = "(?:{})".format(
    "|".join(
        f"(?:{'|'.join(sorted(countries.split()))})[0-9]{{2}}[0-9A-Z]{{{length - 4}}}"
        for length, countries in IBAN_LENGTHS.items()
    )
)


def _either_case(country: str) -> str:
    return "".join(f"[{letter.lower()}{letter}]" for letter in country)


IBAN_NUMBER = "(?:{})".format(
    "|".join(
        f"(?:{'|'.join(map(_either_case, sorted(countries.split())))})[0-9]{{2}}"
        f"(?:{_SET_OFF}[0-9A-Za-z]){{{length - 4}}}"
        for length, countries in IBAN_LENGTHS.items()
    )
)
IBAN_WITHIN = f"(?:^|[^0-9A-Za-z]){IBAN_NUMBER}(?:$|[^0-9A-Za-z])"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_ADDRESS = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
IP = (
    rf"(?:{_ADDRESS}(?:/[0-9]{{1,2}}|:[0-9]{{2,5}}|(?:, ?{_ADDRESS})+)?"
    "|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    "|(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}"
    "|(?:[0-9a-fA-F]{1,4}:){1,7}:|::(?:ffff:)?[0-9a-fA-F.:]{2,39})"
)
IP_FAR = (
    r"^(?:[4-9][0-9]|[12][0-9]{2})\.|\.(?:[4-9][0-9]|[12][0-9]{2})\."
    "|^[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]*$"
)
UUID = forms.UUID.removeprefix("^").removesuffix("$")
UUID_BARE = forms.UUID_BARE.removeprefix("^").removesuffix("$")
MAC = forms.MAC.removeprefix("^").removesuffix("$")
URL = (
    r"^(?:[hH][tT][tT][pP][sS]?|[fF][tT][pP])://|^[wW][wW][wW]\.[A-Za-z0-9_-]+\.[A-Za-z]{2,}"
    r"|^/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]*)*\?[A-Za-z0-9_-]+="
)


def _any_case(text: str) -> str:
    return "".join(f"[{c}{c.upper()}]" if "a" <= c <= "z" else c for c in text)


URL_PERSON = (
    f"[?&;](?:{_any_case('e-?mail|mail|phone|tel|mobile|name|first_?name|last_?name|fname|lname')}"
    f"|{_any_case('user(?:name|id|_id)?|login|uid|customer(?:_?id)?|contact|dob|ssn')}"
    f"|{_any_case('addr(?:ess)?|zip')})=[^&]"
    r"|wa\.me/[0-9]|linkedin\.com/(?:in|pub)/|facebook\.com/[A-Za-z0-9_.]{5,}"
    r"|twitter\.com/[A-Za-z0-9_]|instagram\.com/[A-Za-z0-9_]|github\.com/[A-Za-z0-9_-]+/?$"
    f"|/(?:{_any_case('users?|profiles?|members?|people|u|customers?')})/[A-Za-z0-9_.%-]{{2,}}"
    "|/~[A-Za-z0-9_]"
)
NATIONAL = (
    r"(?:[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}"
    "|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
    r"|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
    r"|756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|784-?[0-9]{4}-?[0-9]{7}-?[0-9]|[0-9]{6}-[1-4][0-9]{6}"
    r"|[A-Z]{5}[0-9]{4}[A-Z]|[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}"
    "|[12] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{3} [0-9]{3}(?: [0-9]{2})?"
    "|[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"
    "|[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9])"
)
NUMBER = r"[0-9 .\-]+[0-9Xx]"
SIGNS = r"[0-9A-Za-z .\-/]{5,24}"
JSON = r"[\[{](?:.|\n|\r)*[\]}]"
SENTENCE = "[^ ]+ +[^ ]+ +[^ ]"


def _signs(*indices: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return "[{}]".format("".join(alphabet[i] for i in indices))


# Of three bytes from a blank to a tilde the four signs in base64: a digest has none such for long.
_ANY = "[A-Za-z0-9+/_-]"
_FIRST = _signs(*range(8, 32))
_SECOND = _signs(*(i for i in range(64) if 2 <= i % 16 <= 7))
_THIRD = _signs(*(i for i in range(64) if i % 4 <= 1))
_PLAIN = f"{_FIRST}{_SECOND}{_THIRD}{_ANY}"
_AT = (
    f"(?:Q{_signs(*range(2, 8))}{_THIRD}{_ANY}|{_FIRST}{_signs(4, 20, 36, 52)}[AB]{_ANY}"
    f"|{_FIRST}{_SECOND}{_signs(*range(1, 64, 4))}A)"
)
_DOT = (
    f"(?:L{_signs(*range(34, 40))}{_THIRD}{_ANY}|{_FIRST}{_signs(2, 18, 34, 50)}[45]{_ANY}"
    f"|{_FIRST}{_SECOND}{_signs(*range(0, 64, 4))}u)"
)
_TAIL = (
    f"(?:{_FIRST}{_SECOND}{_signs(*range(0, 64, 4))}=?|{_FIRST}{_signs(*range(0, 64, 16))}(?:==)?)?"
)
EMAIL_BASE64 = f"(?:{_PLAIN})*{_AT}(?:{_PLAIN})*{_DOT}(?:{_PLAIN})*{_TAIL}"


@dataclass(frozen=True, kw_only=True)
class Digest:
    """One form of digest.

    Args:
        pattern: of the whole text.
        sizes: its length in characters; none where it has several.
        start: the sign that it begins with, where it has several.
    """

    pattern: str
    sizes: tuple[int, ...] = ()
    start: str = ""


def _bare(name: str) -> str:
    return forms.HASHES[name].removeprefix("^").removesuffix("$")


HASHES: dict[str, Digest] = {
    **{
        f"hex_{n}": Digest(pattern=_bare(f"hex_{n}"), sizes=(n,)) for n in (32, 40, 56, 64, 96, 128)
    },
    "base64_16": Digest(pattern=_bare("base64_16"), sizes=(24,)),
    "base64_20": Digest(pattern=_bare("base64_20"), sizes=(28,)),
    "base64_32": Digest(pattern=_bare("base64_32"), sizes=(44,)),
    "base64_64": Digest(pattern=_bare("base64_64"), sizes=(88,)),
    "base64url_32": Digest(pattern=_bare("base64url_32"), sizes=(43,)),
    "bcrypt": Digest(pattern=_bare("bcrypt"), sizes=(60,)),
    "argon2": Digest(pattern=_bare("argon2"), start="$"),
    "base32_20": Digest(pattern=_bare("base32_20"), sizes=(32,)),
    "base32_32": Digest(pattern=_bare("base32_32"), sizes=(52, 56)),
    "prefixed_hex": Digest(pattern=_bare("prefixed_hex"), sizes=(42, 66, 130)),
    "crypt": Digest(pattern=_bare("crypt"), start="$"),
    "phpass": Digest(pattern=_bare("phpass"), sizes=(34,)),
    "mysql": Digest(pattern=_bare("mysql"), sizes=(41,)),
    "fingerprint": Digest(pattern=_bare("fingerprint"), sizes=(47, 59, 95)),
    "ldap": Digest(pattern=_bare("ldap"), start="{"),
    "pbkdf2": Digest(
        pattern=r"\$?(?:pbkdf2|scrypt)[A-Za-z0-9_:-]*\$[^ ]+\$[^ $]+\$[A-Za-z0-9+/=._-]{20,}"
    ),
    "salted_hex": Digest(pattern=_bare("salted_hex")),
    "labelled": Digest(
        pattern=f"(?:{_any_case('md5|sha1|sha-?256|sha-?512|hmac')})[:$_-][0-9a-fA-F]{{32,128}}"
    ),
}
"""Digests, as `forms.HASHES` has them."""
HASH_SIZE_MIN = 24
