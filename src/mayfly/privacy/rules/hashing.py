"""One value by one rule: normalised, checked, hashed; or why not."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.catalogue import BIRTH_YEARS, RULES, Rule
from mayfly.privacy.rules.emitters import BASE64_DIGEST, OTHER_DIGEST
from mayfly.privacy.rules.evaluate import holds, letters_only, text_of
from mayfly.privacy.rules.phone import SEPARATORS, e164

EMPTY = hashlib.sha256(b"").digest()
_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_HEX128 = re.compile(r"[0-9a-fA-F]{128}")
# What some platforms take beside SHA-256, as their id type says.
_ALGORITHMS = {"md5-hex": "md5", "sha512-hex": "sha512"}
_BASE64 = re.compile(BASE64_DIGEST)
_OTHER_DIGEST = re.compile(OTHER_DIGEST)
# Fields whose value may rightly look like a digest of another kind.
_OPAQUE = ("external_id", "maid", "madid")
# Whose rule is more than an expression: a birth date in one piece, and what may look like a digest.
PYTHON_ONLY = frozenset({"dob", *_OPAQUE})
_GOOGLE_PLACES = frozenset({"street_address", "city", "region"})
_PREFIXES = ("mr", "mrs", "ms", "dr")
_SUFFIXES = frozenset("jr sr 2nd 3rd ii iii iv v vi cpa dc dds vm jd md phd".split())
_DATES = (
    re.compile(r"(?P<y>[0-9]{4})[-/.]?(?P<m>[0-9]{2})[-/.]?(?P<d>[0-9]{2})"),
    re.compile(r"(?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})[-/.](?P<y>[0-9]{4})"),
)
_DAY_FIRST = re.compile(r"(?P<d>[0-9]{1,2})[-/.](?P<m>[0-9]{1,2})[-/.](?P<y>[0-9]{4})")


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """A value's digest and normalised text, or the code of the refusal."""

    digest: bytes | None = None
    normal: str | None = None
    reject: str | None = None


def hash_text(rule: Rule, value: str, context: Mapping[str, object]) -> Hashed:
    """Normalise and hash one value; what is a digest already is passed on as its bytes."""
    stripped = value.strip()
    if not stripped:
        return Hashed(reject="empty")
    known = prehashed(stripped)
    if known is not None:
        return Hashed(reject="empty_digest") if known == EMPTY else Hashed(digest=known)
    if rule.prehashed_only:
        return Hashed(reject="not_a_digest")
    if _OTHER_DIGEST.fullmatch(stripped) and rule.field not in _OPAQUE:
        return Hashed(reject="wrong_algorithm")
    normal = normalise(rule, value, context)
    if not normal:
        return Hashed(reject=f"invalid_{rule.field}")
    return Hashed(digest=hashlib.sha256(normal.encode("utf-8")).digest(), normal=normal)


def prehashed(text: str) -> bytes | None:
    """The 32 bytes of a SHA-256 in hex or base64, None for anything else."""
    if _HEX64.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
    return None


def normalise(rule: Rule, value: str, context: Mapping[str, object]) -> str | None:
    """The text a platform hashes, None where the value is refused."""
    if rule.phone != "none":
        return _phone(rule, value, context)
    if rule.platform == "google" and rule.field in ("first_name", "last_name"):
        return _google_name(rule.field, value)
    if rule.platform == "google" and rule.field in _GOOGLE_PLACES:
        return _google_place(value)
    if rule.field == "dob":
        return _birth_date(value, context)
    if not holds(rule.valid, value):
        return None
    return text_of(rule.normal, value) or None


def _phone(rule: Rule, value: str, context: Mapping[str, object]) -> str | None:
    country = context.get("default_country")
    text = value.strip()
    least, most = rule.phone_digits
    if rule.encoding == "sha256-base64" and text.startswith("+"):
        made = _uid2_phone(text)
    elif context.get("has_country_code") and not text.startswith("+"):
        made = e164("+" + text, None)
    else:
        made = e164(
            value,
            str(country) if country else None,
            bare_nanp=rule.bare_nanp,
        )
    if made is None or not least <= len(made) - 1 <= most:
        return None
    if context.get("api") == "events" or rule.phone == "plus":
        return made
    return made[1:]


def _uid2_phone(text: str) -> str | None:
    """UID2 checks a shape only; its reserved test numbers are no real numbers."""
    compact = text.translate(str.maketrans("", "", SEPARATORS + e.SPACES))
    if not re.fullmatch(r"\+[0-9]{10,15}", compact):
        return None
    if compact.startswith("+0"):
        return compact
    return e164(text, None) or compact


