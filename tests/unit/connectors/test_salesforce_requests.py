"""Rows as Salesforce's JSON and CSV, read by others than those who write them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.connectors.destinations.salesforce_requests import (
    Records,
    collection,
    require_sendable,
)
from mayfly.connectors.destinations.salesforce_results import ResultFile
from mayfly.domain.errors import ConfigError, IntegrityError
from salesforce_world import KEY, batch

TEXTS = st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=5)


def records(texts: list[str | None], **more: Any) -> Records:
    """Rows with a key each, and a text or none."""
    keys = pa.array([f"C-{n}" for n in range(len(texts))])
    return Records(batch({KEY: keys, "Note": pa.array(texts, pa.string())}), KEY, **more)


@given(TEXTS)
def test_no_text_is_more_than_a_value(texts: list[str | None]) -> None:
    """Of a comma, a quote, a tab or a line feed no other row, field or null comes about, in
    neither form; where a text would be a null of CSV there is no CSV.
    """
    rows = records(texts)
    good = rows.good().to_pylist()
    assert set(range(len(texts))) - set(good) == {
        n for n, t in enumerate(texts) if "\x00" in str(t)
    }
    if not good:
        return
    read = json.loads(collection(rows.inputs("Contact"), good))["records"]
    assert [r["Note"] for r in read] == [texts[n] for n in good]
    assert rows.has_csv() == all(str(t).strip() != "#N/A" for t in texts)
    if rows.has_csv():
        header, *lines = csv.reader(
            io.StringIO(rows.csv(rows.good()).decode(), newline=""), strict=True
        )
        assert header == [KEY, "Note"]
        assert lines == [[f"C-{n}", texts[n] or "#N/A"] for n in good]


@given(TEXTS, st.integers(1, 40))
def test_what_is_written_is_read_back(texts: list[str | None], size: int) -> None:
    """A file of results holds rows as they were sent, however it is cut."""
    rows = records([None if t is None else t.replace("\x00", "") for t in texts])
    content, found = rows.csv(rows.good()), list[str]()
    file = ResultFile([KEY, "Note"], lambda t: found.extend(t.column("Note").to_pylist()))
    for first in range(0, len(content), size):
        file.feed(content[first : first + size])
    file.end()
    assert found == [(t or "").replace("\x00", "") or "#N/A" for t in texts]


@pytest.mark.parametrize(
    ("column", "as_text", "shown"),
    [
        (pa.array([1.5]), False, 1.5),
        (pa.array([1.5]), True, "1.5"),
        (pa.array([12], pa.int8()), True, "12"),
        (pa.array([True]), True, "true"),
        (pa.array([True]), False, True),
        (pa.array([3_661_000_001], pa.time64("us")), False, "01:01:01.000Z"),
        (pa.array([0], pa.timestamp("s")), False, "1970-01-01T00:00:00.000Z"),
        (pa.array(["x"]).dictionary_encode(), False, "x"),
        (pa.array(["x"], pa.large_string()), False, "x"),
        (pa.array([[1, 2]]), False, "1;2"),
    ],
)
def test_a_value_has_the_kind_of_its_field(column: pa.Array, as_text: bool, shown: object) -> None:
    """A number in a field of text is one; Salesforce takes nothing else."""
    rows = Records(batch({KEY: pa.array(["1"]), "X": column}), KEY, texts={"X"} if as_text else ())
    [entry] = json.loads(collection(rows.inputs("Contact"), [0]))["records"]
    assert entry["X"] == shown
    assert type(entry["X"]) is type(shown)


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.binary(), pa.binary(3), pa.large_binary(), pa.list_(pa.binary())),
        *(pa.struct([]), pa.duration("s")),
    ],
)
def test_what_no_field_holds_is_refused(kind: pa.DataType) -> None:
    """Bytes, objects and lengths of time."""
    with pytest.raises(ConfigError) as caught:
        require_sendable("X", kind)
    assert caught.value.code == "unsendable_type"


def test_a_batch_without_its_key_is_refused() -> None:
    """Nothing could be written by it."""
    with pytest.raises(IntegrityError) as caught:
        Records(batch({"X": pa.array(["a"])}), KEY)
    assert caught.value.code == "no_key"
