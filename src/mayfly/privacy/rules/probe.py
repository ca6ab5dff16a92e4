"""Strings that show whether a server's SQL gives what the rules say.

They are ours and no person's: every character SQL may handle, at the place where engines are known
to differ, and strings that a look at single characters would miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from mayfly.privacy.rules import (
    Rule,
    SqlDialectName,
    python_digest,
    sql_digest,
    worker_canonical,
)
from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.emitters import EMITTERS

_SINGLE = [*map(chr, range(0x09, 0x0E)), *map(chr, range(0x20, 0x7F)), e.NO_BREAK]
_SINGLE += [*e.LATIN_1]
# Case that depends on the locale or on neighbours, white space of other scripts, compositions.
_CONTEXT = (
    "ΑΣ", "ΣΑΣ", "İ", "ı", "I", "IÉ", "iI", "ſ", "\u212a", "ẞ", "ǅ", "ŉ", "e\u0301", "A\u030asa",
    "Ａ", "😊", "a\u200db", "\u200b", "\u2003x\u2003", "\ufeffa@example.com", "李明", "عمر",
    "Владимир", "O'Connor", "Mary, Jane", "Jean-Luc", "", " ", "\t",
    " A@Example.COM\t", "a@example.com", "a@b", "a@@b.com", "@example.com", "a b@example.com",
    "a@example..com", "a+b.c@gmail.com", "a\nb@example.com", "ä@example.com", "a@ex\u0130ample.com",
    "a@\u212aample.com", "a@example.com" + e.NO_BREAK,
    "+44 20 7946 0958", "020 7946 0958", "+44 (0)20 7946 0958", "+1 (555) 010-0199",
    "+33639981234", "06 39 98 12 34", "06\n39 98 12 34", "0033639981234", "+999123", "++3363998",
    "37221-3312", " 00-950", "SW1A 1AA", "12345", "1", "01", "13", "32", "1990", "1899", "2101",
    "fr", "FR ", "xx", "United States", "California.", "new york", "Female", "m", "İstanbul",
    "a" * 64, " ABCDEF0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789 ", "g" * 64,
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "d41d8cd98f00b204e9800998ecf8427e", "a" * 56, "c" * 128,
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "\\", "[a-z]", "'; --",
)  # fmt: skip
STRINGS: tuple[str, ...] = (
    *(f"Xy{c}Z" for c in _SINGLE),
    *(f"{c}Jo@Exam{c}ple.com{c}" for c in _SINGLE),
    *(f"{c}{c.lower()}" for c in e.MORE_LETTERS),
    *_CONTEXT,
)


@dataclass(frozen=True, kw_only=True)
class RuleUse:
    """A rule as a sync uses it."""

    rule: Rule
    default_country: str | None = None


PROBE_STRINGS = "mf_probe"
"""A temporary table of these strings, where an engine must be asked of rows: n, v."""


def probe_strings() -> pa.Table:
    """What `PROBE_STRINGS` holds."""
    places = pa.array(range(len(STRINGS)), pa.int64())
    return pa.table({"n": places, "v": pa.array(STRINGS, pa.string())})


def probe_sql(
    uses: Sequence[RuleUse], dialect: SqlDialectName, text_sql: str, *, loaded: bool = False
) -> str:
    """One query that gives number, digest, finality and canonical digest of each string and use.

    Args:
        uses: whose columns are d0, i0, c0, d1 and so on; c is null where nothing compares it.
        dialect: of the server.
        text_sql: how the sync reads a text column, with `{column}` for its name.
        loaded: whether the strings are in `PROBE_STRINGS`; otherwise they stand in the query.
    """
    rows = PROBE_STRINGS if loaded else EMITTERS[dialect]().rows("n", "v", STRINGS)
    made = []
    for n, use in enumerate(uses):
        sql = sql_digest(
            use.rule,
            dialect,
            text_sql.replace("{column}", "v"),
            default_country=use.default_country,
        )
        # A null of some type: not every engine gives a column that has none.
        canonical = sql.canonical if _suppresses(use) else "nullif('', '')"
        made.append(f"{sql.digest} AS d{n}, {sql.in_repertoire} AS i{n}, {canonical} AS c{n}")
    return f"SELECT n, {', '.join(made)} FROM {rows} ORDER BY n"


def expect(uses: Sequence[RuleUse]) -> None:
    """Work out what `differing` compares with, while a server answers."""
    for use in uses:
        _expected(use)


def differing(uses: Sequence[RuleUse], found: pa.Table) -> frozenset[RuleUse]:
    """Uses for which the server's answer is not Python's where it says it is final."""
    if found.column("n").to_pylist() != list(range(len(STRINGS))):
        return frozenset(uses)
    return frozenset(
        use
        for n, use in enumerate(uses)
        if not _same(use, *(_read(found.column(f"{c}{n}"), c) for c in "dic"))
    )


def _read(column: pa.ChunkedArray, kind: str) -> list[Any]:
    """Digests may come as text, of an engine that has one type for texts and bytes."""
    values: list[Any] = (column if kind == "i" else column.cast(pa.binary())).to_pylist()
    return values


def _same(
    use: RuleUse,
    digests: Sequence[bytes | None],
    final: Sequence[bool | None],
    canonical: Sequence[bytes | None],
) -> bool:
    wanted, wanted_canonical = _expected(use)
    for n, is_final in enumerate(final):
        if is_final is None:
            return False
        got = (digests[n], canonical[n] if wanted_canonical else None)
        want = (wanted[n], wanted_canonical[n] if wanted_canonical else None)
        if got != (want if is_final else (None, None)):
            return False
    return True


def _suppresses(use: RuleUse) -> bool:
    """Whether suppression compares by this rule's canonical digests."""
    return use.rule.platform == "canonical"


@lru_cache(maxsize=256)
def _expected(use: RuleUse) -> tuple[tuple[bytes | None, ...], tuple[bytes | None, ...]]:
    """Digests, and canonical digests for the rules that suppression uses."""
    values = pa.array(STRINGS, pa.string())
    country = use.default_country
    digests = python_digest(use.rule, values, default_country=country).to_pylist()
    if not _suppresses(use):
        return tuple(digests), ()
    canonical = worker_canonical(use.rule, values, default_country=country)
    return tuple(digests), tuple(canonical.to_pylist())
