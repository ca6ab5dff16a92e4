"""Columns as JSON: what is written is read back as it was, whatever stands in a value."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors import json_columns as js

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_CELLS = st.one_of(st.none(), _TEXT, st.sampled_from(['"', "\\", "\n", "#N/A", '","x":"', "\x7f"]))
_ROWS = st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=20)


def _shape(columns: list[js.Cell]) -> js.Object:
    a, b, c = columns
    return js.Object(
        {
            "a": a,
            'b"': js.Items([js.Object({"x": b, "kind": js.Constant("B")}), c]),
            "whole": js.Object({"b": b, "c": c}, is_whole=True),
            "consent": js.Object({"ads": js.Constant(True)}),
        }
    )


def _expected(a: str | None, b: str | None, c: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {} if a is None else {"a": a}
    items: list[Any] = [] if b is None else [{"x": b, "kind": "B"}]
    items += [] if c is None else [c]
    row |= {'b"': items} if items else {}
    row |= {} if b is None or c is None else {"whole": {"b": b, "c": c}}
    return row | {"consent": {"ads": True}}


@given(_ROWS)
def test_rows_are_read_back_as_they_were_without_what_they_have_not(
    rows: list[tuple[str | None, str | None, str | None]],
) -> None:
    """No value makes another row, field or null, and rows stay in their order."""
    columns = [js.text(pa.array(c, pa.string())) for c in zip(*rows, strict=True)]
    made = js.array_of(js.rows_of(_shape(columns), len(rows)))
    assert orjson.loads(made) == [_expected(*row) for row in rows]


def test_chunks_slices_numbers_and_no_rows() -> None:
    """Columns come in chunks and as parts of longer ones."""
    chunked = pa.chunked_array([pa.array(["a"]), pa.array(["b", None])])
    shape = js.Object(
        {
            "t": js.plain(chunked.slice(1)),
            "n": js.number(pa.array([None, 7])),
            "b": js.number(pa.array([True, False])),
            "r": js.raw(pa.array(['{"x":[1]}', None])),
        }
    )
    assert orjson.loads(js.array_of(js.rows_of(shape, 2))) == [
        {"t": "b", "b": True, "r": {"x": [1]}},
        {"n": 7, "b": False},
    ]
    none = js.Object({"t": js.text(pa.array([], pa.string()))})
    assert js.array_of(js.rows_of(none, 0)) == b"[]"
    assert js.rows_of(js.Object({"k": js.Constant(1)}), 2).to_pylist() == ['{"k":1}'] * 2


def test_more_cells_with_nulls_than_bits_are_refused() -> None:
    """Which of those a row has is kept in one number; of the others every row has all."""
    for column, fits in ((pa.array(["v"]), True), (pa.array([None], pa.string()), False)):
        shape = js.Object({str(n): js.plain(column) for n in range(61)})
        if fits:
            assert len(orjson.loads(js.rows_of(shape, 1)[0].as_py())) == 61
        else:
            with pytest.raises(ValueError, match="too many"):
                js.rows_of(shape, 1)
