"""From ClickHouse's own engine to the sandbox, and to a table of one's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clickhouse_server import PASSWORD, ClickHouse, clickhouse_server
from end_to_end.projects import _no_sleep, members
from end_to_end.test_grants import _TEXT
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.server import SandboxServer

SOURCE = """{type: clickhouse, endpoint: "ENDPOINT", user: mayfly,
    password: "env:CLICKHOUSE_PASSWORD", database: DATABASE}"""
FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse: SOURCE
models:
  people:
    source: warehouse
    table: people
    primary_key: [id]
    columns:
      id: {}
      email: {class: email}
      first_name: {class: first_name}
      points: {}
      seen_at: {}
      tags: {}
      number: {class: opaque_id}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email, FN: first_name, EXTERN_ID: number}
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: mirror
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, points: points, seen_at: seen_at, tags: tags}
"""
PEOPLE = (
    "CREATE TABLE {}.people (id UInt64, email LowCardinality(Nullable(String)), first_name String, "
    "points Decimal(10, 2), seen_at DateTime64(6, 'Europe/Paris'), tags Array(String), number "
    "String, ads Nullable(Bool)) ENGINE = ReplacingMergeTree ORDER BY id",
    "INSERT INTO {}.people SELECT number + 1, if(number = 2, NULL, concat(' P', toString(number + "
    "1), '@Example.com')), if(number % 2 = 0, 'O\\'Brien 😊', '李明'), (number + 1) * 1.5, "
    "toDateTime64('2026-03-29 00:30:00.123456', 6, 'UTC') + toIntervalHour(number), ['a', 'é'], "
    "concat('N-', toString(number + 1)), number % 10 > 0 FROM numbers(1000)",
)


@dataclass(frozen=True)
class Shop:
    """A project over a database of an engine."""

    root: Path
    server: ClickHouse
    database: str
    sandbox: SandboxServer

    def begin(self, text: str = FILES, more: str = "") -> Project:
        """Initialised and approved; `more` stands among the source's settings."""
        source = SOURCE.replace("ENDPOINT", self.server.endpoint)
        source = source.replace("DATABASE", self.database + more)
        text = text.replace("SOURCE", source).replace("URL", self.sandbox.url)
        (self.root / "mayfly.yml").write_text(text)
        initialise(self.root)
        project = load(self.root)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        return project

    def change(self, *statements: str) -> None:
        """As the owner of the tables, whose changes are done when they are acknowledged."""
        made = [s.replace("people", f"{self.database}.people") for s in statements]
        self.server.query(*made, mutations_sync="1", lightweight_deletes_sync="1")

    def doctor(self, *words: str) -> str:
        """What it prints."""
        return CliRunner().invoke(app, ["doctor", "--project", str(self.root), *words]).stdout


