"""What a warehouse is asked, and what it says, when rows go to a third party.

The server's own log holds every statement with its parameters; the wire holds every answer.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from end_to_end.holding import come_back, leave
from end_to_end.projects import _no_sleep
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from servers import SystemServer, system_server
from wire import Wire, wire_to

FILES = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: postgres, dsn: "env:SHOP_DSN"}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns:
      id: {}
      email: {class: email}
      phone: {class: phone, default_country: FR}
      first_name: {class: first_name}
      number: {class: opaque_id}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    on_outage: hold
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone, FN: first_name, EXTERN_ID: number}
"""
pytestmark = pytest.mark.slow
PEOPLE = 60
OUTSIDE = "李明"
"""The name of every twentieth person: SQL may not hash it."""


@pytest.fixture(scope="module")
def server() -> Iterator[SystemServer]:
    """It logs every statement and every parameter."""
    with system_server() as made:
        made.create()
        made.start()
        with psycopg.connect(made.dsn, autocommit=True) as admin:
            for name in ("log_statement = 'all'", "log_parameter_max_length = -1"):
                admin.execute(f"ALTER SYSTEM SET {name}")
            admin.execute("SELECT pg_reload_conf()")
            admin.execute(
                "CREATE TABLE people AS SELECT i AS id, 'canary-' || i || '@example.com' AS email, "
                "'+3363998' || (1000 + i) AS phone, CASE WHEN i % 20 = 0 THEN '李明' "
                "ELSE 'Canary' || translate(i::text, '0123456789', 'abcdefghij') END AS "
                "first_name, 'No-canary-' || i AS number, i % 10 > 0 OR i % 20 = 0 AS ads "
                f"FROM generate_series(1, {PEOPLE}) AS i"
            )
        yield made


@pytest.fixture
def wire(server: SystemServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The project's way to the server."""
    with wire_to("127.0.0.1", server.port) as made:
        dsn = f"postgresql://remote:secret@127.0.0.1:{made.port}/postgres?sslmode=disable"
        monkeypatch.setenv("SHOP_DSN", dsn)
        yield made


def test_no_clear_value_leaves_the_warehouse(
    server: SystemServer, wire: Wire, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Of plan, run and drain: no answer holds one, but of the rows that the plan counts as outside
    the repertoire; no statement holds one, or a key of ours.
    """
    (tmp_path / "mayfly.yml").write_text(FILES.replace("URL", sandbox.url))
    initialise(tmp_path)
    project = load(tmp_path)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    before = len((server.folder / "log").read_bytes())
    [planned] = project.plan().to_dict()["syncs"]
    assert planned["rows"]["outside_worker"] == PEOPLE // 20
    leave(sandbox)
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["held"]
    come_back(sandbox)
    [drained] = project.run().to_dict()["syncs"]
    assert (drained["status"], drained["rows"]["delivered"]) == ("succeeded", 57)

    log = (server.folder / "log").read_bytes()[before:]
    assert b"mayfly sync=to_meta" in log
    assert b" outside " in log
    # The wire shows what is sent: a digest that is, stands there.
    assert hashlib.sha256(b"canary-1@example.com").digest() in wire.sent
    for number in range(1, PEOPLE + 1):
        for value in (f"canary-{number}@", f"3363998{1000 + number}", f"No-canary-{number}"):
            assert value.encode() not in wire.sent.replace(b"\0", b"")
            assert value.encode() not in log
    assert b"anary" not in wire.sent + log
    assert wire.sent.count(OUTSIDE.encode()) == PEOPLE // 20 * 2  # once for plan, once for run
    assert OUTSIDE.encode() not in log
    keys = [p.read_bytes() for p in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*") if p.is_file()]
    assert any(len(key) >= 32 for key in keys)
    for key in keys:
        for form in (key.strip(), key.hex().encode(), base64.b64encode(key)):
            assert form not in log


def test_the_wire_shows_what_goes_to_a_destination_of_ones_own(
    server: SystemServer, wire: Wire, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """The control: where clear values are approved they leave, and are seen."""
    text = (
        FILES[: FILES.index("destinations:")]
        + """
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
    purpose: ads
    mapping: {id: id, email: email}
"""
    )
    (tmp_path / "mayfly.yml").write_text(text)
    initialise(tmp_path)
    project = load(tmp_path)
    project.approve(actor="tester")
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["succeeded"]
    assert b"canary-1@example.com" in wire.sent
