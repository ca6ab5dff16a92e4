"""From a real PostgreSQL to a real PostgreSQL and to the sandbox."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from end_to_end.projects import _no_sleep
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer

FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse: {type: postgres, dsn: "env:WAREHOUSE_DSN"}
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
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  crm:
    type: postgres
    dsn: "env:CRM_DSN"
    schema: crm
    kind: internal
    owner: care
    reason: answers
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email, FN: first_name}
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


def test_postgres_to_postgres_and_meta(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First everything, then only what changed; null, quotes, emoji and time zones arrive."""
    monkeypatch.setenv("WAREHOUSE_DSN", postgres_database)
    monkeypatch.setenv("CRM_DSN", postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA crm")
        admin.execute(
            "CREATE TABLE people AS SELECT i AS id, ' P' || i || '@Example.com' AS email, "
            "CASE WHEN i % 2 = 0 THEN '李明' ELSE 'O''Brien \"😊\"' END AS first_name, "
            "(i * 1.5)::numeric(10, 2) AS points, "
            "timestamptz '2026-03-29 01:30+01' + i * interval '1 hour' AS seen_at, "
            "i % 10 > 0 AS ads FROM generate_series(1, 1000) AS i"
        )
        admin.execute("UPDATE people SET email = NULL WHERE id = 3")
    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        first = {s["sync"]: s for s in project.run().to_dict()["syncs"]}
        assert {s["status"] for s in first.values()} == {"succeeded"}, first
        assert first["to_crm"]["rows"]["delivered"] == 900
        assert first["to_meta"]["rows"]["delivered"] == 899
        with psycopg.connect(postgres_database, autocommit=True) as admin:
            admin.execute("UPDATE people SET ads = FALSE WHERE id = 5")
            admin.execute("DELETE FROM people WHERE id = 7")
            admin.execute("UPDATE people SET points = 0 WHERE id = 9")
        second = {s["sync"]: s["rows"] for s in project.run().to_dict()["syncs"]}
        assert (second["to_crm"]["delivered"], second["to_crm"]["removed"]) == (1, 2)
        assert second["to_meta"]["removed"] == 2
    with psycopg.connect(postgres_database) as reader:
        same = reader.execute(
            "SELECT count(*) FROM crm.people c JOIN public.people p USING (id) "
            "WHERE c.email IS NOT DISTINCT FROM p.email AND c.points = p.points "
            "AND c.seen_at = p.seen_at"
        ).fetchone()
        assert same == (898,)
        clear = reader.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = '_mayfly' AND tablename LIKE 'plan%'"
        ).fetchone()
        assert clear == (0,)


def test_a_role_without_rights_is_told_the_grant(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the missing right, and the hint is the statement that gives it."""
    from mayfly.api.examine import examine

    with psycopg.connect(postgres_database, autocommit=True) as admin:
        admin.execute(
            "CREATE TABLE people (id int, email text, first_name text, points int, "
            "seen_at timestamptz, ads boolean)"
        )
        admin.execute("DROP ROLE IF EXISTS weak_reader")
        admin.execute("CREATE ROLE weak_reader LOGIN")
    weak = postgres_database.replace("postgres:@", "weak_reader:@")
    monkeypatch.setenv("WAREHOUSE_DSN", weak)
    monkeypatch.setenv("CRM_DSN", weak)
    (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", "http://127.0.0.1:9"))
    initialise(tmp_path)
    found = [p for p in examine(tmp_path, target="dev") if p["code"] == "missing_grant"]
    assert found
    assert any("GRANT" in p["hint"] for p in found)


def test_a_server_that_hashes_otherwise_leaves_it_to_mayfly(
    tmp_path: Path, postgres_server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database in LATIN1: the plan says `worker`, the digests are right, `doctor` tells; with
    `withhold` the sync is refused instead.
    """
    from mayfly.api.examine import examine

    with psycopg.connect(postgres_server_dsn, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS latin_shop")
        admin.execute("CREATE DATABASE latin_shop TEMPLATE template0 LOCALE 'C' ENCODING 'LATIN1'")
    dsn = postgres_server_dsn.replace("/postgres?", "/latin_shop?", 1)
    monkeypatch.setenv("WAREHOUSE_DSN", dsn)
    monkeypatch.setenv("CRM_DSN", dsn)
    monkeypatch.setenv("META_TOKEN", "t0ken")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA crm")
        admin.execute(
            "CREATE TABLE people AS SELECT i AS id, ' P' || i || '@Example.com' AS email, "
            "'Zoë' AS first_name, 1 AS points, now() AS seen_at, TRUE AS ads "
            "FROM generate_series(1, 300) AS i"
        )
    with SandboxServer(port=0) as sandbox:
        path = tmp_path / "mayfly.yml"
        path.write_text(FILES.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.approve(actor="tester")
        [plan] = project.plan("to_meta").to_dict()["syncs"]
        assert {c["where"] for c in plan["columns"]} == {"worker"}
        found = [p for p in examine(tmp_path, target="dev") if p["code"] == "hashed_in_worker"]
        assert any("email, first_name" in p["message"] for p in found)
        assert {s["status"] for s in project.run().to_dict()["syncs"]} == {"succeeded"}
        with urllib.request.urlopen(f"{sandbox.url}/_sandbox/audiences", timeout=10) as reply:
            [audience] = json.loads(reply.read())
        url = f"{sandbox.url}/_sandbox/members?audience={audience['id']}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            fields = json.loads(reply.read())["fields"]
        assert set(fields["EMAIL"]) == {
            hashlib.sha256(f"p{i}@example.com".encode()).hexdigest() for i in range(1, 301)
        }
        with urllib.request.urlopen(f"{sandbox.url}/_sandbox/requests", timeout=10) as reply:
            sent = reply.read().decode()
        assert hashlib.sha256("zoë".encode()).hexdigest() in sent
        path.write_text(
            path.read_text().replace(
                "    audience: People\n",
                "    audience: People\n    outside_repertoire: withhold\n",
            )
        )
        [plan] = load(tmp_path).plan("to_meta").to_dict()["syncs"]
        assert {r["code"] for r in plan["refusals"]} == {"server_differs"}


def test_doctor_compares_the_clocks(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine an hour behind its server is told so; one in step is not."""
    from mayfly.api.examine import examine

    monkeypatch.setenv("WAREHOUSE_DSN", postgres_database)
    monkeypatch.setenv("CRM_DSN", postgres_database)
    monkeypatch.setenv("META_TOKEN", "t0ken")
    (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", "http://127.0.0.1:9"))
    initialise(tmp_path)
    hour = timedelta(hours=1)
    for shift, told in ((-hour, "ahead of"), (hour, "behind"), (timedelta(0), None)):
        found = examine(tmp_path, target="dev", clock=lambda s=shift: datetime.now(UTC) + s)
        messages = [p["message"] for p in found if p["code"] == "clock_differs"]
        assert len(messages) == (told is not None)
        assert all(str(told) in m for m in messages)
