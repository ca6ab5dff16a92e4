"""What words say: names of people and places, addresses, and texts that people write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect import forms, lexicon, lists
from mayfly.privacy.detect.names import NameVote
from mayfly.privacy.detect.values import Values
from mayfly.privacy.detect.words import folded

NAMES = r"\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+"
"""Two words in capitals, as a name within a sentence."""
_LOOKED_AT = 400
_SURE, _LIKELY = 0.9, 0.75
_WORD = re.compile(r"[^\s,;/&()_･・]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff66-\uff9f]")
_HONOURED = re.compile(r"(?:様|さま|さん|氏|先生|님|씨)$")
_HAN_WHOLE = (
    r"^[\x{3400}-\x{9fff}]{1,3}[\x{3040}-\x{30ff}\x{3400}-\x{9fff}]{1,4}(?:様|さん|氏)?$"
    r"|^[\x{ac00}-\x{d7af}]{3,4}님?$"
)
_PAIR = re.compile(r"\b([A-ZÀ-Þ][a-zà-ÿ'-]+) (?=([A-ZÀ-Þ][a-zà-ÿ'-]+)\b)")
# Of single words that are no names a sixth may be one, too; of few values that is chance.
_ENOUGH, _ENOUGH_OF_FEW, _FEW = 0.25, 0.75, 25
_ENOUGH_OF_THINGS = 0.45
_ENOUGH_FULL = 0.35
# Endings that family names have and few other words: they are endless, and no list has all.
_FAMILY = re.compile(
    r"(?:[sc]k[iay]|wicz|czyk|iak|czak|ss?on|sen|strom|berg|gren|lund|qvist|quist|mann|mans|stein|"
    r"meier|meyer|bauer|hoff|guez|inez|dez|arez|elli|etti|ucci|acci|aldi|ardi|aro|ini|ulos|idis|"
    r"enko|chuk|oglu|ova|eva|ovic|avic|inck|stra|sma|veld|huis|singh|walla)$"
)
ORGANISATIONS = (
    r"(?i)\b(?:inc|llc|ltd|corp|gmbh|ag|kg|sa|sas|sarl|srl|spa|bv|nv|ab|oy|plc|co|company|group|"
    r"university|universit\w+|universidad|college|school|bank|hotel|institute|holding|systems|"
    r"pvt|pty|plc|b\.v|n\.v|s\.a|s\.r\.l|k\.k|trading|holdings|industries|partners|labs|logistics|"
    r"consulting|engineering|foods|enterprises|associates|ventures|international|global|"
    r"technologies|services|solutions|media|foundation|association|hospital|store|shop)\b"
)
_HAN = r"[\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}\x{ff66}-\x{ff9f}]{1,5}"
_HAN_NAME, _HAN_SHORT = rf"^{_HAN}[ \x{{3000}}・･]{_HAN}$", rf"^{_HAN}$"
# Words are apart, or of a script that sets none apart: a long token is no text.
_IN_WORDS = r"\s|[\x{3040}-\x{30ff}\x{3400}-\x{9fff}]"
# How people are spoken of, before or behind a name that no list has.
_TITLED = (
    r"(?:^|[\s(])(?:Mr|Mrs|Ms|Miss|Mme|Mlle|Monsieur|Madame|Herrn?|Frau|Señora?|Sra|Signora?|Sig|"
    r"Senhora?|Mevrouw|[Mm]evr|[Mm]evrouw|[Mm]eneer|[Dd]hr|signora?|señora?|senhora?|[Pp]ani|[Pp]anią|"
    r"[Pp]ana|[Pp]anem|[Ff]ru|[Hh]err)\.? \p{Lu}\p{Ll}+"
    r"|\p{Lu}\p{Ll}+ (?:hanım|bey)(?:\s|$)"
    r"|[\x{3400}-\x{9fff}]{2,}(?:様|さん|氏)"
    r"|(?:السيدة?|الأستاذة?) |(?:श्री|श्रीमती) "
)
_ARABIC_NAME = r"^(?:ال|بن |بو|عبد)"
_Found = tuple[ColumnClass, float]


def _some(values: Values) -> list[str]:
    step = max(1, len(values.sample) // _LOOKED_AT)
    return values.sample.gather_every(step).to_list()


def _share(texts: Sequence[str], check: Callable[[str], bool]) -> float:
    return sum(map(check, texts)) / len(texts) if texts else 0.0


@lru_cache(maxsize=65_536)
def _fold(text: str) -> str:
    return folded(text).strip(" .")


def _among(words: Iterable[str]) -> Callable[[str], bool]:
    known = words if isinstance(words, frozenset) else frozenset(words)
    return lambda text: _fold(text) in known


def as_gender(values: Values, vote: NameVote) -> bool:
    """Whether values are those of one closed list of genders, and more than one kind of them."""
    texts = [_fold(t) for t in values.distinct.head(12).to_list()]
    if len(values.distinct) > 10:
        return False
    if vote.cls == "gender" and not vote.qualified:
        return all(t in lists.GENDERS or re.fullmatch(r"[0-9]", t) for t in texts)
    both = any(t in lists.MALE for t in texts) and any(t in lists.FEMALE for t in texts)
    return both and all(t in lists.GENDERS for t in texts)


def street(values: Values, vote: NameVote) -> bool:
    """Whether values are addresses: a word for a street, or a name and a number."""
    words = values.share(r"\p{L}")
    if words < 0.8 or values.share(r"\p{L}.*[\s\d]|[\x{3040}-\x{9fff}]") < 0.6:
        return False
    spoken, numbered = values.share(forms.STREET), values.share(forms.HOUSE)
    long = values.share(r"^.{121,}$")
    if vote.cls == "street_address" and not vote.qualified:
        return (spoken >= 0.2 or numbered >= 0.3) and long < 0.8
    if long > 0.3 or values.share(r"[0-9]") < 0.5:
        return False
    if spoken >= 0.6 and values.share(r"[0-9]") >= 0.8 and values.share(r"^.{4,80}$") >= 0.9:
        return True
    # A number, then capitals: nothing else is written so in every row.
    plain = values.share(forms.HOUSE_FIRST) >= 0.8 and values.repeats < 1.5
    return plain or (spoken >= 0.3 and numbered >= 0.5) or (spoken >= 0.5 and not free_text(values))


def free_text(values: Values) -> bool:
    """Whether people wrote sentences."""
    long = values.share(r"^.{60,}$") >= 0.5 and values.share(_IN_WORDS) >= 0.5
    # Japanese sets no words apart; what joins them in a sentence is written in hiragana.
    joined = values.share(r"^.{12,}$") >= 0.5 and values.share(r"[\x{3041}-\x{309f}]{2}") >= 0.5
    return long or joined or values.share(r"\S+\s+\S+\s+\S+\s+\S+") >= 0.5


def lexical(values: Values, vote: NameVote) -> _Found | None:
    """Names of people and places, by lists of them."""
    texts = _some(values)
    place = _place(texts, vote, values)
    if place is not None:
        return place
    if _share(texts, _among(lists.SPECIAL)) >= (0.3 if vote.cls == "special" else 0.8):
        return "special", _LIKELY
    if not free_text(values) and _share(texts, _tells) >= (0.3 if vote.cls == "special" else 0.5):
        return "special", _LIKELY
    if _is_health(values, vote):
        return "special", _LIKELY
    if free_text(values):
        return _told(values, texts, vote)
    if values.share(forms.NAME_LIKE) < 0.7:
        return _handle(values, texts, vote)
    return _person(values, texts, vote) or _handle(values, texts, vote)


def _tells(text: str) -> bool:
    """Whether a word of a text is of health, faith or origin, and of nothing else."""
    return any(word in lists.TELLING for word in _fold(text).replace("-", " ").split())


def _is_health(values: Values, vote: NameVote) -> bool:
    if values.share(forms.BLOOD) >= 0.9 and len(values.distinct) <= 12:
        return len(values.distinct) >= 3
    icd = values.share(forms.ICD10)
    return icd >= 0.9 and (vote.cls == "special" or values.share(r"\.") >= 0.5)


def _place(texts: Sequence[str], vote: NameVote, values: Values) -> _Found | None:
    capitals = values.share(r"^[A-Z]{2,3}$") >= 0.9
    codes = lexicon.country_codes()
    in_codes = _share(texts, lambda t: t.strip() in codes) if capitals else 0.0
    # Short forms are written in capitals: `de` is a language before it is Delaware.
    known = lexicon.regions()
    in_regions = _share(texts, lambda t: _fold(t) in known and (len(t) > 3 or t.isupper()))
    in_countries = _share(texts, _among(lexicon.countries()))
    if vote.cls == "region" and not vote.qualified and in_regions >= 0.5:
        return "region", _SURE
    if in_countries >= 0.45 and not _thing(vote) and (in_countries >= 0.7 or len(texts) >= 5):
        return "country", _SURE
    if vote.cls == "country" and max(in_countries, in_codes) >= 0.5:
        return "country", _SURE
    if capitals and in_codes >= 0.95 and len(values.distinct) >= 3 and vote.cls != "gender":
        return (
            "region" if in_regions >= 0.95 and len(values.distinct) > 15 else "country"
        ), _LIKELY
    if capitals and in_regions >= 0.95 and len(values.distinct) > 15:
        return "region", _LIKELY
    if values.share(r"[市区町村郡]$|시$") >= 0.5:
        return "city", _LIKELY
    if values.share(r"[都道府県省]$") >= 0.5:
        return "region", _LIKELY
    in_cities = _share(texts, _among(lexicon.cities()))
    if vote.cls == "city" and not vote.qualified:
        return ("city", _SURE) if in_cities >= 0.2 and not capitals else None
    people = max(
        _share(texts, _among(lexicon.first_names())), _share(texts, _among(lexicon.last_names()))
    )
    if in_regions >= 0.8 and not capitals and in_regions >= in_cities - 0.1 and people < in_regions:
        return "region", _LIKELY
    if (
        in_cities >= 0.7
        and people < in_cities - 0.15
        and vote.cls not in _PERSON
        and not _thing(vote)
    ):
        return "city", _LIKELY
    return None


_PERSON: frozenset[ColumnClass | None] = frozenset({"first_name", "last_name", "full_name"})


def _thing(vote: NameVote) -> bool:
    """Whether the name says that values are of things, or of something about them."""
    return vote.qualified


def _person(values: Values, texts: Sequence[str], vote: NameVote) -> _Found | None:
    parts = [_parts(text) for text in texts]
    several = sum(n > 1 for n, *_ in parts) / len(parts)
    first = sum(f for _, f, _, _ in parts) / len(parts)
    last = sum(x for _, _, x, _ in parts) / len(parts)
    known = sum(k for *_, k in parts) / len(parts)
    named = vote.cls if vote.cls in _PERSON and not vote.qualified else None
    if vote.qualified and known < _ENOUGH_OF_THINGS:
        return None
    few = len(values.distinct) < _FEW
    if few and values.repeats > 5 and (vote.qualified or known < 0.9 or named is None):
        # Brands, herbs and flowers are called like people; people are more than twenty.
        return None
    if several >= 0.6:
        return _of_several(values, named, several, known)
    if named is not None and (known >= 0.05 or values.share(_HAN_SHORT, _ARABIC_NAME) >= 0.3):
        return _single(named, first, last, whole=values.share(_HAN_WHOLE) >= 0.5), _SURE
    if len(values.distinct) < 8:
        return None
    if values.share(_HAN_WHOLE) >= 0.9 and last >= 0.3 and values.repeats < 3:
        return "full_name", _LIKELY
    if values.share(r"^[\p{Lu}\p{Lo}]") < 0.8 and known < 2 * _ENOUGH:
        return None
    if known < (_ENOUGH_OF_FEW if few else _ENOUGH):
        short = values.share(_HAN_SHORT) >= 0.9 or values.share(_ARABIC_NAME) >= 0.6
        if few or not short or known < 0.04:
            return None
    return ("first_name" if first >= last else "last_name"), _LIKELY


def _of_several(
    values: Values, named: ColumnClass | None, several: float, known: float
) -> _Found | None:
    """Values of several words: whole names, unless the column is named after a part of one."""
    if values.repeats > 20 or values.share(ORGANISATIONS) > 0.2:
        return None
    han = values.share(_HAN_NAME) >= 0.8 and values.repeats < 3
    if named is not None and named != "full_name" and known >= 0.1:
        # Two family names are one; a column called `nombre` may hold whole names all the same.
        return (named if several < 0.95 or known < 0.5 else "full_name"), _LIKELY
    if named is not None and (known >= 0.1 or han):
        return "full_name", _SURE
    two_or_three = values.share(r"^[^\s_]+[ ,_\x{3000}&]+\S+(?: \S+)?(?: \S+)?$") >= 0.8
    capitals = values.share(r"^\p{Lu}.*\s\p{Lu}|^[\p{Lo}]|^\p{Ll}+ \p{Ll}+$") >= 0.7
    if han or (
        known >= _ENOUGH_FULL
        and two_or_three
        and (capitals or known >= 0.5)
        and len(values.distinct) >= 8
    ):
        return "full_name", _LIKELY
    return None


def _single(cls: ColumnClass, first: float, last: float, *, whole: bool) -> ColumnClass:
    """Of values of one word: a `name` is which of the two it mostly is, unless it is both."""
    if cls != "full_name" or whole:
        return cls
    return "first_name" if first >= last else "last_name"


def _parts(text: str) -> tuple[int, bool, bool, bool]:
    """How many words a text has, whether the first is a first name, the last a family name, and
    whether it is a name all in all.
    """
    words = [w for w in (_fold(word) for word in _WORD.findall(text)) if w]
    words = [w for w in words if w not in lists.TITLES] or words
    if not words:
        return 0, False, False, False
    if _CJK.search(text):
        return _han(words)
    first, last = lexicon.first_names(), lexicon.last_names()
    if len(words) == 1:
        halves = words[0].split("-")
        f = words[0] in first or all(h in first for h in halves)
        x = words[0] in last or all(h in last for h in halves)
        x = x or (len(words[0]) > 5 and bool(_FAMILY.search(words[0])) and text[:1].isupper())
        return 1, f, x, f or x
    hits = [w in first or w in last for w in words if len(w) > 1]
    given = words[0] in first or (("," in text) and words[-1] in first)
    whole = (given and len(words) <= 5) or (sum(hits) * 2 > len(hits) and len(words) <= 5)
    return len(words), words[0] in first, words[-1] in last, whole


def _han(words: Sequence[str]) -> tuple[int, bool, bool, bool]:
    """In Chinese, Japanese and Korean the family name stands first, often without a blank."""
    first, last = lexicon.first_names(), lexicon.last_names()
    text = _HONOURED.sub("", "".join(words))
    if len(text) > 8:
        return len(words), False, False, False
    family = next((n for n in (3, 2, 1) if text[:n] in last and len(text) > n), 0)
    if len(words) > 1:
        known = words[0] in last or words[-1] in first
        return 2, False, known, known
    given, name = text in first, text in last
    if given or name:
        return 1, given, name, True
    return (2 if family else 1), False, bool(family), bool(family)


def _told(values: Values, texts: Sequence[str], vote: NameVote) -> _Found | None:
    """Sentences in which a person is named."""
    first, last = lexicon.first_names(), lexicon.last_names()

    def named(text: str) -> bool:
        return any(_fold(a) in first and _fold(b) in last for a, b in _PAIR.findall(text))

    sentences = values.share(r"(?:\S+\s+){5,}\S+") >= 0.5 and values.share(r"\s\p{Ll}+\s") >= 0.5
    if values.share(_TITLED) >= 0.05 and values.repeats < 2:
        return "free_text_pii", _LIKELY
    share = _share(texts, named) if sentences else 0.0
    if share >= (0.01 if vote.cls == "free_text_pii" else 0.05):
        return "free_text_pii", _LIKELY
    return None


def _handle(values: Values, texts: Sequence[str], vote: NameVote) -> _Found | None:
    """Names to log in with: small letters, digits and a part that is a name."""
    if vote.qualified or values.share(forms.USERNAME) < 0.8 or values.repeats > 2:
        return None
    if vote.cls == "username":
        return "username", _SURE
    marked = values.share(r"^[a-z]+[._]?[a-z]*[0-9]+$|^[a-z]+[._][a-z]+$")
    people = _share(texts, _holds_name)
    if marked >= 0.6 and people >= 0.5 and vote.cls in (None, "full_name", "opaque_id"):
        return "username", _LIKELY
    return None


def _holds_name(text: str) -> bool:
    first, last = lexicon.first_names(), lexicon.last_names()
    parts = [p for p in re.split(r"[._\d-]+", text.casefold()) if p]
    return any(p in first or p in last or p[1:] in last for p in parts if len(p) > 3)
