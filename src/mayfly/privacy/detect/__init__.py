"""Finds what kind of personal value stands in each column of a table: by its values and its name.

Answers hold classes and counts, never a value. No network, no model: patterns, check digits, and
lists of names. `docs/howto/classify.md` says what is found and what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import pyarrow as pa

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect import lists
from mayfly.privacy.detect.column import Verdict, born_on, classify_texts
from mayfly.privacy.detect.context import in_table
from mayfly.privacy.detect.counted import named_verdict, verdict_of_counts
from mayfly.privacy.detect.encoded import decoded
from mayfly.privacy.detect.names import NameVote, name_vote
from mayfly.privacy.detect.nested import is_json, parsed, paths_of
from mayfly.privacy.detect.shown import WITHHELD, ShownNames, kept_made, kept_name, shown_name
from mayfly.privacy.detect.values import Values, as_texts, typed

__all__ = [
    "ShownNames",
    "Verdict",
    "classify_counts",
    "classify_names",
    "classify_table",
    "kept_made",
    "kept_name",
    "shown_name",
    "some_sentences",
    "strictest",
]

_DIGESTS = (16, 20, 28, 32, 48, 64)
# Of what stands within a column the class that asks for most care is the column's own.
_SEVERITY: tuple[ColumnClass, ...] = (
    "special",
    "national_id",
    "credit_card",
    "iban",
    "email",
    "phone",
    "dirty_hashed",
    "free_text_pii",
    "full_name",
    "last_name",
    "first_name",
    "street_address",
    "date_of_birth",
    "username",
    "ip_address",
    "device_id",
    "geo",
    "url_pii",
    "user_agent",
    "postal_code",
    "city",
    "gender",
    "region",
    "country",
    "hashed",
    "uuid",
    "opaque_id",
    "none",
)


def classify_table(
    columns: Mapping[str, pa.Array | pa.ChunkedArray], *, table: str = ""
) -> dict[str, Verdict]:
    """The class of each column of a table, by its name.

    Args:
        columns: whole, by name.
        table: its name: in a table of products a `name` is no person's.
    """
    votes = {name: name_vote(name) for name in columns}
    columns = {name: typed(column) for name, column in columns.items()}
    alone = {name: classify_column(column, votes[name]) for name, column in columns.items()}
    return in_table(table, alone, votes, columns)


def classify_column(column: pa.Array | pa.ChunkedArray, vote: NameVote) -> Verdict:
    """The class of one column by itself."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return _flags(len(column) - column.null_count, vote)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return born_on(
            pl.Series(pa.chunked_array([column]) if isinstance(column, pa.Array) else column), vote
        )
    if pa.types.is_temporal(kind):
        return Verdict(cls="none", confidence=0.95)
    if pa.types.is_nested(kind):
        return _within(column.to_pylist(), vote)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _fractions(column, vote)
    if pa.types.is_integer(kind):
        return classify_texts(Values(as_texts(column)), vote, integers=True)
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return _bytes(column, vote)
    return _texts(Values(as_texts(column)), vote)


def _flags(rows: int, vote: NameVote) -> Verdict:
    """Yes and no: personal only where the question is."""
    if rows and vote.cls == "special":
        return Verdict(cls="special", confidence=0.6, evidence={"values": rows, "name": 1})
    return Verdict(cls="none", confidence=0.9, evidence={"values": rows})


def _texts(values: Values, vote: NameVote) -> Verdict:
    few = [text.casefold() for text in values.distinct.head(4).to_list()]
    if few and len(few) <= 3 and lists.YES_NO.issuperset(few):
        return _flags(values.total, vote)
    if values.total and is_json(values):
        return _within(list(parsed(values.distinct)), vote)
    verdict = classify_texts(values, vote)
    # Texts in hex may be as long as a digest, which is never a text.
    if verdict.cls not in ("none", "opaque_id", "hashed", "dirty_hashed", "username"):
        return verdict
    inner = decoded(values)
    if inner is None:
        return verdict
    within = classify_texts(inner[1], vote)
    if within.cls in ("none", "opaque_id", "hashed", "uuid"):
        return verdict
    evidence = dict(within.evidence) | {f"encoded_{inner[0]}": values.total}
    return replace(within, evidence=evidence)


