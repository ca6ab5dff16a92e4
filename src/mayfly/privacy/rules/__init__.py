"""Match-hash rules: one definition each, as SQL where provably equal, in Python for the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from mayfly.domain.errors import PolicyError
from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.catalogue import RULES, RULES_VERSION, Rule
from mayfly.privacy.rules.emit import EMITTERS, Emitter
from mayfly.privacy.rules.hashing import EMPTY, HashResult, hash_text, hash_value, normalise
from mayfly.privacy.rules.phone import sql_e164

__all__ = [
    "RULES",
    "RULES_VERSION",
    "HashResult",
    "Rule",
    "SqlRule",
    "hash_value",
    "rule_for",
    "sql_digest",
    "worker_canonical",
    "worker_digest",
]


@dataclass(frozen=True, kw_only=True)
class SqlRule:
    """A rule as SQL over one column.

    Args:
        digest: 32 raw bytes, null where absent, invalid or outside the repertoire.
        in_repertoire: never null; true where `digest`, null included, is final.
        canonical: SHA-256 of the platform-independent form that suppression compares.
    """

    digest: str
    in_repertoire: str
    canonical: str


def rule_for(platform: str, field: str) -> Rule:
    """The rule of a platform's field.

    Raises:
        PolicyError: `no_rule`.
    """
    rule = RULES.get((platform, field))
    if rule is None:
        raise PolicyError("no_rule", f"There is no match-hash rule for {field} at {platform}.")
    return rule


def sql_digest(
    rule: Rule,
    dialect: Literal["duckdb", "postgres"],
    column_sql: str,
    *,
    default_country: str | None,
) -> SqlRule:
    """A rule as SQL; `column_sql` is a text expression."""
    emitter = EMITTERS[dialect]()
    stripped = emitter.text(e.Strip(e.Value(), e.SPACES), column_sql)
    # The length is looked at first: most values are no digest, and a pattern costs more.
    is_hex = (
        f"(CASE WHEN length({column_sql}) >= 64 "
        f"THEN {emitter.full_match(stripped, '[0-9a-fA-F]{64}')} ELSE FALSE END)"
    )
    known = emitter.unhex(emitter.lower(stripped))
    if rule.phone != "none":
        made, inside, canonical = _phone_sql(rule, emitter, column_sql, default_country)
    else:
        made, inside = _text_sql(rule, emitter, column_sql)
        canonical = made
    # A digest is passed on as its bytes and never hashed again; the hash of nothing never leaves.
    passed = f"nullif({known}, {emitter.unhex(repr(EMPTY.hex()))})"
    final = f"coalesce({is_hex}, FALSE) OR coalesce({inside}, FALSE) OR {column_sql} IS NULL"
    canonical_hex = passed if rule.phone == "none" else "NULL"
    return SqlRule(
        digest=f"CASE WHEN {is_hex} THEN {passed} WHEN {inside} THEN {made} END",
        in_repertoire=f"({final})",
        canonical=f"CASE WHEN {is_hex} THEN {canonical_hex} WHEN {inside} THEN {canonical} END",
    )


def _text_sql(rule: Rule, emitter: Emitter, column: str) -> tuple[str, str]:
    normal = emitter.text(rule.normal, column)
    valid = emitter.condition(rule.valid, column)
    made = f"CASE WHEN {valid} THEN {emitter.sha256(f'nullif({normal}, {_QUOTES})')} END"
    return made, emitter.condition(rule.inside, column)


_QUOTES = "''"


def _phone_sql(
    rule: Rule, emitter: Emitter, column: str, country: str | None
) -> tuple[str, str, str]:
    number, inside = sql_e164(emitter, column, country)
    form = number if rule.phone == "plus" else f"substr({number}, 2)"
    return emitter.sha256(form), inside, emitter.sha256(number)


def worker_digest(
    rule: Rule,
    values: pa.Array,
    *,
    default_country: str | None,
    countries: pa.Array | None = None,
) -> pa.Array:
    """Digests of a column in this process, 32-byte binary; null where absent or refused.

    Args:
        rule: of the field.
        values: text.
        default_country: for national phone numbers.
        countries: the same row by row; it rules over `default_country`.
    """

    def one(value: str, country: str | None) -> bytes | None:
        return hash_text(rule, value, {"default_country": country}).digest

    return _column(one, values, default_country, countries)


def worker_canonical(
    kind: Literal["email", "phone"],
    values: pa.Array,
    *,
    default_country: str | None,
    countries: pa.Array | None = None,
) -> pa.Array:
    """Canonical digests of a column, which suppression compares; null where refused."""
    if kind == "email":
        rule = rule_for("meta", "email")
        return worker_digest(rule, values, default_country=None)
    rule = rule_for("meta", "phone")

    def one(value: str, country: str | None) -> bytes | None:
        digits = normalise(rule, value, {"default_country": country})
        return None if digits is None else hashlib.sha256(f"+{digits}".encode()).digest()

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
