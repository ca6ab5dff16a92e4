"""The rules for model SQL."""

from __future__ import annotations

import logging
from typing import get_args

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.lineage import TableName, tables_in
from mayfly.planning.model_sql import check_model_sql, names_behind, parsed
from mayfly.planning.sql.dialect import DialectName

READS = [
    ("duckdb", "SELECT a, lower(b) FROM t WHERE c > 1"),
    ("duckdb", "FROM t"),
    ("duckdb", "SELECT random(), now(), md5(a), sum(x) OVER (PARTITION BY y) FROM t"),
    ("duckdb", "SELECT * EXCLUDE (a) FROM s.t QUALIFY row_number() OVER (ORDER BY a) = 1"),
    ("duckdb", "SELECT * FROM range(10), generate_series(1, 2)"),
    ("duckdb", "SELECT * FROM t, unnest(t.a) u(x)"),
    ("duckdb", "SELECT * FROM (VALUES (1), (2)) v(a)"),
    ("postgres", "WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL SELECT 2"),
    ("postgres", "SELECT DISTINCT ON (a) a, b ->> 'c' FROM t ORDER BY a"),
    ("postgres", "SELECT * FROM jsonb_array_elements('[1]') x, generate_series(1, 2)"),
    ("postgres", "SELECT string_agg(a, ',' ORDER BY a) FILTER (WHERE b) FROM t"),
    ("postgres", "SELECT * FROM t CROSS JOIN LATERAL (SELECT 1) z"),
    ("snowflake", "SELECT a, b:c::string FROM t, LATERAL FLATTEN(INPUT => t.x) f"),
    ("snowflake", "SELECT * FROM TABLE(FLATTEN(PARSE_JSON('[1]')))"),
    ("snowflake", "SELECT * FROM TABLE(SPLIT_TO_TABLE('a.b', '.'))"),
    ("snowflake", "SELECT * FROM db.s.t QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1"),
    ("snowflake", "SELECT SHA2(a, 256), TRY_TO_NUMBER(b), IFF(a, 1, 2), CURRENT_DATE() FROM t"),
]

READS += [
    ("bigquery", "SELECT a, LOWER(b) FROM `acme-data.shop.people` WHERE c > 1"),
    ("bigquery", "SELECT * EXCEPT (a) FROM shop.people, UNNEST(people.items) AS i"),
    ("bigquery", "SELECT SAFE.SUBSTR(a, 0), NET.HOST(b), TO_JSON_STRING(c) FROM people"),
    ("bigquery", "SELECT SAFE_CAST(a AS INT64), x.y.z FROM people AS x QUALIFY TRUE"),
]

READS += [
    ("sqlite", 'SELECT "a", [b], `c` FROM "t t" WHERE a = 1 ORDER BY b LIMIT 2'),
    ("sqlite", "WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL SELECT 2"),
    ("sqlite", "SELECT j.value ->> 'c' FROM t, json_each(t.a) AS j"),
    ("sqlite", "SELECT CAST(a AS TEXT) || b, strftime('%Y', c) FROM main.t"),
]

