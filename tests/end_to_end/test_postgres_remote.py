"""A PostgreSQL server off loopback, in Turkish: TLS is verified, digests are everybody's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from end_to_end.projects import approved, get, members
from end_to_end.test_postgres import FILES
from mayfly.api import load
from mayfly.api.examine import examine
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from servers import HOST, Authority, SystemServer, make_authority, system_server

ROWS = 500
LOCALES = {
    "turkish": "LOCALE 'tr_TR.utf8'",
    "icu_turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'",
}


@pytest.fixture(scope="module")
def server() -> Iterator[SystemServer]:
    """A server with locales, made and not running."""
    with system_server() as made:
        made.make_locales()
        made.create()
        yield made


@pytest.fixture(scope="module")
def ours(server: SystemServer) -> Authority:
    """The authority of the server's certificate."""
    return make_authority(server.folder / "ours", HOST)


@pytest.fixture(scope="module")
def running(server: SystemServer, ours: Authority) -> SystemServer:
    """The server, with TLS."""
    server.start(ours)
    return server


@pytest.fixture(params=LOCALES)
def base(request: pytest.FixtureRequest, running: SystemServer) -> str:
    """The name of a database in which `lower('I')` is no `i`."""
    name = str(request.param)
    with psycopg.connect(running.dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 {LOCALES[name]}".encode())
    with psycopg.connect(running.dsn.replace("/postgres?", f"/{name}?", 1)) as admin:
        assert admin.execute("SELECT lower('I')").fetchone() == ("ı",)
        admin.execute("CREATE SCHEMA crm")
        admin.execute(
            "CREATE TABLE people AS SELECT i AS id, ' INFO' || i || '@Example.COM' AS email, "
            "'IRIS' AS first_name, 1 AS points, now() AS seen_at, TRUE AS ads "
            f"FROM generate_series(1, {ROWS}) AS i"
        )
    return name


def test_a_run_over_verified_tls_from_a_turkish_database(
    tmp_path: Path,
    base: str,
    running: SystemServer,
    ours: Authority,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hashed in the warehouse, to the digests that any other machine makes of the same e-mail."""
    dsn = running.tcp(sslrootcert=ours.root).replace("/postgres?", f"/{base}?", 1)
    monkeypatch.setenv("WAREHOUSE_DSN", dsn)
    monkeypatch.setenv("CRM_DSN", dsn)
    (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
    initialise(tmp_path)
    project = approved(tmp_path)
    [plan] = project.plan("to_meta").to_dict()["syncs"]
    assert {c["where"] for c in plan["columns"]} == {"warehouse"}
    assert {s["status"] for s in project.run().to_dict()["syncs"]} == {"succeeded"}
    assert members(sandbox) == {
        hashlib.sha256(f"info{i}@example.com".encode()).hexdigest() for i in range(1, ROWS + 1)
    }
    sent = str(get(f"{sandbox.url}/_sandbox/requests"))
    assert hashlib.sha256(b"iris").hexdigest() in sent
    with psycopg.connect(running.dsn.replace("/postgres?", f"/{base}?", 1)) as reader:
        assert reader.execute("SELECT count(*) FROM crm.people").fetchone() == (ROWS,)


def test_a_server_of_another_authority_ends_a_run(
    tmp_path: Path,
    running: SystemServer,
    server: SystemServer,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failed before anything was read or sent; run and doctor name sslrootcert and no password."""
    other = make_authority(server.folder / "other", HOST)
    dsn = running.tcp(sslrootcert=other.root)
    monkeypatch.setenv("WAREHOUSE_DSN", dsn)
    monkeypatch.setenv("CRM_DSN", dsn)
    (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
    initialise(tmp_path)
    result = load(tmp_path).run()
    assert result.exit_code == 1
    told = [s["error"] for s in result.to_dict()["syncs"]] + [
        p for p in examine(tmp_path, target="dev") if p["code"] == "tls_not_verified"
    ]
    assert len(told) > 2
    assert {e["code"] for e in told} == {"tls_not_verified"}
    assert all("sslrootcert" in e["hint"] for e in told)
    assert "secret" not in str(told)
    assert get(f"{sandbox.url}/_sandbox/requests") == []
