"""Fingerprints and differences of approval documents."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.approval import Difference, differences, fingerprint, stricter


def names(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What `differences` names."""
    return [found.what for found in differences(old, new)]


MARK = "marked-7f3a"
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()))
NAMES = st.sampled_from(["EMAIL", "PHONE", "FN", "LN"])
COLUMNS = st.lists(
    st.fixed_dictionaries({"field": NAMES, "class": VALUES, "type": VALUES}),
    unique_by=lambda c: str(c["field"]),
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "mode": VALUES,
        "consent": st.one_of(st.none(), st.fixed_dictionaries({"column": VALUES})),
        "columns": COLUMNS,
    }
)


def test_the_fingerprint_is_of_the_canonical_text() -> None:
    """Fixed for ever: another rendering would make every approval void."""
    text = b'{"a":["\\u00e9",null],"b":1.5}'
    assert fingerprint({"b": 1.5, "a": ["é", None]}) == hashlib.sha256(text).hexdigest()


@given(DOCUMENTS)
def test_the_order_of_keys_does_not_matter(document: dict[str, Any]) -> None:
    """A document that was stored and read back has the same fingerprint, and no difference."""
    turned = dict(reversed(document.items()))
    assert fingerprint(turned) == fingerprint(document)
    assert differences(document, turned) == []


@given(DOCUMENTS, DOCUMENTS)
def test_every_difference_has_a_name(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Where a value differs a name is told, and where none differs none is."""
    assert bool(differences(old, new)) == bool(differences(new, old))
    before = {**old, "columns": {c["field"]: c for c in old["columns"]}}
    after = {**new, "columns": {c["field"]: c for c in new["columns"]}}
    assert bool(differences(old, new)) == (fingerprint(before) != fingerprint(after))


def test_differences_are_names_without_values() -> None:
    """Neither what was nor what is stands in them."""
    old = {"mode": MARK, "consent": {"equals": MARK}, "columns": [{"field": "A", "class": MARK}]}
    new = {"mode": "x", "consent": {"equals": "x"}, "columns": [{"field": "A", "class": "x"}]}
    assert names(old, new) == ["consent (equals)", "mode", "column A (class)"]


def test_values_that_python_takes_for_equal_differ() -> None:
    """A consent that equals true is not one that equals 1."""
    old, new = {"consent": {"equals": True}}, {"consent": {"equals": 1}}
    assert names(old, new) == ["consent (equals)"]
    columns = [{"columns": [{"field": "A", "minimum": m}]} for m in (1, 1.0)]
    assert names(*columns) == ["column A (minimum)"]


def test_a_part_that_is_new_is_named() -> None:
    """A key that only one side has is a difference of its group."""
    assert names({"destination": {"a": 1}}, {"destination": {"a": 1, "b": 2}}) == [
        "destination (b)"
    ]
    assert names({"consent": {"a": 1}}, {"consent": None}) == ["consent"]


def test_a_difference_names_its_model_column() -> None:
    """The column a reader finds in his model, also where it left the mapping."""
    old = {
        "mode": "a",
        "consent": {"column": "ads", "equals": 1},
        "columns": [{"field": "A", "column": "one"}, {"field": "B", "column": "two"}],
    }
    new = {
        "mode": "b",
        "consent": {"column": "terms", "equals": 1},
        "columns": [{"field": "A", "column": "three"}, {"field": "C", "column": "four"}],
    }
    assert differences(old, new) == [
        Difference("consent (column)", "terms"),
        Difference("mode"),
        Difference("column A (column)", "three"),
        Difference("column B removed", "two"),
        Difference("column C added", "four"),
    ]
    assert differences({"consent": {"column": "ads"}}, {})[0].column == "ads"


def test_what_lets_more_out_is_no_stricter() -> None:
    """Columns that were added, and consent that may be older; their opposites are stricter."""
    one = {"mode": "append", "columns": [{"field": "A", "rule": None}]}
    two = {**one, "columns": [*one["columns"], {"field": "B", "rule": None}]}
    assert stricter(one, two) == []
    assert stricter(two, one) == ["column B removed"]
    older, younger = ({**one, "recheck_after_seconds": s} for s in (3_600, 60))
    assert (stricter(one, older), stricter(younger, one), stricter(younger, older)) == ([], [], [])
    assert stricter(one, younger) == ["recheck_after_seconds"]
    assert stricter(older, one) == ["recheck_after_seconds"]


@given(DOCUMENTS, DOCUMENTS)
def test_what_cannot_be_compared_is_stricter(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Of all that differs only a column that was added is left out."""
    added = {f"column {c['field']} added" for c in new["columns"]}
    assert set(stricter(old, new)) == set(names(old, new)) - added
    assert stricter(old, old) == []