FORBIDDEN = [
    ("bigquery", "SELECT * FROM EXTERNAL_QUERY('acme.eu.c', 'SELECT 1')", "external_query"),
    ("bigquery", "SELECT shop.remote_function(a) FROM people", "remote_function"),
    ("bigquery", "SELECT `acme-data.shop.remote_function`(a) FROM people", "remote_function"),
    ("bigquery", "SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE people)", "predict"),
    ("bigquery", "SELECT * FROM AI.GENERATE_TEXT(MODEL shop.m, TABLE people)", "generate_text"),
    ("bigquery", "SELECT AI.GENERATE(a) FROM people", "generate"),
    ("bigquery", "SELECT KEYS.NEW_KEYSET('AEAD_AES_GCM_256')", "new_keyset"),
    ("bigquery", "SELECT * FROM APPENDS(TABLE people, NULL, NULL)", "appends"),
    ("bigquery", "SELECT SESSION_USER()", "session_user"),
    ("bigquery", "SELECT @@project_id", "PARAMETER"),
    ("bigquery", "SELECT * FROM shop.INFORMATION_SCHEMA.TABLES", "catalog"),
    ("bigquery", "SELECT * FROM `shop.INFORMATION_SCHEMA.TABLES`", "catalog"),
    ("bigquery", "SELECT * FROM `region-eu`.INFORMATION_SCHEMA.JOBS", "catalog"),
    ("bigquery", "SELECT * FROM shop.__TABLES__", "other tables"),
    ("bigquery", "SELECT * FROM `shop.people_*`", "other tables"),
    ("bigquery", "SELECT * FROM _SESSION.mf_scan", "catalog"),
    ("bigquery", "SELECT * FROM `acme-data._mayfly.states`", "own schema"),
    ("bigquery", "SELECT * FROM people FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'", "FOR SYSTEM"),
    ("bigquery", "SELECT @a", "PARAMETER"),
    ("duckdb", "SELECT * FROM read_text('/proc/self/environ')", "read_text"),
    ("duckdb", "SELECT * FROM '/proc/self/environ'", "file"),
    ("duckdb", 'SELECT * FROM "/proc/self/environ"', "file"),
    ("duckdb", "FROM 'people.csv'", "file"),
    ("duckdb", 'SELECT * FROM "people.parquet"', "file"),
    ("duckdb", "SELECT 1 WHERE 1 IN (FROM 'people.parquet')", "file"),
    ("duckdb", "SELECT * FROM read_csv('x')", "read_csv"),
    ("duckdb", "SELECT * FROM read_csv_auto('x')", "read_csv"),
    ("duckdb", "FROM read_parquet('x')", "read_parquet"),
    ("duckdb", "SELECT * FROM read_json_auto('x')", "read_json"),
    ("duckdb", "SELECT main.read_text('x')", "read_text"),
    ("duckdb", "SELECT \"READ_text\"('x')", "read_text"),
    ("duckdb", "SELECT read_/**/text('x'), read_text/* */('x')", "read_text"),
    ("duckdb", "SELECT ('/etc/passwd').read_text()", "read_text"),
    ("duckdb", "SELECT a FROM t LIMIT (SELECT count(*) FROM glob('*'))", "glob"),
    ("duckdb", "SELECT * FROM t, LATERAL read_blob(t.a)", "read_blob"),
    ("duckdb", "SELECT getenv('HOME')", "getenv"),
    ("duckdb", "SELECT current_setting('x')", "current_setting"),
    ("duckdb", "SELECT * FROM duckdb_settings()", "duckdb_settings"),
    ("duckdb", "SELECT * FROM query('select 1')", "query"),
    ("duckdb", "SELECT * FROM query_table('t')", "query_table"),
    ("duckdb", "SELECT * FROM sniff_csv('x')", "sniff_csv"),
    ("duckdb", "SELECT * FROM sqlite_scan('a', 'b')", "sqlite_scan"),
    ("duckdb", "SELECT * FROM parquet_metadata('x')", "parquet_metadata"),
    ("duckdb", "SELECT * FROM some_new_function('x')", "some_new_function"),
    ("duckdb", "SELECT * FROM information_schema.tables", "catalog"),
    ("duckdb", "SELECT * FROM _mayfly.states", "own schema"),
    ("postgres", "SELECT pg_read_file('/etc/passwd')", "pg_read_file"),
    ("postgres", "SELECT pg_catalog.pg_read_binary_file('x')", "pg_read_binary_file"),
    ("postgres", "SELECT \"pg_read_file\"('x')", "pg_read_file"),
    ("postgres", "SELECT (pg_stat_file('x')).size", "pg_stat_file"),
    ("postgres", "SELECT * FROM pg_ls_dir('.')", "pg_ls_dir"),
    ("postgres", "SELECT * FROM ROWS FROM (pg_ls_dir('.')) x", "ROWS FROM"),
    ("postgres", "SELECT lo_import('x')", "lo_import"),
    ("postgres", "SELECT * FROM dblink('a', 'b') AS t(x int)", "dblink"),
    ("postgres", "SELECT set_config('a', 'b', false)", "set_config"),
    ("postgres", "SELECT pg_sleep(1)", "pg_sleep"),
    ("postgres", "SELECT nextval('s')", "nextval"),
    ("postgres", "SELECT query_to_xml('select 1', true, true, '')", "query_to_xml"),
    ("postgres", "SELECT pg_terminate_backend(1)", "pg_terminate_backend"),
    ("postgres", "SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
    ("postgres", "SELECT 'x'::regclass", "regclass"),
    ("postgres", "SELECT * FROM pg_stat_activity", "catalog"),
    ("postgres", "SELECT * FROM t FOR UPDATE", "LOCK"),
    ("postgres", "SELECT * FROM t FOR SHARE", "LOCK"),
    ("postgres", "SELECT * INTO x FROM t", "INTO"),
    ("postgres", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "DELETE"),
    ("postgres", "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "INSERT"),
    ("postgres", "SELECT $1", "PARAMETER"),
    ("snowflake", "SELECT * FROM @mystage", "stage"),
    ("snowflake", "SELECT * FROM @mystage/x.csv (FILE_FORMAT => 'x') t", "stage"),
    ("snowflake", "SELECT * FROM DIRECTORY(@s)", "stage"),
    ("snowflake", "SELECT * FROM 's3://a/b'", "stage"),
    ("snowflake", "SELECT * FROM IDENTIFIER('t')", "stage"),
    ("snowflake", "SELECT * FROM SEMANTIC_VIEW(v METRICS m)", "stage"),
    ("snowflake", "SELECT GET_PRESIGNED_URL(@s, 'x')", "get_presigned_url"),
    ("snowflake", "SELECT TO_FILE('@s/x')", "to_file"),
    ("snowflake", "SELECT $myvar", "PARAMETER"),
    ("snowflake", "SELECT IDENTIFIER('a') FROM t", "IDENTIFIER"),
    ("snowflake", "SELECT * FROM TABLE('t')", "table function"),
    ("snowflake", "SELECT * FROM TABLE(my_udtf(a))", "table function"),
    ("snowflake", "SELECT * FROM t, LATERAL my_udtf(t.a) x", "table function"),
    ("snowflake", "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))", "table function"),
    ("snowflake", "SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())", "table function"),
    ("snowflake", "SELECT * FROM TABLE(TO_QUERY('select 1'))", "table function"),
    ("snowflake", "SELECT * FROM INFORMATION_SCHEMA.TABLES", "catalog"),
    ("snowflake", "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.LOGIN_HISTORY", "catalog"),
    ("snowflake", "SELECT * FROM _mayfly.states", "own schema"),
    ("snowflake", 'SELECT * FROM "_MAYFLY".states', "own schema"),
    ("snowflake", "SELECT SNOWFLAKE.CORTEX.COMPLETE('m', a) FROM t", "function of a schema"),
    ("snowflake", "SELECT db.s.my_udf(a) FROM t", "function of a schema"),
    ("snowflake", "SELECT AI_COMPLETE('m', a) FROM t", "ai_complete"),
    ("snowflake", "SELECT SYSTEM$CANCEL_QUERY('x')", "system"),
    ("snowflake", "SELECT GET_DDL('table', 't')", "get_ddl"),
    ("snowflake", "SELECT seq.NEXTVAL", "sequence"),
    ("snowflake", "SELECT * FROM t AT(OFFSET => -60)", "AT, BEFORE"),
    ("snowflake", "SELECT * FROM t BEFORE(STATEMENT => 'x')", "AT, BEFORE"),
    ("snowflake", "SELECT * FROM t CHANGES(INFORMATION => DEFAULT) AT(OFFSET => -60)", "CHANGES"),
    ("sqlite", "SELECT * FROM sqlite_master", "catalog"),
    ("sqlite", "SELECT * FROM main.sqlite_schema", "catalog"),
    ("sqlite", "SELECT * FROM temp.mf_scan", "catalog"),
    ("sqlite", "SELECT * FROM pragma_table_info('t')", "pragma_table_info"),
    ("sqlite", 'SELECT * FROM "_mayfly.states"', "own schema"),
    ("sqlite", "SELECT * FROM [_MAYFLY.states]", "own schema"),
    ("sqlite", "SELECT load_extension('x')", "load_extension"),
    ("sqlite", "SELECT fts3_tokenizer('simple')", "fts3_tokenizer"),
    ("sqlite", "SELECT readfile('/etc/passwd')", "readfile"),
    ("sqlite", "SELECT writefile('x', 'y')", "writefile"),
    ("sqlite", "SELECT edit('x')", "edit"),
    ("sqlite", "SELECT * FROM dbstat", "catalog"),
    ("sqlite", "SELECT ?", "PLACEHOLDER"),
    ("sqlite", "SELECT :a", "PLACEHOLDER"),
]

NOT_QUERIES = [
    "EXPORT DATA OPTIONS(uri='gs://x/*') AS SELECT 1",
    "LOAD DATA INTO shop.t FROM FILES(uris=['gs://x'])",
    "CREATE TABLE x AS SELECT 1",
    "DELETE FROM t",
    "UPDATE t SET a = 1",
    "MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE",
    "COPY t TO 'x'",
    "SET a = 1",
    "CALL x()",
    "EXPLAIN SELECT 1",
    "VACUUM",
    "ATTACH 'x'",
    "PRAGMA x",
    "INSTALL httpfs",
    "EXECUTE p",
    "DO 'x'",
    "",
    "-- nothing",
]


@pytest.mark.parametrize(("dialect", "sql"), READS)
def test_a_query_that_reads_tables_passes(dialect: DialectName, sql: str) -> None:
    """Ordinary queries pass, and what comes out passes again unchanged."""
    once = check_model_sql(sql, dialect)
    assert check_model_sql(once, dialect) == once


@pytest.mark.parametrize(("dialect", "sql", "named"), FORBIDDEN)
def test_a_query_that_reaches_further_is_refused(
    dialect: DialectName, sql: str, named: str
) -> None:
    """Files, settings, catalog and other sessions are closed; the message names the way."""
    with pytest.raises(PolicyError) as caught:
        check_model_sql(sql, dialect)
    assert caught.value.code in {"model_sql_forbidden", "model_sql_unreadable"}
    if caught.value.code == "model_sql_forbidden":
        assert named in caught.value.message
    assert "/proc" not in str(caught.value)


@pytest.mark.parametrize("sql", NOT_QUERIES)
def test_what_is_not_a_query_is_refused(sql: str) -> None:
    """Statements that change or command are refused in every dialect."""
    for dialect in get_args(DialectName):
        with pytest.raises(PolicyError) as caught:
            check_model_sql(sql, dialect)
        assert caught.value.exit_code == 3
        assert caught.value.code in {"model_sql_not_a_query", "model_sql_unreadable"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE customers",
        "SELECT 1;\n-- x\nSELECT 2",
        "SELECT 1 /* ; */ ; DELETE FROM t",
    ],
)
def test_two_statements_are_refused(sql: str) -> None:
    """A second statement is refused, wherever comments stand."""
    with pytest.raises(PolicyError) as caught:
        check_model_sql(sql, "duckdb")
    assert caught.value.code == "model_sql_two_statements"


def test_a_semicolon_in_a_text_or_comment_is_no_second_statement() -> None:
    """Only a real second statement counts; comments and the last semicolon are dropped."""
    assert check_model_sql("SELECT ';' AS a /* ; */ -- ; x\n;", "postgres") == "SELECT ';' AS a"


@pytest.mark.parametrize("sql", ["SELECT 'marked-value", "SELECT FROM WHERE (marked-value"])
def test_unreadable_sql_is_refused_without_its_text(sql: str) -> None:
    """A parsing failure says where, and never repeats the statement."""
    with pytest.raises(PolicyError) as caught:
        check_model_sql(sql, "duckdb")
    assert caught.value.code == "model_sql_unreadable"
    assert "marked" not in str(caught.value)


def test_the_place_of_a_fault_is_named() -> None:
    """Line and column of a syntax fault are in the message."""
    with pytest.raises(PolicyError, match=r"line 2, column \d+"):
        check_model_sql("SELECT a\nFROM t WHERE )", "postgres")


def test_the_parser_logs_no_statement(caplog: pytest.LogCaptureFixture) -> None:
    """The parser's own log would carry the statement's values."""
    with caplog.at_level(logging.DEBUG), pytest.raises(PolicyError):
        check_model_sql("CALL x('marked')", "duckdb")
    assert "marked" not in caplog.text


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_names_behind_a_query_are_told(dialect: DialectName) -> None:
    """Tables wherever they stand, and of each column all it is made of."""
    found = names_behind(
        "WITH a AS (SELECT p.Tel AS t, q.n FROM phones p JOIN s.calls q ON p.id = q.id) "
        "SELECT upper(t) || n AS whole, n FROM a UNION ALL SELECT x, 1 FROM (SELECT x FROM c) d",
        dialect,
    )
    assert {"phones", "calls", "c"} <= found.tables
    assert {"t", "Tel", "n"} <= found.columns["whole"]
    assert found.columns["n"] == {"n"}
    assert names_behind("SELECT * FROM phones", dialect).tables == {"phones"}


def test_a_name_of_sqlite_is_never_a_text() -> None:
    """What stands in double quotes and is no column would be one; in backticks it is not."""
    assert check_model_sql('SELECT "a""b`c" FROM "t"', "sqlite") == 'SELECT `a"b``c` FROM `t`'


def test_names_that_go_in_circles_end() -> None:
    """Two subqueries that swap names are no endless way."""
    swapped = "SELECT a AS b, b AS a FROM (SELECT b AS a, a AS b FROM t) AS s"
    assert names_behind(swapped, "duckdb").columns == {"a": {"a", "b"}, "b": {"a", "b"}}


@pytest.mark.parametrize(
    ("dialect", "sql", "names"),
    [
        (
            "snowflake",
            'SELECT a FROM Crm.People, "Crm"."people"',
            {("crm", "people"), ("Crm", "PEOPLE")},
        ),
        ("snowflake", "SELECT a FROM other.crm.people", {("other.crm", "people")}),
        ("bigquery", "SELECT a FROM `shop-1.crm.people`", {("shop-1.crm", "people")}),
        ("spark", "SELECT a FROM lake.crm.people", {("lake.crm", "people")}),
        (
            "redshift",
            'SELECT a FROM Other.Crm.People, "People"',
            {("other.crm", "people"), (None, "People")},
        ),
        ("postgres", "SELECT a FROM shop.crm.people", {("crm", "people")}),
    ],
)
def test_tables_are_called_as_their_engine_knows_them(
    dialect: DialectName, sql: str, names: set[TableName]
) -> None:
    """Where an engine has several catalogs, one of them belongs to a schema's name."""
    assert set(tables_in(parsed(sql, dialect))) == names
