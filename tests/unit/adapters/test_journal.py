"""What the engine's journal takes, and what it never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.adapters.engine.journal import session_name
from mayfly.adapters.engine.serializer import JournalError, StrictSerializer
from mayfly.domain.errors import PolicyError

STRICT = StrictSerializer()
IDS = st.text("abcXYZ019_.:/+=-", max_size=128)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(IDS, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_ids_and_numbers_come_back(value: object) -> None:
    """As they were; a tuple, which arguments are, as a list."""
    assert STRICT.deserialize(STRICT.serialize(value)) == value
    assert STRICT.deserialize(STRICT.serialize((value,))) == [value]


@pytest.mark.parametrize(
    "value",
    [
        "p1@example.com",
        "two words",
        "é",
        "x" * 129,
        b"bytes",
        {"p1@example.com": 1},
        {"ok": ["p1@example.com"]},
        {1, 2},
        object(),
    ],
)
def test_anything_else_is_refused_and_not_repeated(value: object) -> None:
    """A person's value cannot look like an id by its form."""
    with pytest.raises(JournalError) as caught:
        STRICT.serialize(value)
    assert caught.value.code == "not_an_id"
    assert "example" not in str(caught.value)


def test_of_an_error_type_and_code_are_kept() -> None:
    """Its message, its arguments and what it was raised from are not."""
    for error, kind, code in (
        (ValueError("p1@example.com"), "ValueError", ""),
        (PolicyError("in_doubt", "p1@example.com"), "PolicyError", "in_doubt"),
    ):
        text = STRICT.serialize(error)
        assert "example" not in text
        found = STRICT.deserialize(text)
        assert isinstance(found, JournalError)
        assert (found.kind, found.code) == (kind, code)


@pytest.mark.parametrize("text", ["", "{", '"p1@example.com"', "gASVBA=="])
def test_what_was_not_written_here_is_not_read(text: str) -> None:
    """Whoever can write to the database makes nothing run by it."""
    with pytest.raises(JournalError) as caught:
        STRICT.deserialize(text)
    assert "example" not in str(caught.value)


def test_a_session_has_a_name_that_the_server_keeps_whole() -> None:
    """PostgreSQL cuts names at 63 bytes, and two workers' must differ."""
    first, second = (session_name(f"{'host' * 15}/{pid}/1") for pid in (1, 2))
    assert first != second
    assert max(len(first), len(second)) < 64
