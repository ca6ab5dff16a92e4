"""What a warehouse is asked, and what it says, when rows go to a third party.

The server's own log holds every statement with its parameters; the wire holds every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from end_to_end.logged import (
    CHANGES,
    TO_META,
    people_as_values,
    play,
    require_answers,
    require_statements,
)
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from servers import SystemServer, system_server
from wire import Wire, wire_to

pytestmark = pytest.mark.slow
_SOURCE = '{type: postgres, dsn: "env:SHOP_DSN"}'


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
                "CREATE TABLE people (id int, email text, phone text, first_name text, "
                "number text, ads boolean)"
            )
            admin.execute(f"INSERT INTO people VALUES {people_as_values()}".encode())
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
    """Of plans, runs and drain: no answer holds one, but of the rows that the plans count as
    outside the repertoire; no statement holds one, or a key of ours.
    """
    before = len((server.folder / "log").read_bytes())
    told = play(tmp_path, _SOURCE, sandbox, lambda: change(server))
    log = (server.folder / "log").read_bytes()[before:]
    assert b" outside " in log
    require_statements(log, told)
    require_answers(wire.sent, told)


def change(server: SystemServer) -> None:
    """As the warehouse's owner does."""
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        for statement in CHANGES:
            admin.execute(statement.encode())


def test_the_wire_shows_what_goes_to_a_destination_of_ones_own(
    server: SystemServer, wire: Wire, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """The control: where clear values are approved they leave, and are seen."""
    text = (
        f"version: 1\nworkspace: {{name: shop}}\nsources:\n  shop: {_SOURCE}"
        + TO_META[: TO_META.index("destinations:")]
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
