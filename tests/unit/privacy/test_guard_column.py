"""The clear-value guard."""

import base64
import hashlib
import uuid

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mayfly.privacy.guard import classes_in, guard_column

CLEAR = {
    "email": ["ann@example.com", "Ann <ann.o'neil+x@mail.example.org>", "x=1;a@b.co.uk;", "é@ü.de"],
    "credit_card": ["4111111111111111", "card 5555-5555-5555-4444 ok", "3782 822463 10005"],
    "iban": ["GB82WEST12345698765432", "pay GB82 WEST 1234 5698 7654 32 is my account"],
    "phone": ["+447700900123", "call +1 (555) 010-0199 now", "tel:+33.6.39.98.01.02"],
}
EVERY = [value for values in CLEAR.values() for value in values]


@pytest.mark.parametrize("name", CLEAR)
def test_each_class_is_found_anywhere_in_a_value(name):
    """Every clear form is found and told by its class."""
    values = pa.array(CLEAR[name])
    assert guard_column(values).to_pylist() == [True] * len(values)
    assert [classes_in(value) for value in CLEAR[name]] == [[name]] * len(values)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SW1A 1AA",
        "75001-123",
        "2026-11-25",
        "2026-11-25T03:42:44.123456+02:00",
        "20261125034244",
        "1764042164123",
        "4111111111111112",
        "GB83WEST12345698765432",
        "a@b",
        "@example.com",
        "+123",
        "12345678-1234-4234-8234-123456789012",
        "4.111111111111111",
    ],
)
def test_values_that_look_alike_pass(value):
    """Dates, postcodes, counters and numbers with a wrong check digit are no finding."""
    assert guard_column(pa.array([value])).to_pylist() == [False]


@example(b"\x8e\x85\xb1\xcfF\xeeX")  # its UUID holds what reads as an IBAN of Bosnia
@given(st.binary(max_size=20))
def test_digests_never_fire(seed):
    """No form of a digest and no UUID is taken for a clear value."""
    digest = hashlib.sha256(seed).digest()
    forms = [
        digest.hex(),
        base64.b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode(),
        str(uuid.UUID(bytes=digest[:16])),
    ]
    assert not any(guard_column(pa.array(forms)).to_pylist())


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(EVERY))
def test_surrounding_text_cannot_hide_a_value(before, after, value):
    """A clear value between any two texts, set off by a line break, is found."""
    assert guard_column(pa.array([f"{before}\n{value}\n{after}"])).to_pylist() == [True]


def test_nulls_and_other_types_are_false():
    """The mask is as long as the column and never null, whatever the column's type."""
    assert guard_column(pa.array([None, "a@example.com", "x"])).to_pylist() == [False, True, False]
    assert guard_column(pa.array([1, None])).to_pylist() == [False, False]
    assert guard_column(pa.array([], pa.string())).to_pylist() == []
