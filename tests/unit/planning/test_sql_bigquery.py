"""BigQuery's spelling, where a server does not show it."""

from __future__ import annotations

import pytest

from mayfly.planning.sql.bigquery import BigqueryDialect

SQL = BigqueryDialect()


@pytest.mark.parametrize(
    ("text", "literal", "name"),
    [
        ("it's", r"'it\'s'", "`it's`"),
        ("a`b", "'a`b'", r"`a\`b`"),
        ("back\\slash", r"'back\\slash'", r"`back\\slash`"),
        ("line\nend\x00", r"'line\x0aend\x00'", r"`line\x0aend\x00`"),
        ("\\'", r"'\\\''", r"`\\'`"),
        ("naïve 名前", "'naïve 名前'", "`naïve 名前`"),
    ],
)
def test_no_text_ends_its_quotes(text: str, literal: str, name: str) -> None:
    """A backslash begins an escape, in names too."""
    assert SQL.literal(text) == literal
    assert SQL.quote(text) == name


def test_working_copies_expire() -> None:
    """Whether they are made of a query or empty; temporary tables and state have no such end."""
    ends = "OPTIONS(expiration_timestamp=TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 30 DAY))"
    assert SQL.working_copy("a", "SELECT 1") == f"CREATE TABLE a {ends} AS SELECT 1"
    assert ends in SQL.create_as("a", "SELECT 1")
    assert ends in SQL.journal_table("a", "n INT64")
    assert ends not in SQL.create_as("a", "SELECT 1", temporary=True)
    assert ends not in SQL.create_table("a", "n INT64")


def test_state_is_clustered_by_its_key() -> None:
    """By four columns at most, of those types that can be clustered by."""
    keys = ", ".join(f"k{i} INT64" for i in range(6))
    assert SQL.create_table("a", f"{keys}, fp BYTES").endswith(" CLUSTER BY k0, k1, k2, k3")
    mixed = SQL.create_table("a", "k0 BYTES, k1 STRING, fp BYTES")
    assert mixed.endswith(" CLUSTER BY k1")
    assert "CLUSTER" not in SQL.create_table("a", "batch INT64")
