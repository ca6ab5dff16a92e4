"""Parts of a batch and what became of their rows; which rows and columns are not sent at all."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest

from mayfly.connectors.first_check import FirstCheck
from mayfly.connectors.row_parts import RowPart, Told, note_worse, noting_refused
from mayfly.connectors.unsendable import (
    doubles,
    held,
    is_bytes,
    is_list,
    not_numbers,
    rows_where,
    unsendable_type,
)
from mayfly.domain.errors import RequestRefusedError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Reason

WRONG, LATE = Reason(code="no_key"), Reason(code="record_missing")
DONE: Told = (OutcomeCode.ACCEPTED, None)


def test_a_part_knows_its_rows_by_their_numbers_in_the_batch() -> None:
    """Rows of other parts that are not sent are none of its."""
    part = RowPart.of(10, 3, {9: WRONG, 11: WRONG, 13: WRONG})
    assert (part.sent, part.unsent) == ((10, 12), {11: WRONG})
    made = part.outcomes({12: (OutcomeCode.DEFERRED, LATE)})
    assert made.codes.to_pylist() == [0, OutcomeCode.REJECTED, OutcomeCode.DEFERRED]
    assert made.reasons == {1: WRONG, 2: LATE}


def test_what_is_told_of_a_row_that_was_not_sent_holds_for_it() -> None:
    """Such as that who has no key is as good as removed: no reason is left."""
    made = RowPart.of(0, 1, {0: WRONG}).outcomes({0: DONE})
    assert (made.codes.to_pylist(), made.reasons) == ([0], {})


def test_of_two_outcomes_the_one_that_asks_for_more_stands() -> None:
    """And the first of two of a kind."""
    told: dict[int, Told] = {0: (OutcomeCode.UNCONFIRMED, WRONG), 1: DONE}
    note_worse(told, {0: (OutcomeCode.UNCONFIRMED, LATE), 1: (OutcomeCode.DEFERRED, LATE), 2: DONE})
    assert told == {
        0: (OutcomeCode.UNCONFIRMED, WRONG),
        1: (OutcomeCode.DEFERRED, LATE),
        2: DONE,
    }
    noting_refused(told)(1, RequestRefusedError("acme_7", "no"))
    assert told[1] == (OutcomeCode.REJECTED, Reason(code="row_refused", vendor_code="acme_7"))


def test_only_floats_hold_what_is_no_number() -> None:
    """A null is nothing, and no wrong number; chunks are numbered through."""
    column = pa.chunked_array([pa.array([1.0, None]), pa.array([float("nan"), float("inf")])])
    assert set(not_numbers(column)) == {2, 3}
    assert not_numbers(pa.array(["nan"])) == {}
    assert rows_where(pa.array([True, None, False, True])) == [0, 3]


def test_the_first_row_of_a_key_that_is_sent_is_no_double() -> None:
    """Of a key whose first row is wrong in another way, the second goes."""
    keys = pa.array(["a", "b", "a", "a", "b"])
    assert set(doubles(keys, {})) == {2, 3, 4}
    assert set(doubles(keys, {0: WRONG})) == {3, 4}
    assert doubles(pa.array(["a", "b"]), {}) == {}
    assert doubles(pa.array([], pa.string()), {}) == {}


def test_lists_are_what_they_hold() -> None:
    """And bytes of any length are bytes."""
    assert held(pa.list_(pa.binary())) == pa.binary()
    assert held(pa.int64()) == pa.int64()
    assert is_list(pa.large_list(pa.int64()))
    assert not is_list(pa.struct([]))
    assert all(map(is_bytes, (pa.binary(), pa.large_binary(), pa.binary(4))))
    assert not is_bytes(pa.string())
    told = unsendable_type("photo", "Acme has no field")
    assert told.message == "Acme has no field that could hold the type of photo."


def test_a_first_check_is_made_once_and_again_after_it_failed() -> None:
    """However many batches wait for it."""
    asked: list[int] = []

    async def ask() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        if len(asked) == 1:
            raise TransientError("destination_busy", "later")
        return "answer"

    check = FirstCheck(ask)

    async def scenario() -> list[str]:
        return await asyncio.gather(*(check.answer() for _ in range(3)))

    with pytest.raises(TransientError):
        asyncio.run(check.answer())
    assert asyncio.run(scenario()) == ["answer"] * 3
    assert len(asked) == 2
