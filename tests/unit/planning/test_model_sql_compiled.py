"""What model SQL may not reach in Redshift and Databricks."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_reads import reads_of_sql
from mayfly.planning.model_sql import check_model_sql

REDSHIFT = [
    "SELECT * FROM stl_querytext",
    "SELECT text FROM sys_query_text",
    "SELECT * FROM svv_columns",
    "SELECT * FROM pg_internal.x",
    "SELECT * FROM pg_user",
    "SELECT other.leak(email) FROM people",
    "SELECT current_user",
    "SELECT id FROM people WHERE pg_terminate_backend(1)",
    "SELECT id INTO copy_of FROM people",
    "UNLOAD ('SELECT 1') TO 's3://x'",
    "COPY people FROM 's3://x' IAM_ROLE default",
    "SELECT id FROM people; DELETE FROM people",
    "WITH x AS (SELECT 1 AS n) DELETE FROM people WHERE id IN (SELECT n FROM x)",
    "CALL leak()",
    'SELECT id FROM "_mayfly".states',
    "SELECT aws_sagemaker(email) FROM people",
]
DATABRICKS = [
    "SELECT * FROM read_files('/Volumes/a/b/c')",
    "SELECT * FROM parquet.`/Volumes/a/b/c/x.parquet`",
    "SELECT * FROM delta.`abfss://x`",
    "SELECT * FROM csv.`x`",
    "SELECT * FROM people VERSION AS OF 3",
    "SELECT * FROM people TIMESTAMP AS OF '2026-01-01'",
    "SELECT * FROM `people@v3`",
    "SELECT * FROM table_changes('people', 1)",
    "SELECT ai_query('m', email) FROM people",
    "SELECT http_request(conn => 'x', path => email) FROM people",
    "SELECT secret('a', 'b')",
    "SELECT try_secret('a', 'b')",
    "SELECT reflect('java.lang.System', 'getenv', 'HOME')",
    "SELECT java_method('java.lang.System', 'getenv')",
    "SELECT other.leak(email) FROM people",
    "SELECT shop.other.leak(email) FROM people",
    "SELECT current_user()",
    "SELECT * FROM system.query.history",
    "SELECT * FROM shop.information_schema.columns",
    "SELECT * FROM IDENTIFIER('peo' || 'ple')",
    "SELECT TRANSFORM(email) USING 'curl' AS (x) FROM people",
    "SELECT id FROM people WHERE id = :id",
    "INSERT INTO people SELECT 1",
    "WITH x AS (SELECT 1 AS n) INSERT INTO people SELECT n FROM x",
    "COPY INTO people FROM '/Volumes/x'",
    "SELECT * FROM remote_query('c', query => 'x')",
    "SELECT id FROM people; SELECT 1",
]


@pytest.mark.parametrize("sql", REDSHIFT)
def test_redshift_reaches_tables_alone(sql: str) -> None:
    """Not the log of statements, other people's functions, files or settings."""
    with pytest.raises(PolicyError, match="model_sql"):
        check_model_sql(sql, "redshift")


@pytest.mark.parametrize("sql", DATABRICKS)
def test_databricks_reaches_tables_alone(sql: str) -> None:
    """Not files, earlier versions, models of language, secrets or scripts."""
    with pytest.raises(PolicyError, match="model_sql"):
        check_model_sql(sql, "databricks")


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("redshift", "SELECT id, LISTAGG(email, ',') AS e FROM sales.people GROUP BY id"),
        ("redshift", "SELECT id, c.email FROM people AS p, p.contacts AS c WHERE c.kind = 'e'"),
        ("redshift", "SELECT NVL(email, '') AS email, id FROM people QUALIFY id > 1"),
        ("databricks", "SELECT id, explode(emails) AS email FROM shop.crm.people"),
        (
            "databricks",
            "SELECT id, details.email AS email FROM people LATERAL VIEW explode(x) AS y",
        ),
        ("databricks", "SELECT id, raw:address.city AS city FROM people"),
    ],
)
def test_what_reads_passes(dialect: str, sql: str) -> None:
    """Whatever else the engine's language has."""
    made = check_model_sql(sql, dialect)  # type: ignore[arg-type]
    assert check_model_sql(made, dialect) == made  # type: ignore[arg-type]


def test_reads_are_found_for_grants() -> None:
    """Names without quotes are written small in both."""
    [read] = reads_of_sql("SELECT Id, Email FROM Sales.People", "redshift")
    assert (read.schema, read.name, read.columns) == ("sales", "people", ("email", "id"))
    [read] = reads_of_sql("SELECT Id FROM Shop.Crm.`People`", "databricks")
    assert (read.schema, read.name, read.columns) == ("shop.crm", "People", ("id",))
