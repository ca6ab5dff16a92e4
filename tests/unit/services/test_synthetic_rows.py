"""People who do not exist."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from mayfly.domain.classes import CLASSES
from mayfly.domain.errors import UsageError
from mayfly.domain.settings import ColumnSettings
from mayfly.ports.source import ColumnInfo
from mayfly.services.synthetic_rows import ROWS_MAX, synthetic_rows

TYPES = [
    pa.int8(),
    pa.int64(),
    pa.uint32(),
    pa.float64(),
    pa.decimal128(10, 2),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us"),
    pa.timestamp("us", tz="UTC"),
    pa.string(),
    pa.binary(),
    pa.list_(pa.string()),
]


def _info(name: str, kind: pa.DataType) -> ColumnInfo:
    return ColumnInfo(name=name, sql_type="T", arrow_type=kind)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_has_a_value(kind: pa.DataType) -> None:
    """Or, of lists, none."""
    column = synthetic_rows([_info("c", kind)], {}, 100).column("c")
    assert column.type == kind
    assert column.null_count == (100 if pa.types.is_list(kind) else 0)
    if pa.types.is_signed_integer(kind):
        assert len(set(column.to_pylist())) == 100
        assert max(column.to_pylist()) < 0


def test_texts_are_of_ranges_that_are_nobodys() -> None:
    """As the class says."""
    declared = {c: ColumnSettings(name=c, cls=c) for c in CLASSES}
    rows = synthetic_rows([_info(c, pa.string()) for c in CLASSES], declared, ROWS_MAX)
    found = {name: rows.column(name).to_pylist() for name in CLASSES}
    assert all(v.endswith("@example.com") for v in found["email"])
    assert all(v.startswith("+12025550") and len(v) == 12 for v in found["phone"])
    assert found["phone"][0] == "+12025550100"
    assert found["phone"][-1] == "+12025550199"
    assert all(v.startswith("192.0.2.") for v in found["ip_address"])
    assert {len(v) for v in found["hashed"]} == {64}
    for distinct in ("email", "phone", "first_name", "last_name", "opaque_id", "uuid", "none"):
        assert len(set(found[distinct])) == ROWS_MAX


def test_closed_shapes_are_kept() -> None:
    """Values and bounds that the project files declare."""
    declared = {
        "tier": ColumnSettings(name="tier", values=("gold", "silver")),
        "score": ColumnSettings(name="score", minimum=5, maximum=9),
    }
    columns = [_info("tier", pa.string()), _info("score", pa.int32())]
    rows = synthetic_rows(columns, declared, 3)
    assert rows.column("tier").to_pylist() == ["gold", "silver", "gold"]
    assert rows.column("score").to_pylist() == [5, 5, 5]


def test_a_value_that_does_not_fit_is_told() -> None:
    """The column's name and type, and what to do."""
    declared = {"d": ColumnSettings(name="d", minimum=1_000)}
    with pytest.raises(UsageError, match="no_synthetic_value"):
        synthetic_rows([_info("d", pa.int8())], declared, 1)


def test_what_a_destination_takes_in_no_other_form_is_made_as_it_says() -> None:
    """By the row's number and the present moment, in the column's own type; `values` weigh more."""
    now = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    seconds = int(now.timestamp())
    kinds = {
        "text": pa.string(),
        "number": pa.int64(),
        "moment": pa.timestamp("us", tz="UTC"),
        "listed": pa.string(),
    }
    samples = {"text": "id-{now}-{n}", "number": "{now}", "moment": "{now}", "listed": "{n}"}
    declared = {"listed": ColumnSettings(name="listed", values=("gold",))}
    columns = [_info(name, kind) for name, kind in kinds.items()]
    rows = synthetic_rows(columns, declared, 2, samples, now=now)
    assert rows.column("text").to_pylist() == [f"id-{seconds}-0", f"id-{seconds}-1"]
    assert rows.column("number").to_pylist() == [seconds, seconds]
    assert rows.column("moment").to_pylist() == [now, now]
    assert rows.column("listed").to_pylist() == ["gold", "gold"]
