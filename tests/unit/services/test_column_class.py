"""The class of a column is the strictest that anything says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.classes import CLASSES, rank
from mayfly.domain.settings import ColumnSettings
from mayfly.planning.lineage import NOTHING, ROW, Origin
from mayfly.services.column_class import Verdicts, judge, verdicts

KNOWN = st.one_of(st.none(), st.sampled_from(CLASSES))
EMAIL = frozenset({Origin("c", "email")})


@given(declared=KNOWN, mark=KNOWN, name=KNOWN, lineage=KNOWN, values=KNOWN)
def test_the_strictest_holds(
    declared: str | None,
    mark: str | None,
    name: str | None,
    lineage: str | None,
    values: str | None,
) -> None:
    """No verdict makes another one weaker, and what is stricter than the declared class closes."""
    column = ColumnSettings(name="x", cls=declared, mark=mark, closed=mark is not None)
    said = Verdicts(name=name, lineage=lineage, origin=Origin("c", "y"), values=values)
    judged = judge(column, said)
    strictest = max(map(rank, (declared, name, lineage, values)))
    if not column.closed:
        assert rank(judged.cls) == strictest
        assert judged.closed == (strictest > rank(declared))
    assert rank(judged.cls) >= rank(declared)
    assert judged.closed >= column.closed
    assert bool(judged.by) == bool(judged.why)


@pytest.mark.parametrize("said", [Verdicts(name="email"), Verdicts(lineage="email")])
def test_a_declared_class_with_a_reason_outweighs_names(said: Verdicts) -> None:
    """A name is a hint; without the reason, or without a class, it counts."""
    reasoned = ColumnSettings(name="x", cls="none", reason="e-mails sent, a number")
    assert not judge(reasoned, said).closed
    assert judge(ColumnSettings(name="x", cls="none"), said).closed
    assert judge(ColumnSettings(name="x", reason="why"), said).closed


def test_neither_values_nor_marks_are_outweighed() -> None:
    """They are no hints."""
    reasoned = ColumnSettings(name="x", cls="none", reason="a number")
    found = judge(reasoned, Verdicts(values="email"))
    assert (found.cls, found.closed, found.by) == ("email", True, "values")
    marked = ColumnSettings(name="x", cls="email", mark="email", closed=True, reason="a number")
    assert judge(marked, Verdicts(name="special")).cls == "special"


def test_a_closed_list_outweighs_names_but_not_what_is_special() -> None:
    """Which values may leave is written down, then."""
    listed = ColumnSettings(name="city", values=("Lyon", "Nice"))
    assert not judge(listed, verdicts("city", NOTHING)).closed
    assert judge(listed, Verdicts(name="special")).cls == "special"
    assert judge(listed, Verdicts(values="email")).closed


def test_names_on_the_way_count() -> None:
    """A score that is made of an address is one; so is one of a whole row, of nobody knows what."""
    found = judge(ColumnSettings(name="score"), verdicts("score", EMAIL))
    assert (found.cls, found.by) == ("email", "lineage")
    assert found.why == "Column score is made of c.email, whose name says email."
    rows = frozenset({Origin("c", ROW)})
    whole = judge(ColumnSettings(name="score"), verdicts("score", rows))
    assert whole.closed
    assert whole.cls is None
    assert "whole rows" in whole.why


def test_yes_or_no_is_no_address() -> None:
    """Whether somebody has an address is none; whether she is pregnant is special still."""
    assert verdicts("email", EMAIL, yes_or_no=True) == Verdicts()
    assert verdicts("pregnant", NOTHING, yes_or_no=True).name == "special"


def test_a_name_of_something_about_a_value_says_nothing() -> None:
    """The time of an address' last check is none."""
    assert verdicts("email_verified_at", NOTHING) == Verdicts()