def _google_name(field: str, value: str) -> str | None:
    """Lower case, without the titles and suffixes that Google names."""
    words = value.strip().lower().replace(",", " ").split()
    if field == "first_name" and words and words[0].rstrip(".") in _PREFIXES:
        words = words[1:]
    while field == "last_name" and len(words) > 1 and words[-1].replace(".", "") in _SUFFIXES:
        words = words[:-1]
    text = " ".join(words)
    return text if letters_only(text, digits=False) else None


def _google_place(value: str) -> str | None:
    """Lower case, without symbols; letters and digits of any script stay, and single blanks."""
    text = unicodedata.normalize("NFC", value).lower()
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] in "LMN")
    return " ".join(kept.split()) or None


def _birth_date(value: str, context: Mapping[str, object]) -> str | None:
    day_first = str(context.get("date_order", "")).upper() == "DMY"
    patterns = (_DATES[0], _DAY_FIRST) if day_first else _DATES
    for pattern in patterns:
        found = pattern.fullmatch(value.strip(e.SPACES))
        if found is None:
            continue
        try:
            born = date(int(found["y"]), int(found["m"]), int(found["d"]))
        except ValueError:
            return None
        least, most = BIRTH_YEARS
        return born.strftime("%Y%m%d") if least <= born.year <= most else None
    return None


@dataclass(frozen=True, kw_only=True)
class HashResult:
    """What `mayfly hash` says of one value."""

    digest: str | None
    encoding: str
    reject: str | None
    normalised: str | None


def hash_value(
    platform: str, field: str, value: str, context: Mapping[str, object] | None = None
) -> HashResult:
    """One value by the rule of a platform's field, written as the platform takes it."""
    given = context or {}
    if (platform, field) == ("the-trade-desk", "TtdSignature"):
        return _signature(value, given)
    rule = RULES.get((platform, field))
    if rule is None:
        known = platform in {p for p, _ in RULES}
        code = "unknown_field" if known else "unknown_platform"
        return HashResult(digest=None, encoding="none", reject=code, normalised=None)
    encoding = _encoding(rule, given)
    if encoding == "none":
        normal = normalise(rule, value, given)
        reject = None if normal else f"invalid_{field}"
        # A value that leaves in clear has no digest, and is shown on a terminal only.
        return HashResult(digest=None, encoding="none", reject=reject, normalised=normal)
    if encoding == "sha512-hex" and _HEX128.fullmatch(value.strip()):
        return _sha512_ready(value.strip().lower())
    made = hash_text(rule, value, given)
    if made.digest is None:
        return HashResult(digest=None, encoding=encoding, reject=made.reject, normalised=None)
    if encoding in _ALGORITHMS and made.normal is None:
        # A SHA-256 cannot be turned into what was asked for.
        return HashResult(digest=None, encoding=encoding, reject="wrong_algorithm", normalised=None)
    return HashResult(
        digest=_written(made, encoding),
        encoding=encoding,
        reject=None,
        normalised=made.normal or _written(made, encoding),
    )


def _encoding(rule: Rule, context: Mapping[str, object]) -> str:
    if rule.encoding == "none":
        return "none"
    if str(context.get("encoding", "")).upper() == "BASE64":
        return "sha256-base64"
    id_type = str(context.get("id_type", ""))
    if id_type.endswith("_MD5"):
        return "md5-hex"
    return "sha512-hex" if id_type.startswith("SHA512_") else rule.encoding


def _sha512_ready(digest: str) -> HashResult:
    """A SHA-512 that was asked for and given."""
    empty = digest == hashlib.sha512(b"").hexdigest()
    return HashResult(
        digest=None if empty else digest,
        encoding="sha512-hex",
        reject="empty_digest" if empty else None,
        normalised=None if empty else digest,
    )


def _written(made: Hashed, encoding: str) -> str:
    if encoding in _ALGORITHMS and made.normal is not None:
        return hashlib.new(
            _ALGORITHMS[encoding], made.normal.encode(), usedforsecurity=False
        ).hexdigest()
    digest = made.digest or b""
    if encoding == "sha256-base64":
        return base64.b64encode(digest).decode("ascii")
    return digest.hex()


def _signature(body: str, context: Mapping[str, object]) -> HashResult:
    encoding = "hmac-sha1-base64"
    secret = context.get("secret")
    key = secret.encode("utf-8", "ignore") if isinstance(secret, str) else b""
    if not key or key.decode() != secret:
        return HashResult(digest=None, encoding=encoding, reject="no_secret", normalised=None)
    made = hmac.digest(key, body.encode(), "sha1")
    text = base64.b64encode(made).decode("ascii")
    return HashResult(digest=text, encoding=encoding, reject=None, normalised=body)
