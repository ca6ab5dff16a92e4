"""Outcomes of rows of which some were refused, and rows that nothing tells."""

from __future__ import annotations

import pyarrow as pa

from mayfly.connectors.row_outcomes import laid_out, without_any
from mayfly.domain.outcomes import Reason


def test_every_row_has_an_outcome_and_each_refused_one_its_reason() -> None:
    """By numbers of the batch; who is refused is not in doubt besides."""
    no, perhaps = Reason(code="no", vendor_code="v1"), Reason(code="perhaps")
    made = laid_out({12: no}, first=10, rows=4, unconfirmed={12: perhaps, 13: perhaps})
    assert made.codes.to_pylist() == [0, 0, 2, 1]
    assert made.reasons == {2: no, 3: perhaps}
    assert laid_out({}, first=0, rows=2).codes.to_pylist() == [0, 0]


def test_a_row_with_a_value_in_none_of_the_columns_is_told_by_nothing() -> None:
    """Whatever stands in others."""
    rows = pa.table({"a": [1, None, None], "b": [None, None, 1], "c": [1, 1, 1]})
    assert set(without_any(rows, ("a", "b"))) == {1}
    assert set(without_any(rows, ("a",))) == {1, 2}
    assert set(without_any(rows, ())) == {0, 1, 2}
