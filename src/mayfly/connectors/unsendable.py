"""Rows that a destination would not take, found by whole columns before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.errors import ConfigError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.detect import shown_name

# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_TRUE, _FALSE = (pa.scalar(value, pa.bool_()) for value in (True, False))


def rows_where(mask: pa.Array | pa.ChunkedArray) -> list[int]:
    """Numbers of the rows for which it is true; null is not."""
    return [int(n) for n in pc.indices_nonzero(pc.fill_null(mask, _FALSE)).to_pylist()]


def not_numbers(column: pa.Array | pa.ChunkedArray) -> dict[int, Reason]:
    """Rows of a column of floats with what is no number, or none that ends: `not_a_number`."""
    if not pa.types.is_floating(column.type):
        return {}
    finite = pc.fill_null(pc.is_finite(column), _TRUE)
    return dict.fromkeys(rows_where(pc.invert(finite)), Reason(code="not_a_number"))


def doubles(keys: pa.Array, wrong: Mapping[int, Reason]) -> dict[int, Reason]:
    """Rows whose key an earlier row has that is sent: `duplicate_key`.

    Args:
        keys: without nulls, folded as the destination tells them apart.
        wrong: rows that are not sent for another reason.
    """
    if pc.count_distinct(keys).as_py() == len(keys):
        return {}
    seen: set[int] = set()
    found: dict[int, Reason] = {}
    for number, place in enumerate(pc.index_in(keys, value_set=pc.unique(keys)).to_pylist()):
        if number in wrong:
            continue
        if place in seen:
            found[number] = Reason(code="duplicate_key")
        seen.add(place)
    return found


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists of any length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes of any length."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def held(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values; of lists, that of what is in them."""
    return kind.value_type if is_list(kind) else kind


def unsendable_type(name: str, holder: str) -> ConfigError:
    """A column that has no form there.

    Args:
        name: of the field.
        holder: vendor and what it has none of, such as `HubSpot has no property`.
    """
    return ConfigError(
        "unsendable_type",
        f"{holder} that could hold the type of {shown_name(name)}.",
        hint="Make text, a number, a truth value, a time or a list of them in the model.",
    )
