"""From a real MariaDB to the sandbox and to a table of one's own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from end_to_end.projects import _no_sleep
from mariadb import MariaDB
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.connectors.sources.mysql_session import MysqlSession
from mayfly.sandbox.server import SandboxServer

FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse: {type: mysql, dsn: "env:WAREHOUSE_DSN"}
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
    mapping: {id: id, email: email, points: points, seen_at: seen_at}
"""
PEOPLE = (
    "DROP DATABASE IF EXISTS _mayfly; DROP DATABASE IF EXISTS warehouse; "
    "CREATE DATABASE warehouse CHARACTER SET latin1; "
    "CREATE TABLE warehouse.people (id int PRIMARY KEY, email varchar(100) CHARACTER SET latin1, "
    "first_name varchar(50) CHARACTER SET utf8mb4, points decimal(10,2), seen_at timestamp(6) "
    "NULL, number varchar(20), ads boolean); SET time_zone = '+00:00'; "
    "INSERT INTO warehouse.people SELECT seq, concat(' P', seq, '@Example.com'), "
    "IF(seq % 2, 'O''Brien \"😊\"', '李明'), seq * 1.5, "
    "'2026-03-29 00:30:00.123456' + INTERVAL seq HOUR, concat('N-', seq), seq % 10 > 0 "
    "FROM seq_1_to_1000; UPDATE warehouse.people SET email = NULL WHERE id = 3"
)


def _rows(path: Path) -> dict[int, tuple[object, ...]]:
    with sqlite3.connect(path) as reader:
        found = reader.execute("SELECT id, email, points, seen_at FROM people").fetchall()
    return {row[0]: row[1:] for row in found}


@pytest.mark.parametrize("tcp", [False, True])
def test_mysql_to_meta_and_a_table(
    tmp_path: Path, mariadb_session: MariaDB, monkeypatch: pytest.MonkeyPatch, tcp: bool
) -> None:
    """First everything, then nothing, then only what changed; who withdrew is taken back."""
    server = mariadb_session
    server.query(PEOPLE)
    server.query(
        "CREATE OR REPLACE USER owner@'%' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO owner@'%'"
    )
    monkeypatch.setenv(
        "WAREHOUSE_DSN", server.dsn("warehouse", "owner" if tcp else "root", tcp=tcp)
    )
    monkeypatch.setenv("META_TOKEN", "t0ken")
    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        first = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
        assert {s["status"] for s in first.values()} == {"succeeded"}, first
        assert first["to_crm"]["rows"]["delivered"] == 900
        assert first["to_meta"]["rows"]["delivered"] == 900
        again = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
        assert {(r["delivered"], r["removed"]) for r in again.values()} == {(0, 0)}
        server.query(
            "UPDATE people SET ads = FALSE WHERE id = 5; DELETE FROM people WHERE id = 7; "
            "UPDATE people SET points = 0 WHERE id = 9",
            "warehouse",
        )
        second = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
        assert (second["to_crm"]["delivered"], second["to_crm"]["removed"]) == (1, 2)
        assert second["to_meta"]["delivered"] == 0
        assert second["to_meta"]["removed"] >= 2
    rows = _rows(tmp_path / "crm.sqlite")
    assert len(rows) == 898
    assert rows[3][0] is None
    assert rows[1][0] == " P1@Example.com"
    assert "01:30:00.123456" in str(rows[1][2])
    left = server.query(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = '_mayfly' "
        "AND table_name LIKE 'plan%'"
    )
    assert left == [["0"]]


def test_removals_are_found_by_an_index(
    tmp_path: Path, mariadb_session: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who else holds an identifier that is gone is looked up: joined by a hash of all pairs,
    100,000 removals took the server 40 seconds.
    """
    mariadb_session.query(PEOPLE)
    monkeypatch.setenv("WAREHOUSE_DSN", mariadb_session.dsn("warehouse"))
    monkeypatch.setenv("META_TOKEN", "t0ken")
    explained: list[dict[str, object]] = []
    execute = MysqlSession.execute

    def explaining(self: MysqlSession, sql: str) -> int:
        if "INSERT INTO `_mayfly`.`drop_" in sql:
            explained.extend(self.table(f"EXPLAIN {sql}").to_pylist())
        return execute(self, sql)

    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.approve(actor="tester")
        project.run("to_meta")
        mariadb_session.query("UPDATE people SET ads = FALSE", "warehouse")
        monkeypatch.setattr(MysqlSession, "execute", explaining)
        [done] = project.run("to_meta").to_dict()["syncs"]
    assert done["rows"]["removed"] == 2 * 900 - 1, done  # One has no e-mail.
    looked_up = [row for row in explained if row["table"] == "o"]
    assert looked_up
    assert {(row["type"], row["key"]) for row in looked_up} == {("ref", "digest")}
    assert not any("join buffer" in str(row["Extra"]) for row in explained)
