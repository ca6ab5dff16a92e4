"""The clear-value guard: tells columns that hold personal values where none may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import polars as pl
import pyarrow as pa

from mayfly.privacy.guard.patterns import (
    CLASSES,
    CREDIT_CARD,
    EMAIL,
    IBAN,
    PHONE,
    classes_in,
)

__all__ = [
    "CLASSES",
    "CREDIT_CARD",
    "EMAIL",
    "IBAN",
    "PHONE",
    "classes_in",
    "guard_classes",
    "guard_column",
]

# Passes every value the exact recognisers could take; whole digests and UUIDs never pass.
_CANDIDATE = (
    r"@|[0-9](?:[ -]?[0-9]){12}|\+[ (]{0,2}[1-9]"
    r"|[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11}"
)
_T = TypeVar("_T")
_DIGEST = r"^(?:[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$"


def guard_column(values: pa.Array) -> pa.Array:
    """True where a text holds an e-mail address, card, account or phone number anywhere.

    Null and values that are not text are False; the answer never holds a null.
    """
    found = _exact(values, lambda text: bool(classes_in(text)))
    flags = pl.zeros(len(values), dtype=pl.Boolean, eager=True)
    hits = [position for position, bad in found if bad]
    return flags.scatter(hits, True).to_arrow() if hits else flags.to_arrow()


def guard_classes(values: pa.Array) -> dict[str, int]:
    """How many values hold each class; classes without any are left out."""
    counts: dict[str, int] = {}
    for _, names in _exact(values, classes_in):
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _exact(values: pa.Array, check: Callable[[str], _T]) -> list[tuple[int, _T]]:
    """Candidates' positions with what the exact check says of each."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return []
    text = pl.Series(values.cast(pa.large_string()))
    likely = text.str.contains(_CANDIDATE) & ~text.str.contains(_DIGEST)
    positions = likely.fill_null(False).arg_true()
    return [
        (position, check(value))
        for position, value in zip(
            positions.to_list(), text.gather(positions).to_list(), strict=True
        )
    ]
