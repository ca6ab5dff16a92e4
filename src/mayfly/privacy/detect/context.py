"""What a table's other columns, and its name, say of a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pyarrow as pa

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect.column import Verdict
from mayfly.privacy.detect.names import NameVote
from mayfly.privacy.detect.words import words_of

_OF_PERSONS: frozenset[ColumnClass] = frozenset(
    {
        "email",
        "phone",
        "first_name",
        "last_name",
        "full_name",
        "date_of_birth",
        "national_id",
        "gender",
    }
)
_THINGS = frozenset(
    """product products item items sku catalog catalogue inventory stock brand brands campaign
    campaigns company companies vendor vendors supplier suppliers store stores warehouse warehouses
    event events log logs metric metrics plan plans category categories produkt produkte artikel
    produit produits producto productos prodotti produtos producten produkty produkter assets movies
    songs games courses recipes ingredients books""".split()
)
_LOOSE: frozenset[ColumnClass] = frozenset({"first_name", "last_name", "full_name", "username"})

_BY_VALUES = 0.75
"""A verdict of less confidence rests on the column's name."""


def in_table(
    table: str,
    alone: Mapping[str, Verdict],
    votes: Mapping[str, NameVote],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
) -> dict[str, Verdict]:
    """Verdicts of a table's columns, each in the light of the others."""
    verdicts = dict(alone)
    others = {verdict.cls for verdict in alone.values() if verdict.confidence >= _BY_VALUES}
    if {*words_of(table)} & _THINGS and not others & _OF_PERSONS:
        for name, verdict in alone.items():
            named = verdict.confidence < _BY_VALUES and verdict.cls in _LOOSE
            if named and votes[name].words == ("name",):
                verdicts[name] = replace(verdict, cls="none")
    _pairs_of_degrees(verdicts, votes, columns)
    return verdicts


def _pairs_of_degrees(
    verdicts: dict[str, Verdict],
    votes: Mapping[str, NameVote],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
) -> None:
    """Neighbours with many decimals, within the bounds of latitude and longitude, are a place."""
    names = list(columns)
    for first, second in pairwise(names):
        if any(verdicts[n].cls != "none" or not _precise(columns[n]) for n in (first, second)):
            continue
        a, b = (_numbers(columns[n]) for n in (first, second))
        if _within(a, 90) and _within(b, 180) and _named_alike(votes[first], votes[second]):
            for name in (first, second):
                verdicts[name] = replace(verdicts[name], cls="geo", confidence=0.7)


def _named_alike(first: NameVote, second: NameVote) -> bool:
    """Coordinates are called x and y, or nothing at all; a price and a weight are named."""
    short = {"x", "y", "lat", "lon", "lng", "long", "coord", "gps", "pos"}
    both = [
        {*vote.words} & short or all(len(w) <= 4 for w in vote.words) for vote in (first, second)
    ]
    return all(both)


def _numbers(column: pa.Array | pa.ChunkedArray) -> pl.Series:
    return pl.Series(column.cast(pa.float64())).drop_nulls().drop_nans()


def _precise(column: pa.Array | pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(column.type):
        return False
    numbers = _numbers(column)
    if len(numbers) < 5:
        return False
    finer = ((numbers * 1_000).round(0) != numbers * 1_000).sum()
    return int(finer) > 0.8 * len(numbers)


def _within(numbers: pl.Series, bound: int) -> bool:
    low, high = numbers.min(), numbers.max()
    return low is not None and high is not None and -bound <= float(low) and float(high) <= bound  # type: ignore[arg-type]
