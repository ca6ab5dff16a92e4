"""Match-hash rules: one definition each, as SQL where provably equal, in Python for the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl
import pyarrow as pa

from mayfly.domain.errors import PolicyError
from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.canonical import (
    CANONICAL_KINDS,
    CanonicalKind,
    canonical_rule,
    canonical_rules,
)
from mayfly.privacy.rules.catalogue import RULES, Rule, Spelling
from mayfly.privacy.rules.emitters import BASE64_DIGEST, EMITTERS, OTHER_DIGEST, Emitter
from mayfly.privacy.rules.emitters.polars import decide
from mayfly.privacy.rules.hashing import EMPTY, PYTHON_ONLY, HashResult, hash_text, hash_value
from mayfly.privacy.rules.phone import PHONE_DATA, sql_e164

__all__ = [
    "CANONICAL_KINDS",
    "RULES",
    "CanonicalKind",
    "HashResult",
    "Rule",
    "SqlDialectName",
    "SqlRule",
    "canonical_rule",
    "canonical_rules",
    "hash_value",
    "python_digest",
    "rule_for",
    "sql_digest",
    "version_text",
    "worker_canonical",
    "worker_digest",
]

SqlDialectName = Literal[
    "bigquery",
    "databricks",
    "duckdb",
    "postgres",
    "redshift",
    "clickhouse",
    "mariadb",
    "mysql",
    "snowflake",
    "spark",
    "sqlite",
]


@dataclass(frozen=True, kw_only=True)
class SqlRule:
    """A rule as SQL over one column.

    Args:
        digest: 32 raw bytes, null where absent, invalid or outside the repertoire.
        in_repertoire: never null; true where `digest`, null included, is final.
        canonical: SHA-256 of the platform-independent form that suppression compares.
        ready: never null; whether the value is a SHA-256 already, in hex or base64.
        shared: parts of these expressions that stand in them more than once, inner ones first:
            whoever computes them once, under a name, replaces them by that name.
    """

    digest: str
    in_repertoire: str
    canonical: str
    ready: str
    shared: tuple[str, ...] = ()


def rule_for(platform: str, field: str) -> Rule:
    """The rule of a platform's field.

    Raises:
        PolicyError: `no_rule`.
    """
    rule = RULES.get((platform, field))
    if rule is None:
        raise PolicyError("no_rule", f"There is no match-hash rule for {field} at {platform}.")
    return rule


def version_text(rule: Rule) -> str:
    """What changes whenever a digest made by the rule may: its version, and that of the data which
    national phones are read by.
    """
    data = "" if rule.phone == "none" else f" {PHONE_DATA}"
    return f"{rule.platform} {rule.field} {rule.version}{data}"


def sql_digest(
    rule: Rule,
    dialect: SqlDialectName,
    column_sql: str,
    *,
    default_country: str | None,
) -> SqlRule:
    """A rule as SQL; `column_sql` is a text expression."""
    emitter = EMITTERS[dialect]()
    if rule.spelling is not None:
        return _spelled(rule.spelling, dialect, column_sql, default_country)
    stripped = emitter.text(e.Strip(e.Value(), e.SPACES), column_sql)

    def looks(least: int, pattern: str) -> str:
        # The length is looked at first: most values are no digest, and a pattern costs more.
        match = emitter.full_match(stripped, pattern)
        return f"(CASE WHEN length({column_sql}) >= {least} THEN {match} ELSE FALSE END)"

    is_hex = looks(64, "[0-9a-fA-F]{64}")
    # SQL hashes no digest of another form: the worker reads base64, the rest is refused.
    other = looks(32, f"(?:{BASE64_DIGEST}|{OTHER_DIGEST})")
    base64 = looks(44, BASE64_DIGEST)
    known = emitter.unhex(emitter.lower_ascii(stripped))
    if rule.phone != "none":
        made, inside, canonical, shared = _phone_sql(rule, emitter, column_sql, default_country)
    else:
        made, inside, shared = _text_sql(rule, emitter, column_sql)
        canonical = made
    # A digest is passed on as its bytes and never hashed again; the hash of nothing never leaves.
    passed = f"nullif({known}, {emitter.unhex(repr(EMPTY.hex()))})"
    final = f"coalesce({is_hex} OR ({inside} AND NOT {base64}), FALSE) OR {column_sql} IS NULL"
    return SqlRule(
        digest=f"CASE WHEN {is_hex} THEN {passed} WHEN {other} THEN NULL ELSE {made} END",
        in_repertoire=f"({final})",
        canonical=(f"CASE WHEN {is_hex} THEN {passed} WHEN {other} THEN NULL ELSE {canonical} END"),
        ready=f"coalesce({is_hex} OR {base64}, FALSE)",
        shared=shared,
    )


def _spelled(
    spelling: Spelling, dialect: SqlDialectName, column: str, country: str | None
) -> SqlRule:
    plain = sql_digest(spelling.plain, dialect, column, default_country=country)
    emitter = EMITTERS[dialect]()
    differs = emitter.full_match(column, spelling.pattern)
    folded = emitter.sha256(emitter.text(spelling.text, column))
    digest = f"CASE WHEN {differs} THEN {folded} ELSE {plain.digest} END"
    shared = (*plain.shared, plain.digest)
    return replace(plain, digest=digest, canonical=digest, shared=shared)


def _text_sql(rule: Rule, emitter: Emitter, column: str) -> tuple[str, str, tuple[str, ...]]:
    """(Digest or null, guard, parts that stand in them more than once)."""
    inside = emitter.condition(rule.inside, column)
    valid = emitter.condition(rule.valid, column)
    packed = _packed_email(rule)
    if packed is not None:
        digest = emitter.sha256(emitter.text(packed, column))
        return f"(CASE WHEN {valid} THEN {digest} END)", inside, ()
    normal = emitter.text(rule.normal, column)
    digest = emitter.sha256(f"nullif({normal}, {_QUOTES})")
    outside = emitter.is_not_true(inside)
    made = f"(CASE WHEN {outside} THEN NULL WHEN {valid} THEN {digest} END)"
    # Of what is always looked at alone: a branch that is hardly ever taken is not worth its name.
    # DuckDB works out what `nullif` compares twice.
    texts = {t for t in _texts(rule, emitter, column) if t == normal or made.count(t) > 1}
    return made, inside, tuple(sorted(texts - {column}, key=len))


def _texts(rule: Rule, emitter: Emitter, column: str) -> set[str]:
    nodes = [*e.texts(rule.valid), rule.normal]
    nodes += [node.text for node in nodes if isinstance(node, e.Remove)]
    return {emitter.text(node, column) for node in nodes}


def _packed_email(rule: Rule) -> e.Text | None:
    """The normal form of a value that has an e-mail's shape, if SQL matches it on the raw value.

    The shape is a guard by itself then, printable ASCII, and no address is empty; its only blanks
    are those around it, and to remove all costs less than to strip. Not so behind a fold: DuckDB's
    `lower` makes an ASCII letter of U+0130 and of U+212A.
    """
    match rule.valid:
        case e.EmailShape(text=e.Lower(text=e.Strip(text=e.Value(), characters=blanks)) as text):
            pass
        case e.EmailShape(text=e.Lower(text=e.StripWide(text=e.Value())) as text):
            blanks = e.SPACES
        case _:
            return None
    packed = e.Lower(e.Remove(e.Value(), blanks), ascii_only=True)
    return packed if rule.normal == text else None


_QUOTES = "''"


def _phone_sql(
    rule: Rule, emitter: Emitter, column: str, country: str | None
) -> tuple[str, str, str, tuple[str, ...]]:
    number, compact = sql_e164(emitter, column, country)
    form = number if rule.phone == "plus" else f"substr({number}, 2)"
    made = emitter.sha256(form)
    least, most = rule.phone_digits
    if (least, most) != (8, 15):  # what SQL recognises has 9 to 12 digits
        fits = f"length({number}) BETWEEN {least + 1} AND {most + 1}"
        made = f"(CASE WHEN {fits} THEN {made} END)"
    inside = f"(({number}) IS NOT NULL OR ({compact} = ''))"
    return made, inside, emitter.sha256(number), (compact, number)


def worker_digest(
    rule: Rule,
    values: pa.Array,
    *,
    default_country: str | None,
    countries: pa.Array | None = None,
) -> pa.Array:
    """Digests of a column in this process, 32-byte binary; null where absent or refused.

    Polars decides what lies in the repertoire, Python the rest.

    Args:
        rule: of the field.
        values: text.
        default_country: for national phone numbers.
        countries: the same row by row; it rules over `default_country`.
    """
    if rule.prehashed_only or rule.field in PYTHON_ONLY:
        return python_digest(rule, values, default_country=default_country, countries=countries)
    # A row's own country is not one that a column's expression knows.
    country = default_country if countries is None else None
    decided = decide(rule, values, country, EMPTY)
    places = decided.open.arg_true()
    if not len(places):
        return decided.digests.to_arrow().cast(pa.binary(32))
    rest = places.to_arrow()
    made = python_digest(
        rule,
        values.take(rest),
        default_country=default_country,
        countries=None if countries is None else countries.take(rest),
    )
    filled = decided.digests.scatter(places, pl.Series(made.cast(pa.large_binary())))
    return filled.to_arrow().cast(pa.binary(32))


def python_digest(
    rule: Rule,
    values: pa.Array,
    *,
    default_country: str | None,
    countries: pa.Array | None = None,
) -> pa.Array:
    """The same value by value: what every other form of a rule is compared with."""

    def one(value: str, country: str | None) -> bytes | None:
        return hash_text(rule, value, {"default_country": country}).digest

    return _column(one, values, default_country, countries)


def worker_canonical(
    rule: Rule,
    values: pa.Array,
    *,
    default_country: str | None,
    countries: pa.Array | None = None,
) -> pa.Array:
    """Canonical digests of a column, which suppression compares; null where refused.

    What is a digest already is its own: a phone's is compared with each form it can have.

    Args:
        rule: a `canonical_rule`.
        values: text.
        default_country: for national phone numbers.
        countries: the same row by row.
    """
    if rule.phone == "none":
        return worker_digest(rule, values, default_country=None)

    def one(value: str, country: str | None) -> bytes | None:
        made = hash_text(rule, value, {"default_country": country})
        if made.normal is None:
            return made.digest
        return hashlib.sha256(f"+{made.normal}".encode()).digest()

    return _column(one, values, default_country, countries)


def _column(
    one: Callable[[str, str | None], bytes | None],
    values: pa.Array,
    default_country: str | None,
    countries: pa.Array | None,
) -> pa.Array:
    """Each distinct (value, country) is worked out once."""
    known: dict[tuple[str, str | None], bytes | None] = {}
    rows = values.to_pylist()
    given = countries.to_pylist() if countries is not None else [None] * len(rows)
    made: list[bytes | None] = []
    for value, country in zip(rows, given, strict=True):
        if value is None:
            made.append(None)
            continue
        key = (value, country or default_country)
        if key not in known:
            known[key] = one(*key)
        made.append(known[key])
    return pa.array(made, pa.binary(32))
