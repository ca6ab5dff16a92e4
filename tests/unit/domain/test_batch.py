"""Batches before the gate."""

from __future__ import annotations

import pyarrow as pa

from mayfly.domain.batch import Batch, BatchHead, Operation

MARK = "marked-7f3a"


def head(number: int = 0, of: int = 2) -> BatchHead:
    """A head of two rows."""
    return BatchHead(sync="vip", run="r1", number=number, of=of, operation=Operation.ADD, rows=2)


def test_only_the_last_number_is_last() -> None:
    """Numbers count from zero."""
    assert [head(n, 3).last for n in range(3)] == [False, False, True]


def test_a_batch_shows_counts_and_no_value() -> None:
    """Neither in its text nor in that of what holds it."""
    rows = pa.table({"EMAIL": [MARK, MARK]})
    batch = Batch(head=head(), rows=rows, positions=pa.array([0, 1], pa.int32()))
    for text in (repr(batch), str(batch), f"{[batch]}"):
        assert "rows=2" in text
        assert MARK not in text
        assert "EMAIL" not in text
