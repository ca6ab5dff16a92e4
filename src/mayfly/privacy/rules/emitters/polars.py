"""The rules over whole columns in this process, as Polars expressions; Python has the rest.

The same tree that SQL is written from, and the same guard: only values of the repertoire, for which
Polars' text functions are proven equal, are decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import polars_hash  # noqa: F401 - adds `chash` to expressions
import pyarrow as pa

from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.catalogue import Rule
from mayfly.privacy.rules.emitters import BASE64_DIGEST, LABELS, OTHER_DIGEST, PLAIN
from mayfly.privacy.rules.phone import SEPARATORS, SQL_INTERNATIONAL, SQL_NATIONAL

_HEX = "[0-9a-fA-F]{64}"
_TEXT = "v"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What Polars made of a column.

    Args:
        digests: 32-byte binary, null where absent, refused or not decided.
        open: true where only Python can tell.
    """

    digests: pl.Series
    open: pl.Series


def decide(rule: Rule, values: pa.Array, country: str | None, empty: bytes) -> Decided:
    """Digests of the values that the rule's guard lets through.

    Args:
        rule: that takes clear values.
        values: text.
        country: that national phone numbers are read in.
        empty: the digest of nothing, which never leaves.
    """
    column = pl.col(_TEXT)
    stripped = column.str.strip_chars(e.SPACES)
    is_hex = _full_match(stripped, _HEX)
    known = stripped.str.to_lowercase().str.decode("hex", strict=False)
    passed = pl.when(known != pl.lit(empty)).then(known)
    other = _full_match(stripped, f"(?:{BASE64_DIGEST}|{OTHER_DIGEST})")
    made, inside = _phone(rule, country) if rule.phone != "none" else _text(rule)
    inside = inside & ~_full_match(stripped, BASE64_DIGEST)
    digest = pl.when(is_hex).then(passed).when(other | ~inside).then(None).otherwise(made)
    is_open = ~(is_hex | inside.fill_null(False)) & column.is_not_null()
    found = pl.DataFrame({_TEXT: pl.Series(values.cast(pa.large_string()))}).select(
        digest.alias("digest"), is_open.fill_null(False).alias("open")
    )
    return Decided(digests=found["digest"], open=found["open"])


def _text(rule: Rule) -> tuple[pl.Expr, pl.Expr]:
    """(Digest or null, guard)."""
    normal = _node(rule.normal)
    valid = _condition(rule.valid) & (normal != "")
    return pl.when(valid).then(_sha256(normal)), _condition(rule.inside)


def _phone(rule: Rule, country: str | None) -> tuple[pl.Expr, pl.Expr]:
    column = pl.col(_TEXT)
    compact = column.str.replace_all(_class(SEPARATORS + e.SPACES.strip(" ")), "")
    national = pl.lit(None, pl.String)
    if country in SQL_NATIONAL:
        pattern, code, start = SQL_NATIONAL[country]
        whole = pl.concat_str(pl.lit(f"+{code}"), compact.str.slice(start - 1))
        national = pl.when(_full_match(compact, pattern)).then(whole).otherwise(None)
    international = _full_match(compact, SQL_INTERNATIONAL)
    number = pl.when(international).then(compact).otherwise(national)
    trunk = column.str.contains("(0)", literal=True)
    settled = pl.when(~trunk).then(number)
    least, most = rule.phone_digits
    fits = settled.str.len_chars().is_between(least + 1, most + 1)
    form = settled if rule.phone == "plus" else settled.str.slice(1)
    return pl.when(fits).then(_sha256(form)), settled.is_not_null()


def _sha256(text: pl.Expr) -> pl.Expr:
    hashed: pl.Expr = getattr(text, "chash").sha2_256()  # noqa: B009 - not known to types
    return hashed.str.decode("hex")


def _full_match(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.contains(f"^(?:{pattern})$")


def _class(characters: str) -> str:
    """Rust's patterns read some escapes of other engines as something else."""
    return "[" + "".join(f"\\{c}" if c in "\\]^[-&~" else c for c in characters) + "]"


def _node(node: e.Text) -> pl.Expr:
    match node:
        case e.Value():
            return pl.col(_TEXT)
        case e.Case(condition, then, other):
            return pl.when(_condition(condition)).then(_node(then)).otherwise(_node(other))
        case e.Join(parts):
            return pl.concat_str([pl.lit(p) if isinstance(p, str) else _node(p) for p in parts])
    return _applied(node, _node(node.text))


def _applied(node: e.Text, text: pl.Expr) -> pl.Expr:
    match node:
        case e.Strip(characters=characters):
            return text.str.strip_chars(characters)
        case e.StripWide():
            return text.str.strip_chars(e.SPACES)
        case e.Remove(characters=characters):
            return text.str.replace_all(_class(characters), "")
        case e.LettersOnly(digits=digits):
            marks = e.NAME_MARKS + e.SPACES.strip(" ") + ("" if digits else e.DIGITS)
            return text.str.replace_all(_class(marks), "")
        case e.Lower():
            return text.str.to_lowercase()
        case e.Upper():
            return text.str.to_uppercase()
        case e.Left(length=length):
            return text.str.slice(0, length)
        case e.Before(mark=mark):
            return text.str.splitn(mark, 2).struct.field("field_0")
        case e.After(mark=mark):
            return text.str.splitn(mark, 2).struct.field("field_1").fill_null("")
        case e.Pad(length=length):
            return text.str.pad_start(length, "0")
        case e.Lookup(table=table, keep=keep):
            return text.replace_strict(
                list(table), list(table.values()), default=text if keep else None
            )
    raise TypeError("not a text node")


def _condition(node: e.Condition) -> pl.Expr:
    match node:
        case e.All(conditions):
            return pl.all_horizontal([_condition(c) for c in conditions])
        case e.Not(condition):
            return ~_condition(condition)
    text = _node(node.text)
    match node:
        case e.Only(characters=""):
            return text == ""
        case e.Only(characters=characters):
            return _full_match(text, _class(characters) + "*")
        case e.Length(least=least, most=most):
            return text.str.len_chars().is_between(least, most)
        case e.Count(mark=mark, number=number):
            return text.str.count_matches(mark, literal=True) == number
        case e.Has(part=part):
            return text.str.contains(part, literal=True)
        case e.In(values=values):
            return text.is_in(list(values))
        case e.EmailShape(labels=labels):
            return _full_match(text, LABELS if labels else PLAIN)
        case e.Between(least=least, most=most):
            digits = pl.when(_full_match(text, "[0-9]{1,4}")).then(text)
            return digits.cast(pl.Int32).is_between(least, most).fill_null(False)
    raise TypeError("not a condition")