def _within(objects: list[object], vote: NameVote) -> Verdict:
    """A column of objects: each path by itself, and the worst of them for the column."""
    paths, withheld = paths_of(iter(objects))
    nested: dict[str, ColumnClass] = {}
    for path, texts in paths.items():
        last = path.replace("[]", "").rpartition(".")[2]
        own = name_vote(last) if last and last != WITHHELD else vote
        nested[path] = classify_column(typed(texts.to_arrow()), own).cls
    evidence = {"values": len(objects), "paths": len(nested)} | (
        {"withheld": withheld} if withheld else {}
    )
    none: ColumnClass = "none"
    cls = min(nested.values(), key=_SEVERITY.index, default=none)
    return Verdict(cls=cls, confidence=0.9, evidence=evidence, nested=nested)


def _fractions(column: pa.Array | pa.ChunkedArray, vote: NameVote) -> Verdict:
    """Numbers with a fraction: a place on earth, or whole numbers that a program made such."""
    numbers = pl.Series(column.cast(pa.float64())).drop_nulls().drop_nans()
    evidence = {"values": len(numbers)}
    if numbers.is_empty():
        return Verdict(cls="none", confidence=0.3, evidence=evidence)
    if bool((numbers == numbers.floor()).all()) and bool((numbers.abs() < 1e18).all()):
        return classify_texts(Values(numbers.cast(pl.Int64).cast(pl.String)), vote, integers=True)
    on_earth = bool((numbers.abs() <= 180).all())
    if vote.cls == "geo" and on_earth:
        return Verdict(cls="geo", confidence=0.95, evidence=evidence | {"name": 1})
    return Verdict(cls="none", confidence=0.8, evidence=evidence)


def _bytes(column: pa.Array | pa.ChunkedArray, vote: NameVote) -> Verdict:
    """Bytes: digests of one length, or a text."""
    data = [value for value in column.to_pylist() if value is not None]
    sizes = {len(value) for value in data}
    try:
        texts = [value.decode() for value in data]
    except UnicodeDecodeError:
        evidence = {"values": len(data)}
        if len(sizes) == 1 and sizes <= {*_DIGESTS}:
            return Verdict(cls="hashed", confidence=0.9, evidence=evidence)
        return Verdict(cls="none", confidence=0.5, evidence=evidence)
    return _texts(Values(pl.Series(texts, dtype=pl.String)), vote)


def classify_names(columns: Mapping[str, pa.DataType]) -> dict[str, Verdict]:
    """What names and types alone say of columns: no value is looked at.

    Args:
        columns: type by name.
    """
    return {name: named_verdict(name_vote(name), kind) for name, kind in columns.items()}


def classify_counts(
    columns: Mapping[str, pa.DataType], counts: Mapping[str, Mapping[str, int]]
) -> dict[str, Verdict]:
    """What counts of values say of columns, and their names and types: no value is looked at.

    Args:
        columns: type by name.
        counts: by name, of `planning.detection`'s kinds.
    """
    return {
        name: verdict_of_counts(counts.get(name, {}), name_vote(name), kind)
        for name, kind in columns.items()
    }


def strictest(first: Verdict, second: Verdict) -> Verdict:
    """Of two verdicts on one column the one that asks for more care."""
    return min(first, second, key=lambda verdict: _SEVERITY.index(verdict.cls))


def some_sentences(column: pa.Array | pa.ChunkedArray, most: int) -> list[str]:
    """Different texts of a column that may be sentences, so many at most, from everywhere."""
    texts = as_texts(column).drop_nulls().unique(maintain_order=True)
    spoken = texts.filter(texts.str.contains(r"\S\s+\S+\s+\S|[\x{3040}-\x{30ff}]{2}"))
    return spoken.gather_every(max(1, len(spoken) // most)).head(most).to_list()
