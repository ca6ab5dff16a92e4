"""What model SQL of ClickHouse may reach."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_reads import reads_of_sql
from mayfly.planning.model_sql import check_model_sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM url('http://192.0.2.1/x', CSV, 'a Int8')",
        "SELECT * FROM file('/etc/passwd', LineAsString)",
        "SELECT * FROM s3('https://b/x.parquet')",
        "SELECT * FROM s3Cluster('c', 'https://b/x.parquet')",
        "SELECT * FROM remote('192.0.2.1', db, t)",
        "SELECT * FROM remoteSecure('192.0.2.1', db.t)",
        "SELECT * FROM cluster('c', db, t)",
        "SELECT * FROM mysql('h:3306', 'd', 't', 'u', 'p')",
        "SELECT * FROM postgresql('h:5432', 'd', 't', 'u', 'p')",
        "SELECT * FROM executable('x.sh', TSV, 'a Int8')",
        "SELECT * FROM dictionary('d')",
        "SELECT * FROM merge('db', '.*')",
        "SELECT * FROM view(SELECT 1)",
        "SELECT * FROM loop(t)",
        "SELECT * FROM format(CSV, '1')",
        "SELECT * FROM hdfs('hdfs://h/x', TSV)",
        "SELECT * FROM iceberg('https://b')",
        "SELECT * FROM my_view(day = 1)",
        "SELECT * FROM t WHERE id IN (SELECT id FROM url('http://192.0.2.1', CSV, 'id Int8'))",
        "WITH x AS (SELECT * FROM remote('192.0.2.1', db, t)) SELECT * FROM x",
        "SELECT * FROM system.users",
        "SELECT * FROM `system`.`query_log`",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM INFORMATION_SCHEMA.TABLES",
        "SELECT * FROM _temporary_and_external_tables.x",
        "SELECT id FROM t WHERE id IN system.users",
        "SELECT id FROM t WHERE id IN (other)",
        "SELECT id FROM t WHERE id IN (db.other)",
        "SELECT id FROM t WHERE id NOT IN other",
        "SELECT id FROM t WHERE id GLOBAL IN other",
        "SELECT id FROM t WHERE (id, a) IN other",
        "SELECT in(id, other) FROM t",
        "SELECT globalNotIn(id, other) FROM t",
        "SELECT dictGet('d', 'a', id) FROM t",
        "SELECT dictGetOrDefault('d', 'a', id, 0) FROM t",
        "SELECT dictHas('d', id) FROM t",
        "SELECT joinGet('j', 'a', id) FROM t",
        "SELECT file('x') FROM t",
        "SELECT getSetting('readonly') FROM t",
        "SELECT getSettingOrDefault('x', 1) FROM t",
        "SELECT getServerSetting('x') FROM t",
        "SELECT getMacro('x') FROM t",
        "SELECT getClientHTTPHeader('authorization') FROM t",
        "SELECT hostName() FROM t",
        "SELECT FQDN() FROM t",
        "SELECT currentUser() FROM t",
        "SELECT user() FROM t",
        "SELECT currentRequestURL() FROM t",
        "SELECT serverUUID() FROM t",
        "SELECT version() FROM t",
        "SELECT hasColumnInTable('192.0.2.1', 'db', 't', 'c') FROM t",
        "SELECT sleep(3) FROM t",
        "SELECT sleepEachRow(1) FROM t",
        "SELECT throwIf(id > 1) FROM t",
        "SELECT generateSerialID('s') FROM t",
        "SELECT aiGenerate('x') FROM t",
        "SELECT AIEmbed('x') FROM t",
        "SELECT regionToName(id) FROM t",
        "SELECT __getScalar('x') FROM t",
        "SELECT transactionID() FROM t",
        "SELECT filesystemAvailable() FROM t",
        "SELECT id FROM t SETTINGS readonly = 0",
        "SELECT id FROM (SELECT id FROM t SETTINGS join_use_nulls = 1)",
        "SELECT id FROM t FORMAT CSV",
        "SELECT id FROM t INTO OUTFILE '/tmp/x'",
        "SELECT {p:UInt8} FROM t",
        "SELECT * FROM {p:Identifier}",
        "SELECT * FROM 'file.csv'",
        "SELECT id FROM t; SELECT 2",
        "EXPLAIN SELECT 1",
        "INSERT INTO t SELECT 1",
        "ALTER TABLE t DELETE WHERE 1",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "DESCRIBE TABLE t",
        "SHOW TABLES",
        "SELECT id FROM _mayfly.x",
    ],
)
def test_what_reaches_further_is_refused(sql: str) -> None:
    """Files, machines, dictionaries, settings, the server itself, tables behind a mere name."""
    with pytest.raises(PolicyError, match="model_sql_"):
        check_model_sql(sql, "clickhouse")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, lower(email) AS email FROM people",
        "SELECT id FROM shop.people FINAL WHERE id IN (1, 2) AND name IN ('a')",
        "SELECT id FROM people WHERE id IN (SELECT id FROM other) AND (id, a) IN ((1, 2))",
        "SELECT number FROM numbers(10)",
        "SELECT id, tag FROM people ARRAY JOIN tags AS tag",
        "SELECT p.id, o.total FROM people AS p LEFT JOIN orders AS o ON o.id = p.id",
        "SELECT id, argMax(email, at) AS email FROM events GROUP BY id",
        "SELECT id FROM people LIMIT 1 BY id",
        "SELECT id, now() AS at, today() AS day, toDateTime64(at, 3, 'UTC') AS t FROM people",
        "SELECT id, JSONExtractString(props, 'email') AS email, tags[1] AS tag FROM people",
        "SELECT id, arrayMap(x -> lower(x), tags) AS tags, m['k'] AS v FROM people",
        "WITH x AS (SELECT id FROM people) SELECT id FROM x UNION ALL SELECT id FROM other",
        "SELECT id FROM people PREWHERE id > 1 WHERE name != ''",
        "SELECT id, row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM people",
        "SELECT URLHash(u) AS h, cityHash64(id) AS c FROM people",
    ],
)
def test_queries_over_tables_pass_and_stay_what_they_are(sql: str) -> None:
    """Written anew from what was parsed, twice the same."""
    made = check_model_sql(sql, "clickhouse")
    assert check_model_sql(made, "clickhouse") == made


def test_what_is_granted_is_called_as_it_is_written() -> None:
    """Names differ in case, and columns are told where the query tells them."""
    found = reads_of_sql("SELECT p.Id, p.Email FROM Shop.People AS p", "clickhouse")
    assert [(r.schema, r.name, r.columns) for r in found] == [("Shop", "People", ("Email", "Id"))]
