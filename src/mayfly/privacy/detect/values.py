"""The values of one column, each once, with what share of them has a form."""

from __future__ import annotations

from functools import cached_property

import polars as pl
import pyarrow as pa

_SAMPLE = 2_000
# What stands for no value; in a column of digests it is one that is none.
_NOTHING = [
    "N/A",
    "n/a",
    "NULL",
    "null",
    "None",
    "none",
    "unknown",
    "Unknown",
    "\\N",
    "-",
    "--",
    "?",
]
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
_FRACTION = r"^-?[0-9]{1,15}\.[0-9]{1,15}$"


class Values:
    """Texts of one column, without blanks around them and without empty ones.

    Args:
        texts: of every row; nulls and empty texts do not count.

    Attributes:
        distinct: each text once.
        rows: how many rows have it.
        total: rows that have any.
    """

    def __init__(self, texts: pl.Series) -> None:
        bare = texts.str.strip_chars().rename("text")
        bare = bare.filter(bare.is_not_null() & (bare != ""))
        counted = bare.value_counts(name="rows", sort=False)
        self.distinct: pl.Series = counted["text"]
        self.rows: pl.Series = counted["rows"].cast(pl.Int64)
        self.total = len(bare)
        self._masks: dict[str, pl.Series] = {}

    @cached_property
    def sample(self) -> pl.Series:
        """Some of the distinct texts, from everywhere: all of them where they are few."""
        told = self.distinct.filter(~self.distinct.is_in(_NOTHING))
        told = told if len(told) else self.distinct
        return told.gather_every(max(1, len(told) // _SAMPLE)).head(_SAMPLE)

    @property
    def repeats(self) -> float:
        """Rows for each distinct text."""
        return self.total / max(1, len(self.distinct))

    def share(self, *patterns: str) -> float:
        """Of the sample, the part that any of some patterns matches."""
        if self.sample.is_empty():
            return 0.0
        found = self._sampled(patterns[0])
        for pattern in patterns[1:]:
            found |= self._sampled(pattern)
        return int(found.sum()) / len(self.sample)

    def _sampled(self, pattern: str) -> pl.Series:
        if pattern not in self._masks:
            self._masks[pattern] = self.sample.str.contains(pattern)
        return self._masks[pattern]

    def mask(self, pattern: str) -> pl.Series:
        """Which of the distinct texts a pattern matches."""
        return self.distinct.str.contains(pattern)

    def rows_of(self, mask: pl.Series) -> int:
        """Rows that have one of some distinct texts."""
        return int(self.rows.filter(mask).sum())


def as_texts(column: pa.Array | pa.ChunkedArray) -> pl.Series:
    """A column of texts or whole numbers as texts; numbers as their digits."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pl.Series(column.cast(pa.large_string()), dtype=pl.String)


def typed(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column of texts as numbers, where all of them are and would be written the same again."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    texts = as_texts(column).str.strip_chars()
    kept = texts.filter(texts.is_not_null() & (texts != ""))
    for pattern, kind in ((_WHOLE, pl.Int64), (_FRACTION, pl.Float64)):
        likely = len(kept) > 0 and kept.head(100).str.contains(pattern).all()
        if likely and kept.str.contains(pattern).all():
            return kept.cast(kind).to_arrow()
    return column
