"""The filter of a model's rows is one expression, and stays one."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_sql import check_where
from mayfly.planning.sql.dialect import DialectName


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "sqlite", "mysql", "snowflake"])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("country = 'FR'", "country = 'FR'"),
        ("a > 1 OR b IS NULL -- both", "a > 1 OR b IS NULL"),
        ("lower(name) IN ('a', 'b') and not gone", "LOWER(name) IN ('a', 'b') AND NOT gone"),
    ],
)
def test_an_expression_is_written_anew(dialect: DialectName, text: str, wanted: str) -> None:
    """Without its comments, so that what was checked is what runs."""
    assert check_where(text, dialect) == wanted


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "model_sql_where"),
        ("a = 1) OR (b = 1", "model_sql_where"),
        ("a = 1) UNION SELECT 2 FROM x WHERE (1 = 1", "model_sql_where"),
        ("a = 1) GROUP BY (a", "model_sql_where"),
        ("a = 1) ORDER BY (a", "model_sql_where"),
        ("a = 1) LIMIT (1", "model_sql_where"),
        ("a = 1); DROP TABLE x; SELECT (1", "model_sql_where"),
        ("a IN (SELECT b FROM other)", "model_sql_where"),
        ("EXISTS (SELECT 1)", "model_sql_where"),
        ("a = 'open", "model_sql_where"),
        ("read_text('/etc/hosts') = ''", "model_sql_forbidden"),
        ("pg_sleep(1) IS NULL", "model_sql_forbidden"),
        ("a = '\x00'", "model_sql_forbidden"),
    ],
)
def test_what_is_none_is_refused(text: str, code: str) -> None:
    """Nothing closes the bracket that it stands in, asks another table or reaches outside."""
    with pytest.raises(PolicyError) as caught:
        check_where(text, "duckdb")
    assert caught.value.code == code
    assert "other" not in str(caught.value).replace("another", "")
