"""A column's class by counts that a database has made: no value of it is looked at here."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect.column import MOST, Verdict
from mayfly.privacy.detect.names import NameVote

_FORMS: frozenset[ColumnClass] = frozenset(
    {"email", "phone", "credit_card", "iban", "ip_address", "url_pii", "uuid", "hashed"}
)
"""Classes whose values the counts tell: a name that speaks of one is not believed against them."""
_NOT_PERSONAL: frozenset[ColumnClass] = frozenset(
    {"none", "opaque_id", "uuid", "hashed", "country", "region", "gender"}
)
_CERTAIN, _SURE, _LIKELY, _NAMED = 1.0, 0.95, 0.8, 0.4
_EVIDENCE = ("credit_card", "iban", "email", "phone")
_FEW = 4


def counted_as(kind: pa.DataType) -> pa.DataType | None:
    """The type that a column of a type is counted as: text, bytes, a whole number, or none."""
    if pa.types.is_dictionary(kind):
        return counted_as(kind.value_type)
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 else None
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.string() if is_text or pa.types.is_nested(kind) else None


class Counts:
    """How many values of a column are of each kind.

    Args:
        counts: by kind, as `planning.detection` names them; `values` are all.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self.total = counts.get("values", 0)
        self.hashes = {k: n for k, n in counts.items() if k.startswith("hash_") and n}
        encoded = sum(n for k, n in counts.items() if k.startswith("encoded_"))
        self.within = self.of("email_within", "phone_within", "card_within", "iban_within")
        cards = self.of("credit_card")
        if self.of("number") * 2 > self.total and cards < 0.4 * self.total:
            # Among thousands of numbers some look like a card by chance: their share must tell.
            cards = 0
        self.hits: dict[ColumnClass, int] = {
            "credit_card": cards + self.of("card_within"),
            "iban": self.of("iban", "iban_within"),
            "email": self.of("email", "email_within") + encoded,
            "phone": self.of("phone_plus", "phone_set", "phone_within"),
        }
        self.encoded = encoded

    def of(self, *kinds: str) -> int:
        """Values of some kinds, which exclude one another."""
        return sum(self._counts.get(kind, 0) for kind in kinds)

    def share(self, *kinds: str) -> float:
        """The part that is of some kinds."""
        return self.of(*kinds) / self.total if self.total else 0.0

    def evidence(self) -> dict[str, int]:
        """Counts as a verdict shows them."""
        found = {"values": self.total, **self.hashes}
        found |= {str(k): n for k, n in self.hits.items() if n}
        if self.within:
            found["within_text"] = self.within
        return found | {k: n for k, n in self._counts.items() if k.startswith("encoded_") and n}


def verdict_of_counts(counted: Mapping[str, int], vote: NameVote, kind: pa.DataType) -> Verdict:
    """The class of a column.

    Args:
        counted: its counts by kind.
        vote: of its name.
        kind: its type.
    """
    counts = Counts(counted)
    named = named_verdict(vote, kind)
    if not counts.total or counted_as(kind) is None:
        evidence = {**named.evidence, "values": counts.total}
        return Verdict(cls=named.cls, confidence=named.confidence, evidence=evidence)
    found = _by_form(counts, vote, kind) or _by_name(named)
    cls, confidence = _with_hits(counts, found)
    evidence = counts.evidence() | ({"name": 1} if vote.cls == cls and cls != "none" else {})
    return Verdict(cls=cls, confidence=confidence, evidence=evidence)


def _by_form(counts: Counts, vote: NameVote, kind: pa.DataType) -> tuple[ColumnClass, float] | None:
    digest = _digest(counts, vote)
    if digest is not None:
        return digest
    if counts.share("email", "email_spelt") >= 0.5:
        return "email", _CERTAIN
    if counts.encoded * 2 >= counts.total:
        return "email", _SURE
    if counts.share("url") >= MOST:
        return ("url_pii", _SURE) if counts.of("url_person") else ("none", _SURE)
    if counts.share("ip_address") >= MOST:
        far = counts.share("ip_far") >= 0.5 or vote.cls == "ip_address"
        return ("ip_address", _CERTAIN) if far else ("none", _LIKELY)
    if counts.share("mac") >= MOST:
        return "device_id", _SURE
    if counts.share("uuid") >= MOST:
        return ("device_id" if vote.cls == "device_id" else "uuid"), _SURE
    return _phone(counts, vote, kind) or _checked(counts, vote)


