"""Verdicts by counts: one clear value is enough, and no share of others averages it away."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.privacy.detect import Verdict, classify_counts, strictest

CLEAR = ("email", "email_within", "encoded_base64", "encoded_hex", "encoded_percent")
CLEAR += ("phone_plus", "phone_set", "phone_within", "iban", "iban_within", "card_within")


def verdict(counts: dict[str, int], name: str = "x", kind: pa.DataType | None = None) -> Verdict:
    """Of one column."""
    return classify_counts({name: kind or pa.string()}, {name: counts})[name]


@given(
    rows=st.integers(2, 10_000_000),
    form=st.sampled_from(["hash_hex_64", "hash_base64_32", "hash_bcrypt"]),
    clear=st.sampled_from(CLEAR),
)
def test_one_clear_value_among_digests_is_seen(rows: int, form: str, clear: str) -> None:
    """Whether the digests are all of the others, or the value has the form of one, too."""
    alone = verdict({"values": rows, form: rows})
    assert (alone.cls, alone.confidence) == ("hashed", 1)
    for digests in (rows, rows - 1):
        mixed = verdict({"values": rows, form: digests, clear: 1})
        assert mixed.cls not in ("hashed", "none", "opaque_id", "uuid")
        assert sum(mixed.evidence.values()) > rows


@given(
    rows=st.integers(1, 10_000_000),
    others=st.dictionaries(
        st.sampled_from(["number", "signs", "sentence", "uuid", "json", "digits_set"]),
        st.integers(0, 10_000_000),
    ),
    clear=st.sampled_from(CLEAR),
    name=st.sampled_from(["status", "hash", "order_id", "note", "x", "country"]),
)
def test_one_clear_value_is_never_averaged_away(
    rows: int, others: dict[str, int], clear: str, name: str
) -> None:
    """Whatever else the column holds, and whatever it is called."""
    counts = {k: min(n, rows) for k, n in others.items()} | {"values": rows, clear: 1}
    assert verdict(counts, name).cls not in ("none", "opaque_id", "uuid", "hashed", "country")


@pytest.mark.parametrize(
    ("counts", "name", "kind", "cls"),
    [
        ({"values": 0}, "email", pa.string(), "email"),
        ({"values": 9}, "email", pa.string(), "none"),
        ({"values": 9}, "email", pa.bool_(), "none"),
        ({"values": 9}, "dob", pa.date32(), "date_of_birth"),
        ({"values": 9}, "first_name", pa.string(), "first_name"),
        ({"values": 9, "number": 9, "number_long": 9}, "mobile", pa.int64(), "phone"),
        ({"values": 9, "number": 9}, "mobile", pa.decimal128(20, 0), "phone"),
        ({"values": 100, "number": 100, "credit_card": 4}, "n", pa.int64(), "none"),
        ({"values": 100, "number": 100, "credit_card": 90}, "n", pa.int64(), "credit_card"),
        ({"values": 100, "number": 10, "credit_card": 1}, "n", pa.string(), "credit_card"),
        ({"values": 9, "hash_hex_32": 9, "uuid_bare": 9}, "x", pa.string(), "uuid"),
        ({"values": 9, "email_spelt": 9}, "x", pa.string(), "email"),
        ({"values": 9, "email_spelt": 1}, "x", pa.string(), "none"),
        ({"values": 9, "number": 9}, "telemovel", pa.int64(), "phone"),
        ({"values": 9, "hash_hex_64": 8}, "x", pa.string(), "dirty_hashed"),
        ({"values": 9, "hash_hex_64": 8, "hash_hex_40": 1}, "x", pa.string(), "dirty_hashed"),
        ({"values": 9, "hash_hex_64": 9}, "x", pa.binary(), "hashed"),
        ({"values": 9, "url": 9}, "x", pa.string(), "none"),
        ({"values": 9, "url": 9, "url_person": 1}, "x", pa.string(), "url_pii"),
        ({"values": 9, "ip_address": 9}, "version", pa.string(), "none"),
        ({"values": 9, "ip_address": 9, "ip_far": 6}, "x", pa.string(), "ip_address"),
        ({"values": 9, "national_id": 9}, "x", pa.string(), "national_id"),
        ({"values": 9, "sentence": 9, "email_within": 1}, "x", pa.string(), "free_text_pii"),
        ({"values": 9, "digits_set": 9, "date": 9}, "phone", pa.string(), "none"),
        ({"values": 9, "digits_set": 9}, "phone", pa.string(), "phone"),
    ],
)
def test_counts_decide_and_the_name_is_a_second_vote(
    counts: dict[str, int], name: str, kind: pa.DataType, cls: str
) -> None:
    """A name that speaks of a form is not believed where no value has it."""
    assert verdict(counts, name, kind).cls == cls


def test_of_two_verdicts_the_stricter_is_taken() -> None:
    """In either order."""
    hashed, mixed = Verdict(cls="hashed", confidence=1), Verdict(cls="dirty_hashed", confidence=0.5)
    assert strictest(hashed, mixed) is strictest(mixed, hashed) is mixed
