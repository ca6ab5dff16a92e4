"""Columns as JSON: what is written is read back as it was, whatever stands in a value."""

from __future__ import annotations

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors import json_columns as js

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_CELLS = st.one_of(st.none(), _TEXT, st.sampled_from(['"', "\\", "\n", "#N/A", '","x":"', "\x7f"]))


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=20))
def test_rows_are_read_back_as_they_were_without_their_nulls(
    rows: list[tuple[str | None, str | None]],
) -> None:
    """No value makes another row, field or null."""
    first, second = (pa.array(c, pa.string()) for c in zip(*rows, strict=True))
    made = js.array(js.objects({"a": js.texts(first), 'b"': js.texts(second)}))
    expected = [{k: v for k, v in (("a", a), ('b"', b)) if v is not None} for a, b in rows]
    assert orjson.loads(made) == expected


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=20))
def test_lists_hold_the_items_that_are_there(rows: list[tuple[str | None, str | None]]) -> None:
    """An item that is null leaves no gap."""
    columns = [js.texts(pa.array(c, pa.string())) for c in zip(*rows, strict=True)]
    read = orjson.loads(js.array(js.arrays(columns)))
    assert read == [[v for v in row if v is not None] for row in rows]


def test_chunks_slices_numbers_and_constants() -> None:
    """Columns come in chunks and as parts of longer ones."""
    chunked = pa.chunked_array([pa.array(["a"]), pa.array(["b", None])])
    made = js.objects(
        {
            "t": js.texts(chunked.slice(1)),
            "n": js.numbers(pa.array([None, 7])),
            "b": js.numbers(pa.array([True, False])),
            "c": js.constant({"x": [1]}, 2),
        }
    )
    assert orjson.loads(js.array(made)) == [
        {"t": "b", "b": True, "c": {"x": [1]}},
        {"n": 7, "b": False, "c": {"x": [1]}},
    ]
    assert js.array(pa.array([], pa.string())) == b"[]"
    hidden = js.none_where(pa.array(["1", "2"]), pa.array([True, False]))
    assert hidden.to_pylist() == [None, "2"]