def _digest(counts: Counts, vote: NameVote) -> tuple[ColumnClass, float] | None:
    total = sum(counts.hashes.values())
    if not total or total * 2 < counts.total:
        return None
    if len(counts.hashes) == 1 and total == counts.total:
        if counts.of("uuid_bare") == counts.total >= _FEW:
            return ("device_id" if vote.cls == "device_id" else "uuid"), _LIKELY
        return "hashed", _CERTAIN
    if all(k.startswith("hash_base64") for k in counts.hashes) and total < counts.total * 0.9:
        return None
    return "dirty_hashed", _SURE


def _phone(counts: Counts, vote: NameVote, kind: pa.DataType) -> tuple[ColumnClass, float] | None:
    named = vote.cls == "phone" and not vote.qualified
    if counts.share("phone_plus") >= 0.5:
        return "phone", _CERTAIN
    if named and counts.share("digits_set") >= 0.5 and counts.share("date") < 0.5:
        return "phone", _SURE
    if named and pa.types.is_integer(counted_as(kind)) and counts.share("number") >= 0.5:
        return "phone", _LIKELY
    mixed = counts.share("phone_plus", "phone_set", "phone_digits") >= MOST
    if mixed and vote.cls not in ("postal_code", "national_id", "opaque_id"):
        return "phone", _SURE
    return None


def _checked(counts: Counts, vote: NameVote) -> tuple[ColumnClass, float] | None:
    if counts.share("credit_card") >= 0.4:
        return "credit_card", _CERTAIN
    if counts.share("iban") >= 0.4:
        return "iban", _CERTAIN
    named = vote.cls == "national_id" and not vote.qualified
    if counts.share("national_id") >= (0.5 if named else 0.9) and (named or counts.total > _FEW):
        return "national_id", _SURE
    if named and counts.share("signs") >= MOST:
        return "national_id", _LIKELY
    return None


def _by_name(named: Verdict) -> tuple[ColumnClass, float]:
    """What the name says, but for what the counts would have told."""
    if named.cls in _FORMS:
        return "none", _LIKELY
    if named.cls == "opaque_id":
        return "opaque_id", _LIKELY
    return named.cls, named.confidence


def _with_hits(counts: Counts, found: tuple[ColumnClass, float]) -> tuple[ColumnClass, float]:
    """One clear value is enough, whatever the share of the others."""
    hits = {cls: n for cls, n in counts.hits.items() if n}
    if not hits or found[0] not in _NOT_PERSONAL:
        return found
    if found[0] == "hashed":
        return "dirty_hashed", _CERTAIN
    if counts.share("url") >= 0.5:
        return "url_pii", _SURE
    worst = max(hits, key=lambda cls: hits[cls])
    told = counts.share("sentence") >= 0.5 and counts.share("json") < 0.5
    if told and counts.within * 2 > hits[worst]:
        return "free_text_pii", _SURE
    return worst, _SURE


def named_verdict(vote: NameVote, kind: pa.DataType) -> Verdict:
    """What a name and a type say: no value is looked at, and none was counted."""
    evidence = {"values": 0}
    cls = vote.cls
    if cls is None or vote.qualified or not _may_be(cls, kind):
        return Verdict(cls="none", confidence=0.3, evidence=evidence)
    return Verdict(cls=cls, confidence=_NAMED, evidence=evidence | {"name": 1})


_OF_DIGITS = frozenset(
    {"phone", "postal_code", "national_id", "credit_card", "opaque_id", "date_of_birth"}
)


def _may_be(cls: ColumnClass, kind: pa.DataType) -> bool:
    """Whether values of a type can be of a class."""
    if pa.types.is_boolean(kind):
        return cls == "special"
    if pa.types.is_temporal(kind):
        return cls == "date_of_birth"
    if counted_as(kind) == pa.int64():
        return cls in _OF_DIGITS
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return cls == "geo"
    return True
