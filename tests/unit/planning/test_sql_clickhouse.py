"""ClickHouse's spelling."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mayfly.planning.sql.clickhouse import ClickhouseDialect, bare, time_digits

SQL = ClickhouseDialect()


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", "`a`"), ("a`b", "`a\\`b`"), ("a\\b", "`a\\\\b`"), ("a\nb", "`a\\x0ab`"), ("é", "`é`")],
)
def test_names_are_quoted(name: str, quoted: str) -> None:
    """A backslash begins an escape there, too."""
    assert SQL.quote(name) == quoted


def test_texts_are_escaped() -> None:
    """No text ends where it should not."""
    assert SQL.literal("a'b\\c\n") == "'a\\'b\\\\c\\x0a'"
    assert SQL.literal(True) == "TRUE"
    assert SQL.literal(5) == "5"


def test_whatever_is_ours_may_be_null() -> None:
    """A cast to a type without the word would make a zero of what is missing."""
    assert SQL.cast("x", "Int64") == "CAST(x AS Nullable(Int64))"
    assert SQL.cast("x", SQL.bigint) == "CAST(x AS Nullable(Int64))"
    assert SQL.cast("x", "LowCardinality(String)") == "CAST(x AS Nullable(String))"
    made = SQL.create_table("`t`", "a Nullable(Bool) NOT NULL, b Nullable(Int64)", temporary=True)
    assert made == (
        "CREATE TEMPORARY TABLE IF NOT EXISTS `t` (a Nullable(Bool), b Nullable(Int64))"
    )


def test_times_in_keys_are_in_utc() -> None:
    """Their text is read back as the same moment, whatever the zone of the column."""
    kind = "DateTime('Europe/Paris')"
    assert SQL.key("`k`", kind, pa.timestamp("us")) == (
        "CAST(toDateTime64(`k`, 0, 'UTC') AS Nullable(DateTime64(0, 'UTC')))"
    )
    assert SQL.key_type("DateTime64(9, 'Asia/Kathmandu')") == "Nullable(DateTime64(9, 'UTC'))"
    assert time_digits("DateTime") == 0
    assert time_digits("Date") is None


def test_a_change_has_no_alias_and_no_join() -> None:
    """Which a mutation does not know."""
    assert SQL.update("`t`", {"c": "7"}, "mf_t.n IN (SELECT n FROM w)") == (
        "ALTER TABLE `t` UPDATE c = 7 WHERE n IN (SELECT n FROM w)"
    )
    with pytest.raises(ValueError, match="no join"):
        SQL.update("`t`", {"c": "w.d"}, "mf_t.n = w.n", source="w")


def test_a_model_has_the_engines_own_settings() -> None:
    """At its end, where they hold for all of it."""
    made = SQL.model("SELECT `a` FROM (SELECT 1 AS a) AS mf_query")
    assert made.startswith(
        "SELECT `a` FROM (SELECT 1 AS a) AS mf_query SETTINGS join_use_nulls = 0"
    )


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Nullable(Int8)", "Int8"),
        ("LowCardinality(Nullable(FixedString(2)))", "FixedString(2)"),
        ("SimpleAggregateFunction(sum, Nullable(Int64))", "Int64"),
        ("Array(Nullable(Int8))", "Array(Nullable(Int8))"),
        ("Enum8('Nullable(x)' = 1)", "Enum8('Nullable(x)' = 1)"),
    ],
)
def test_types_are_bared_from_outside(given: str, kind: str) -> None:
    """Never inside."""
    assert bare(given) == kind
