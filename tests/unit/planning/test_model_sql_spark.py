"""Model SQL of Spark: what reaches beyond its tables is refused, the rest is written anew."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_reads import reads_of_sql
from mayfly.planning.model_sql import check_model_sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM parquet.`/etc/x`",
        "SELECT * FROM parquet.`secret`",
        "SELECT * FROM csv.`secret`",
        "SELECT * FROM JSON.secret",
        "SELECT * FROM `text`.`hosts`",
        "SELECT * FROM binaryFile.`x`",
        "SELECT * FROM delta.`s3a://bucket/table`",
        "SELECT * FROM spark_catalog.parquet.`x`",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM read_files('/etc')",
        "SELECT * FROM t JOIN csv.`x` USING (id)",
        "SELECT a FROM t WHERE a IN (SELECT value FROM text.`x`)",
        "SELECT TRANSFORM(a) USING 'cat' AS (b) FROM t",
        "FROM t SELECT TRANSFORM(a) USING 'cat'",
        "SELECT java_method('java.lang.System', 'getenv', 'HOME')",
        "SELECT reflect('java.lang.System', 'getenv')",
        "SELECT try_reflect('java.lang.System', 'getenv')",
        "SELECT from_protobuf(a, 'M', '/etc/x') FROM t",
        "SELECT to_protobuf(a, 'M', '/etc/x') FROM t",
        "SELECT raise_error(a) FROM t",
        "SELECT assert_true(a > 1, b) FROM t",
        "SELECT input_file_name() FROM t",
        "SELECT ai_query('m', a) FROM t",
        "SELECT shop.mask(a) FROM t",
        "SELECT cat.shop.mask(a) FROM t",
        "SELECT * FROM IDENTIFIER('csv.x')",
        "SELECT IDENTIFIER('a') FROM t",
        "SELECT * FROM STREAM(t)",
        "SELECT * FROM my_udtf(TABLE(t))",
        "SELECT a FROM t LATERAL VIEW my_udtf(a) x AS y",
        "SELECT a FROM t, LATERAL my_udtf(a) AS x",
        "SELECT * FROM python_worker_logs()",
        "SELECT * FROM t TIMESTAMP AS OF '2026-01-01'",
        "SELECT * FROM t VERSION AS OF 3",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF '2026-01-01'",
        "SELECT * FROM system.information_schema.tables",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM _mayfly.states",
        "SELECT ${env:HOME}",
        "SELECT :a",
        "SELECT ?",
        "ADD JAR 'x.jar'",
        "SET spark.sql.runSQLOnFiles = true",
        "RESET",
        "CACHE TABLE t",
        "USE other",
        "DECLARE v INT",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "INSERT INTO t SELECT 1",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "FROM t INSERT INTO u SELECT *",
        "CREATE TEMPORARY VIEW v AS SELECT 1",
        "BEGIN SELECT 1; END",
        "SELECT 1; SELECT 2",
    ],
)
def test_what_reaches_beyond_tables_is_refused(sql: str) -> None:
    """Paths, programs, code of the server, settings, rows as they were, functions of a schema."""
    with pytest.raises(PolicyError):
        check_model_sql(sql, "spark")


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT `a b` FROM cat.shop.`my tab`", "SELECT `a b` FROM cat.shop.`my tab`"),
        ('SELECT "text" AS a FROM t -- x', "SELECT 'text' AS a FROM t"),
        ("SELECT 'it\\'s' AS a", "SELECT 'it\\'s' AS a"),
        ("SELECT a FROM t WHERE a RLIKE '\\\\d'", "SELECT a FROM t WHERE a RLIKE '\\\\d'"),
        ("SELECT s.f, m['k'], l[0] FROM t", "SELECT s.f, m['k'], l[0] FROM t"),
        ("SELECT * EXCEPT (a) FROM t", "SELECT * EXCEPT (a) FROM t"),
        ("SELECT try_cast(a AS INT) FROM t", "SELECT TRY_CAST(a AS INT) FROM t"),
        ("SELECT * FROM range(5)", "SELECT * FROM RANGE(5)"),
        (
            "SELECT a, y FROM t LATERAL VIEW OUTER explode(b) x AS y",
            "SELECT a, y FROM t LATERAL VIEW OUTER EXPLODE(b) x AS y",
        ),
        ("FROM t SELECT a", "SELECT a FROM t"),
    ],
)
def test_what_is_written_is_what_was_read(sql: str, written: str) -> None:
    """Without comments; once more it stays the same."""
    assert check_model_sql(sql, "spark") == written
    assert check_model_sql(written, "spark") == written


def test_names_of_another_catalog_are_told() -> None:
    """For whoever has to let them be read."""
    [read] = reads_of_sql("SELECT o.total FROM other.crm.orders o", "spark")
    assert (read.schema, read.name, read.columns) == ("other.crm", "orders", ("total",))
