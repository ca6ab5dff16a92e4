"""`mayfly doctor --grants` of a MariaDB: what is printed is enough, and no more than needed."""

from __future__ import annotations

import json
from pathlib import Path

import pymysql
import pytest
from typer.testing import CliRunner

from end_to_end.projects import _no_sleep
from end_to_end.test_grants import _TEXT
from mariadb import MariaDB
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

_TABLES = (
    "DROP DATABASE IF EXISTS _mayfly; DROP DATABASE IF EXISTS ware_house; DROP DATABASE IF EXISTS "
    "orders; DROP USER IF EXISTS mayfly@localhost; CREATE DATABASE ware_house; "
    "CREATE DATABASE orders; CREATE TABLE ware_house.people AS SELECT seq AS id, "
    "concat('p', seq, '@example.com') AS email, (seq > 0) AS ads, DATE '1990-01-01' AS born "
    "FROM seq_1_to_20; CREATE TABLE orders.Orders AS SELECT seq AS pid, seq * 2 AS total, "
    "'x' AS note FROM seq_1_to_20; CREATE TABLE ware_house.salaries AS SELECT 1 AS id"
)
_FORBIDDEN = (
    "SELECT id FROM salaries",
    "SELECT born FROM people",
    "SELECT note FROM orders.Orders",
    "DELETE FROM people",
    "CREATE DATABASE more",
    "CREATE DATABASE xmayfly",
    "CREATE TABLE more (id int)",
)


def _printed(root: Path, *words: str) -> str:
    return CliRunner().invoke(app, ["doctor", "--project", str(root), *words]).stdout


@pytest.mark.parametrize("state", ["source", pytest.param("local", marks=pytest.mark.slow)])
def test_the_printed_grants_are_enough_and_no_more(
    tmp_path: Path, mariadb_session: MariaDB, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A new role with exactly these rights plans, runs and runs again; it reads no other table and
    no other column, and makes no other database.
    """
    server = mariadb_session
    server.query(_TABLES)
    monkeypatch.setenv("WAREHOUSE_DSN", server.dsn("ware_house", "mayfly"))
    source = f'{{type: mysql, dsn: "env:WAREHOUSE_DSN", state: {state}}}'
    text = _TEXT.replace("SOURCE", source).replace('shop."Orders"', "orders.Orders")
    if state == "local":
        text = text.replace("anchors:\n  own: {type: source, source: warehouse}\n", "")
    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
        script = _printed(tmp_path, "--grants", "warehouse")
        assert ("_mayfly" in script) == (state == "source")
        server.query(script + script)
        server.query("ALTER USER mayfly@localhost IDENTIFIED BY 'secret' ACCOUNT UNLOCK")
        initialise(tmp_path)
        findings = json.loads(_printed(tmp_path, "--output", "json"))["problems"]
        codes = {f["code"] for f in findings}
        assert not codes & {"missing_grant", "schema_missing", "anchor_failed"}, findings
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        assert project.plan().ok
        first = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
        assert {s["status"] for s in first.values()} == {"succeeded"}, first
        assert {s["rows"]["delivered"] for s in first.values()} == {20}
        assert not project.unanchored
        server.query("DELETE FROM people WHERE id = 7", "ware_house")
        again = {s["sync"]: s for s in load(tmp_path).run().to_dict()["syncs"]}
        assert again["to_meta"]["rows"]["removed"] == 1, again
    with pymysql.connect(
        unix_socket=str(server.socket), user="mayfly", password="secret", database="ware_house"
    ) as limited:
        for statement in _FORBIDDEN:
            with pytest.raises(pymysql.err.MySQLError, match="denied"):
                limited.cursor().execute(statement)
    server.query("DROP DATABASE IF EXISTS _mayfly; DROP DATABASE ware_house; DROP DATABASE orders")
