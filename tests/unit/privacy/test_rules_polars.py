"""Whole columns by Polars: the same digest as value by value, or the value is left to Python."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.test_rules_conformance import corpus
from mayfly.privacy.rules import (
    RULES,
    Rule,
    canonical_rule,
    python_digest,
    rule_for,
    worker_digest,
)
from mayfly.privacy.rules.emitters.polars import decide
from mayfly.privacy.rules.hashing import EMPTY, PYTHON_ONLY
from mayfly.privacy.rules.probe import STRINGS

ALL = [rule for rule in RULES.values() if not rule.prehashed_only] + [canonical_rule("email")]
DECIDED = [rule for rule in ALL if rule.field not in PYTHON_ONLY]
TEXT = st.text(
    st.one_of(
        st.sampled_from(" \t\n\u00a0\u200b.,-'@+()/aAbBzZ059éÉßİıſKΣςÅ\u030a李😊Ａ１"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=24,
)


def by_name(rule: Rule) -> str:
    """For the test's id."""
    return f"{rule.platform}.{rule.field}"


@pytest.mark.parametrize("country", [None, "FR", "US", "BR"])
@pytest.mark.parametrize("rule", ALL, ids=by_name)
def test_every_rule_gives_the_same(rule: Rule, country: str | None) -> None:
    """On every awkward value, and on every character that the probe asks servers for."""
    values = pa.array([None, *corpus(), *STRINGS], pa.string())
    made = worker_digest(rule, values, default_country=country)
    assert made.type == pa.binary(32)
    assert made.to_pylist() == python_digest(rule, values, default_country=country).to_pylist()


@pytest.mark.parametrize("rule", DECIDED, ids=by_name)
@given(st.lists(TEXT, min_size=1, max_size=8))
def test_random_texts_are_decided_alike(rule: Rule, texts: list[str]) -> None:
    """What Polars decides is what Python says."""
    values = pa.array(texts, pa.string())
    decided = decide(rule, values, "FR", EMPTY)
    expected = python_digest(rule, values, default_country="FR").to_pylist()
    for digest, is_open, wanted in zip(decided.digests, decided.open, expected, strict=True):
        assert digest == (None if is_open else wanted)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", " A@Example.com"), ("phone", "+33 6 39 98 12 34"), ("phone", "06 39 98 12 34"),
        ("first_name", "Chloé"), ("city", "Lyon"), ("zip", "69001"), ("country", "fr"),
        ("dob_year", "1990-12-31"), ("email", "a" * 64),
    ],
)  # fmt: skip
def test_common_values_need_no_python(field: str, value: str) -> None:
    """Or nothing would be gained."""
    decided = decide(rule_for("meta", field), pa.array([value, None]), "FR", EMPTY)
    assert decided.open.to_list() == [False, False]
    assert [d is None for d in decided.digests] == [False, True]


def test_a_rows_own_country_rules() -> None:
    """Not that of the column."""
    values = pa.array(["06 39 98 12 34", "415 555 0100", "+33639981234"])
    rule = rule_for("meta", "phone")
    made = worker_digest(
        rule, values, default_country="FR", countries=pa.array(["FR", "US", None], pa.string())
    ).to_pylist()
    alone = [
        worker_digest(rule, values.slice(n, 1), default_country=country).to_pylist()[0]
        for n, country in enumerate(["FR", "US", None])
    ]
    assert made == alone
    assert None not in made


def test_an_empty_column() -> None:
    """Gives none."""
    made = worker_digest(rule_for("meta", "email"), pa.array([], pa.string()), default_country=None)
    assert (made.type, len(made)) == (pa.binary(32), 0)
