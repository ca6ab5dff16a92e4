"""Outcomes of a batch's rows."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason

MARK = "marked 7f3a@example.com"


def test_the_numbers_of_outcomes_are_fixed() -> None:
    """They are stored in the warehouse."""
    numbers = {code.name: int(code) for code in OutcomeCode}
    assert numbers == {
        "ACCEPTED": 0,
        "UNCONFIRMED": 1,
        "REJECTED": 2,
        "DEFERRED": 3,
        "WITHHELD": 4,
    }


@given(st.lists(st.sampled_from(OutcomeCode)))
def test_counts_add_up(codes: list[OutcomeCode]) -> None:
    """Every row is counted under its own code, and only the accepted ones are left out."""
    outcomes = Outcomes(codes=pa.array([int(c) for c in codes], pa.uint8()))
    assert len(outcomes) == len(codes)
    for code in OutcomeCode:
        assert outcomes.count(code) == codes.count(code)
    expected = [i for i, code in enumerate(codes) if code is not OutcomeCode.ACCEPTED]
    assert outcomes.not_accepted() == expected


@pytest.mark.parametrize("rows", [0, 3])
def test_all_rows_alike(rows: int) -> None:
    """One code and, where given, one reason for each row."""
    reason = Reason(code="refused", vendor_code="100")
    outcomes = Outcomes.all_of(OutcomeCode.REJECTED, rows, reason)
    assert outcomes.codes.type == pa.uint8()
    assert outcomes.count(OutcomeCode.REJECTED) == rows
    assert outcomes.reasons == dict.fromkeys(range(rows), reason)
    assert Outcomes.all_of(OutcomeCode.ACCEPTED, rows).reasons == {}


@pytest.mark.parametrize(
    ("code", "vendor"),
    [("", ""), (MARK, ""), ("refused", MARK), ("refused", "é"), ("a" * 65, ""), ("refused\n", "")],
)
def test_a_reason_holds_no_free_text(code: str, vendor: str) -> None:
    """A vendor's text may carry a row's value: only identifiers are taken, and none is shown."""
    with pytest.raises(ContractError) as caught:
        Reason(code=code, vendor_code=vendor)
    assert caught.value.code == "bad_reason_code"
    assert "marked" not in str(caught.value)
