"""From a real Spark to the sandbox and to a table of one's own."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from end_to_end.projects import _no_sleep
from end_to_end.test_mysql import FILES as _FILES
from marks import IN_A_SOAK
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer
from spark_connect import SparkServer
from spark_serve import TOKEN

pytestmark = pytest.mark.slow
SOURCE = '{type: spark, remote: "REMOTE", token: "env:SPARK_TOKEN", user: SCHEMA, schema: SCHEMA}'
FILES = _FILES.replace('{type: mysql, dsn: "env:WAREHOUSE_DSN"}', SOURCE)
PEOPLE = (
    "SELECT CAST(id AS INT) AS id, concat(' P', id, '@Example.com') AS email, "
    "if(id % 2 = 1, 'O\\'Brien \"😊\"', '李明') AS first_name, "
    "CAST(id * 1.5 AS DECIMAL(10, 2)) AS points, "
    "timestampadd(HOUR, CAST(id AS INT), TIMESTAMP'2026-03-29 00:30:00.123456Z') AS seen_at, "
    "concat('N-', id) AS number, id % 10 > 0 AS ads FROM range(1, 301)"
)
CHANGED = (
    "SELECT id, email, first_name, CAST(IF(id = 9, 0, points) AS DECIMAL(10, 2)) AS points, "
    "seen_at, number, ads AND id <> 5 AS ads FROM {schema}.people WHERE id <> 7"
)


def _rows(path: Path) -> dict[int, tuple[object, ...]]:
    with sqlite3.connect(path) as reader:
        found = reader.execute("SELECT id, email, points, seen_at FROM people").fetchall()
    return {row[0]: row[1:] for row in found}


def _begun(
    tmp_path: Path, server: SparkServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Path]:
    """A schema with people, and a project on it."""
    schema = server.schema()
    server.sql(f"CREATE TABLE {schema}.people AS {PEOPLE}")
    monkeypatch.setenv("SPARK_TOKEN", TOKEN)
    monkeypatch.setenv("META_TOKEN", "t0ken")
    text = FILES.replace("REMOTE", server.remote).replace("SCHEMA", schema).replace("URL", url)
    (tmp_path / "mayfly.yml").write_text(text)
    initialise(tmp_path)
    return schema, tmp_path


@pytest.mark.parametrize("sync", ["to_meta", pytest.param("to_crm", marks=IN_A_SOAK)])
def test_spark_to_meta_and_a_table(
    tmp_path: Path, spark_session: SparkServer, monkeypatch: pytest.MonkeyPatch, sync: str
) -> None:
    """First everything, then nothing, then only what changed; who withdrew is taken back, and who
    left. Nothing is written to Spark.
    """
    server = spark_session
    with SandboxServer(port=0) as sandbox, server.hurried():
        schema, root = _begun(tmp_path, server, sandbox.url, monkeypatch)
        project = load(root)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")

        def ended() -> tuple[str, int, int]:
            [run] = project.run(sync).to_dict()["syncs"]
            return run["status"], run["rows"]["delivered"], run["rows"]["removed"]

        assert ended() == ("succeeded", 270, 0)
        assert ended() == ("no_changes", 0, 0)
        server.sql(
            f"CREATE TABLE {schema}.next AS {CHANGED.format(schema=schema)}",
            f"DROP TABLE {schema}.people",
            f"ALTER TABLE {schema}.next RENAME TO {schema}.people",
        )
        # Of two people each has an e-mail, a name and a number; one of the names is another's, too.
        assert ended() == (("succeeded", 0, 4) if sync == "to_meta" else ("succeeded", 1, 2))
    if sync == "to_crm":
        rows = _rows(tmp_path / "crm.sqlite")
        assert len(rows) == 268
        assert rows[1][0] == " P1@Example.com"
        assert "01:30:00.123456" in str(rows[1][2])
    assert [row["tableName"] for row in server.sql(f"SHOW TABLES IN {schema}")] == ["people"]
    server.sql(f"DROP SCHEMA {schema} CASCADE")


def test_what_people_are_told(
    tmp_path: Path, spark_session: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `doctor`, `discover` and `doctor --grants`; and of a token that is another's."""
    schema, root = _begun(tmp_path, spark_session, "http://127.0.0.1:9", monkeypatch)

    def printed(*words: str) -> str:
        return CliRunner().invoke(app, [*words, "--project", str(root)]).stdout

    told = json.loads(printed("doctor", "--output", "json"))
    codes = {problem["code"] for problem in told["problems"]}
    assert not codes & {"source_refused", "missing_grant", "server_differs", "hashed_in_worker"}
    found = [line.split() for line in printed("discover", "warehouse").splitlines()]
    assert ["points", "decimal(10,2)", "in", "a", "model"] in found
    assert ["seen_at", "timestamp", "in", "a", "model"] in found
    assert f"`spark_catalog`.`{schema}`.`people`" in printed("doctor", "--grants", "warehouse")
    monkeypatch.setenv("SPARK_TOKEN", "an0ther")
    again = json.loads(printed("doctor", "--output", "json"))
    assert "source_refused" in {problem["code"] for problem in again["problems"]}
    assert "an0ther" not in json.dumps(again)