@pytest.fixture
def shop(
    tmp_path: Path,
    clickhouse: ClickHouse,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """A database of its own with a thousand people, nine in ten of whom consent."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
    database = clickhouse.database()
    clickhouse.query(*(statement.format(database) for statement in PEOPLE))
    yield Shop(tmp_path, clickhouse, database, sandbox)
    clickhouse.query(f"DROP DATABASE {database}")


def _runs(project: Project) -> dict[str, tuple[str, int, int]]:
    return {
        s["sync"]: (s["status"], s["rows"]["delivered"], s["rows"]["removed"])
        for s in project.run().to_dict()["syncs"]
    }


@pytest.mark.slow
def test_runs_send_what_changed_and_take_back_what_may_not_stay(shop: Shop) -> None:
    """First everything, then nothing, then only what changed; who withdrew or left is taken back,
    and the engine keeps nothing of ours.
    """
    project = shop.begin()
    findings = json.loads(shop.doctor("--output", "json"))["problems"]
    assert not {f["code"] for f in findings} & {
        "hashed_in_worker",
        "missing_grant",
        "clock_differs",
    }
    assert _runs(project) == {
        "to_meta": ("succeeded", 900, 0),
        "to_crm": ("succeeded", 900, 0),
    }
    assert len(members(shop.sandbox)) == 899
    assert _runs(project) == {
        "to_meta": ("no_changes", 0, 0),
        "to_crm": ("no_changes", 0, 0),
    }
    shop.change(
        "ALTER TABLE people UPDATE ads = false WHERE id = 5",
        "DELETE FROM people WHERE id = 7",
        "ALTER TABLE people UPDATE points = 0 WHERE id = 9",
    )
    changed = _runs(project)
    assert changed["to_crm"] == ("succeeded", 1, 2)
    assert changed["to_meta"][:2] == ("succeeded", 0)
    assert len(members(shop.sandbox)) == 897
    with sqlite3.connect(shop.root / "crm.sqlite") as reader:
        rows = {r[0]: r[1:] for r in reader.execute("SELECT * FROM people")}
    assert len(rows) == 898
    assert rows[3][0] is None
    assert rows[2][:2] == (" P2@Example.com", "3.00")
    assert "01:30:00.123456" in str(rows[2][2])
    assert rows[2][3] == '["a","é"]'
    left = shop.server.query(
        "SELECT count() AS n FROM system.tables WHERE is_temporary OR startsWith(name, 'mf_') OR "
        "database = '_mayfly'"
    )
    assert left == [{"n": 0}]


def test_model_sql_means_what_it_means_in_the_engine(shop: Shop) -> None:
    """An alias is seen by its neighbours, and a row that a join lacks gives its column's default,
    whatever settings our statements are run with.
    """
    shop.server.query(
        f"CREATE TABLE {shop.database}.orders (pid UInt64, total Int64) ENGINE = MergeTree ORDER "
        "BY pid",
        f"INSERT INTO {shop.database}.orders VALUES (1, 5)",
    )
    text = (
        FILES[: FILES.index("models:")]
        + """
models:
  people:
    source: warehouse
    sql: >-
      SELECT p.id AS id, concat('x', toString(p.id)) AS email, length(email) AS size, o.total AS
      total FROM people AS p LEFT JOIN orders AS o ON o.pid = p.id WHERE p.id < 3
    primary_key: [id]
    columns: {id: {}, email: {}, size: {}, total: {}}
destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: upsert
    table: people
    key: [id]
    mapping: {id: id, email: email, size: size, total: total}
"""
    )
    assert _runs(shop.begin(text)) == {"to_crm": ("succeeded", 2, 0)}
    with sqlite3.connect(shop.root / "crm.sqlite") as reader:
        rows = reader.execute("SELECT id, email, size, total FROM people ORDER BY id").fetchall()
    assert rows == [(1, "x1", 2, 5), (2, "x2", 2, 0)]


def test_a_value_that_is_no_text_stops_the_plan(shop: Shop) -> None:
    """It is told by column and number of rows, and nothing is sent."""
    shop.change("ALTER TABLE people UPDATE email = unhex('ff') WHERE id IN (2, 4)")
    project = shop.begin()
    planned = project.plan("to_crm").to_dict()
    [sync] = planned["syncs"]
    [refusal] = sync["refusals"]
    assert refusal["code"] == "value_unfit"
    assert "2 rows in column email (String)" in refusal["message"]


def test_a_state_in_the_source_is_refused_with_its_reason(shop: Shop) -> None:
    """There are no transactions to keep it by."""
    with pytest.raises(ConfigError) as refused:
        shop.begin(more=", state: source")
    assert "no_transactions" in str(refused.value) + refused.value.hint


@pytest.mark.slow
def test_the_printed_grants_are_enough_and_no_more(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user with exactly these rights plans, runs and runs again; no other table or column can be
    read by it.
    """
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
    text = _TEXT.replace("anchors:\n  own: {type: source, source: warehouse}\n", "")
    text = text.replace('shop."Orders"', "`or ders`.Orders")
    with clickhouse_server(configured=True) as server:
        shop = Shop(tmp_path, server, "ware house", sandbox)
        server.query(
            "CREATE DATABASE `ware house`",
            "CREATE DATABASE `or ders`",
            "CREATE TABLE `ware house`.people ENGINE = MergeTree ORDER BY id AS SELECT number AS "
            "id, concat('p', toString(number), '@example.com') AS email, true AS ads, "
            "today() AS born FROM numbers(20)",
            "CREATE TABLE `or ders`.Orders ENGINE = MergeTree ORDER BY pid AS SELECT number AS "
            "pid, number * 2 AS total, 'x' AS note FROM numbers(20)",
        )
        shop.begin(text)
        script = [line for line in shop.doctor("--grants", "warehouse").splitlines() if line]
        made, *grants = script
        assert made.startswith("CREATE USER IF NOT EXISTS `mayfly` IDENTIFIED WITH sha256_hash")
        assert server.query(f"SELECT formatQuery({_text(made.partition('--')[0])}) AS q")
        for statement in grants:
            server.paste(statement)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        findings = json.loads(shop.doctor("--output", "json"))["problems"]
        assert "missing_grant" not in {f["code"] for f in findings}, findings
        first = project.run().to_dict()["syncs"]
        assert {(s["status"], s["rows"]["delivered"]) for s in first} == {("succeeded", 20)}, [
            s.get("error") for s in first
        ]
        assert {s for s, _, _ in _runs(project).values()} == {"no_changes"}
        with project.app.source("warehouse").session(write=False) as session:
            for column, table in (("born", "`ware house`.people"), ("note", "`or ders`.Orders")):
                with pytest.raises(ConfigError, match="missing_grant"):
                    session.table(f"SELECT {column} FROM {table}")


def _text(sql: str) -> str:
    return "'" + sql.replace("\\", "\\\\").replace("'", "\\'") + "'"
