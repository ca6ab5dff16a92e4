"""Model SQL of MariaDB: what reaches beyond its tables is refused, the rest is written anew."""

from __future__ import annotations

import pytest

from mayfly.domain.errors import PolicyError
from mayfly.planning.model_reads import reads_of_sql
from mayfly.planning.model_sql import check_model_sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT load_file('/etc/passwd')",
        "SELECT a FROM t INTO OUTFILE '/tmp/x'",
        "SELECT a INTO OUTFILE '/tmp/x' FROM t",
        "SELECT a FROM t INTO DUMPFILE '/tmp/x'",
        "SELECT a INTO @x FROM t",
        "SELECT @@global.datadir",
        "SELECT @x",
        "SELECT @x := 1",
        "SELECT sleep(5)",
        "SELECT benchmark(1, 1)",
        "SELECT get_lock('a', 1)",
        "SELECT release_all_locks()",
        "SELECT last_insert_id(5)",
        "SELECT nextval(s)",
        "SELECT NEXT VALUE FOR s",
        "SELECT spider_direct_sql('x', 'y', 'z')",
        "SELECT sys_exec('id')",
        "SELECT database()",
        "SELECT user()",
        "SELECT current_user",
        "SELECT version()",
        "SELECT * FROM mysql.user",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM performance_schema.threads",
        "SELECT * FROM sys.processlist",
        "SELECT * FROM `_mayfly`.states",
        "SELECT a FROM t FOR UPDATE",
        "SELECT a FROM t LOCK IN SHARE MODE",
        "SELECT a FROM t PROCEDURE ANALYSE()",
        "SELECT /*+ SET_VAR(sql_mode = '') */ a FROM t",
        "CALL p()",
        "HANDLER t OPEN",
        "SELECT 1; SELECT 2",
        "SELECT * FROM json_table('[1]', '$[*]' COLUMNS (a int PATH '$')) AS j",
    ],
)
def test_what_reaches_beyond_tables_is_refused(sql: str) -> None:
    """Files, network, settings, locks, sequences, other sessions and catalogs."""
    with pytest.raises(PolicyError):
        check_model_sql(sql, "mysql")


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT /*! sleep(5), */ a FROM t", "SELECT a FROM t"),
        ("SELECT /*M! sleep(5), */ a FROM t", "SELECT a FROM t"),
        ("SELECT a FROM t WHERE a RLIKE 'x\\\\d'", "SELECT a FROM t WHERE a REGEXP 'x\\\\d'"),
        ('SELECT "text" AS a FROM t', "SELECT 'text' AS a FROM t"),
        ("SELECT `a b` FROM `my tab`", "SELECT `a b` FROM `my tab`"),
        ("SELECT IF(a, 1, 2) AS a FROM db.t", "SELECT IF(a, 1, 2) AS a FROM db.t"),
    ],
)
def test_what_is_written_is_what_was_read(sql: str, written: str) -> None:
    """Comments that MariaDB would run are gone."""
    assert check_model_sql(sql, "mysql") == written


def test_other_engines_may_call_a_schema_as_they_like() -> None:
    """What is forbidden of one engine is a name to the others."""
    assert check_model_sql("SELECT a FROM mysql.t", "duckdb")


def test_tables_are_called_as_they_are_written() -> None:
    """Names are told apart by their case, quoted or not."""
    [read] = reads_of_sql("SELECT o.Total FROM Shop.Orders o", "mysql")
    assert (read.schema, read.name, read.columns) == ("Shop", "Orders", ("Total",))
