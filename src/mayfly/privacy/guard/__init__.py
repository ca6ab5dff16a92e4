"""The clear-value guard: tells columns that hold personal values where none may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.privacy.guard.patterns import (
    CLASSES,
    CREDIT_CARD,
    EMAIL,
    IBAN,
    IBAN_COUNTRIES,
    PHONE,
    classes_in,
)
from mayfly.privacy.guard.phones import says_phone
from mayfly.privacy.guard.readings import (
    AT_IN_BASE64,
    AT_IN_HEX,
    DOT_IN_BASE64,
    DOT_IN_HEX,
    FOLDED_SIGNS,
    OTHERS_IN_BASE64,
    OTHERS_IN_HEX,
)

__all__ = [
    "CLASSES",
    "CREDIT_CARD",
    "EMAIL",
    "IBAN",
    "PHONE",
    "classes_in",
    "found_in",
    "guard_column",
    "says_phone",
]

_COUNTRIES = "|".join(
    "".join(f"[{c}{c.lower()}]" for c in country) for country in sorted(IBAN_COUNTRIES)
)
# Together they pass all that the exact recognisers could take, a whole UUID apart. Not one
# alternation: the states of counted parts multiply, and some columns take ten times as long.
_CANDIDATES = (
    "|".join(
        (
            "@",
            r"[0-9](?:[ .-]?[0-9]){12}",
            # In groups, each by its least part.
            r"\+[ (]{0,2}[1-9]|\([2-9][0-9][0-9]\)|[2-9][0-9][0-9]-[2-9][0-9][0-9]-",
            "0[1-9][ .-][0-9][0-9][ .-][0-9][0-9]",
            "00[1-9][0-9]{0,2}[ (-][0-9(]|00[ -][1-9]",
        )
    ),
    "|".join(
        (
            f"(?:^|[^A-Za-z0-9])(?:{_COUNTRIES})[0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{11}}",
            f"[{FOLDED_SIGNS}]",
            r"%[0-9A-Fa-f]{2}",
            r"&(?:#[0-9xX]|[a-z]{2,8};)",
            r"\\[ux][0-9A-Fa-f]{2}",
        )
    ),
    f"{OTHERS_IN_HEX}|{OTHERS_IN_BASE64}",
)
_T = TypeVar("_T")
_UUID = r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
# Eight digits or more, however they are set: anything shorter is no number one could call.
_NATIONAL = r"^[^0-9A-Za-z]*(?:[0-9][^0-9A-Za-z]{0,3}){7,14}[0-9][^0-9A-Za-z]*$"


def guard_column(values: pa.Array, *, phone: bool = False) -> pa.Array:
    """True where a value holds an e-mail address, card, account or phone number anywhere.

    Null is False; the answer never holds a null. Of lists, structs and maps each text and number
    is looked at.

    Args:
        values: of any type.
        phone: the column's class, name or table says that it holds telephone numbers: then any 8
            to 15 digits are one.
    """
    text = _as_text(values)
    found = _exact(text, lambda value: bool(classes_in(value)))
    flags = pl.zeros(len(values), dtype=pl.Boolean, eager=True)
    hits = [position for position, bad in found if bad]
    if hits:
        flags = flags.scatter(hits, True)
    if phone:
        flags = flags | text.str.contains(_NATIONAL).fill_null(False)
    return flags.to_arrow()


def _as_text(values: pa.Array) -> pl.Series:
    """A column as text. Numbers are their digits, and what is nested is its JSON."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_text(values.dictionary_decode())
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_null(kind):
        return pl.Series(pa.nulls(len(values), pa.large_string()))
    if pa.types.is_floating(kind):
        # Not every function takes half a float.
        values, kind = values.cast(pa.float64()), pa.float64()
        whole = pc.if_else(pc.equal(values, pc.floor(values)), values, None)
        small = pc.less(pc.abs(whole), pa.scalar(1e18, kind))
        return _as_text(pc.if_else(small, whole, None).cast(pa.int64()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or _nested(kind):
        texts = [None if v is None else _text_of(v) for v in values.to_pylist()]
        return pl.Series(pa.array(texts, pa.large_string()))
    return pl.Series(values.cast(pa.large_string()))


def _nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind))


def _text_of(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    text: bytes = orjson.dumps(value, default=_leaf, option=orjson.OPT_NON_STR_KEYS)
    return str(text, "utf-8", "replace")


def _leaf(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _exact(text: pl.Series, check: Callable[[str], _T]) -> list[tuple[int, _T]]:
    """Candidates' positions with what the exact check says of each."""
    likely = text.str.contains(_CANDIDATES[0])
    for pattern in _CANDIDATES[1:]:
        likely |= text.str.contains(pattern)
    likely = likely.fill_null(False)
    # Chance makes an at-sign of many an id, and seldom a dot as well.
    for at, dot in ((AT_IN_BASE64, DOT_IN_BASE64), (AT_IN_HEX, DOT_IN_HEX)):
        address = text.str.contains(at).fill_null(False).arg_true()
        dotted = text.gather(address).str.contains(dot).fill_null(False)
        likely = likely.scatter(address.filter(dotted), True)
    positions = likely.arg_true()
    found = text.gather(positions)
    other = ~found.str.contains(_UUID)
    return [
        (position, check(value))
        for position, value in zip(
            positions.filter(other).to_list(), found.filter(other).to_list(), strict=True
        )
    ]


def found_in(texts: pl.Series) -> list[tuple[int, list[str]]]:
    """Positions of texts that hold values of a class, and which classes; the others are left out.

    Args:
        texts: none of which is null.
    """
    return [(position, classes) for position, classes in _exact(texts, classes_in) if classes]
