"""What MariaDB is asked, and what it says, when rows go to a third party.

Its general log holds every statement as it came; the wire holds every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.logged import (
    CHANGES,
    people_as_values,
    play,
    require_answers,
    require_statements,
)
from mariadb import MariaDB
from mayfly.sandbox.server import SandboxServer
from wire import Wire, wire_to

pytestmark = pytest.mark.slow
_TABLE = (
    "DROP DATABASE IF EXISTS _mayfly; DROP DATABASE IF EXISTS logged; CREATE DATABASE logged; "
    "CREATE TABLE logged.people (id int, email text, phone text, first_name text, number text, "
    "ads boolean) CHARACTER SET utf8mb4; "
    f"INSERT INTO logged.people VALUES {people_as_values()}; "
    "CREATE OR REPLACE USER wired@'%' IDENTIFIED BY 'secret'; "
    "GRANT ALL ON logged.* TO wired@'%'; GRANT ALL ON `\\_mayfly`.* TO wired@'%'"
)


@pytest.fixture
def log(mariadb_session: MariaDB, tmp_path: Path) -> Iterator[Path]:
    """Every statement of the server, while the test runs."""
    server = mariadb_session
    server.query(_TABLE)
    path = server.socket.parent / "general.log"
    server.query(f"SET GLOBAL general_log_file = '{path}'; SET GLOBAL general_log = ON")
    yield path
    server.query("SET GLOBAL general_log = OFF; DROP DATABASE logged; DROP DATABASE _mayfly")
    path.unlink()


@pytest.fixture
def wire(mariadb_session: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The project's way to the server."""
    with wire_to("127.0.0.1", mariadb_session.port) as made:
        monkeypatch.setenv("SHOP_DSN", f"mysql://wired:secret@127.0.0.1:{made.port}/logged")
        yield made


def test_no_clear_value_leaves_the_warehouse(
    log: Path, wire: Wire, sandbox: SandboxServer, tmp_path: Path, mariadb_session: MariaDB
) -> None:
    """Of plans, runs and drain: no answer holds one, but of the rows that the plans count as
    outside the repertoire; no statement holds one, nor a digest of one, nor a key of ours.
    """
    source = '{type: mysql, dsn: "env:SHOP_DSN"}'
    before = len(log.read_bytes())
    told = play(tmp_path, source, sandbox, lambda: change(mariadb_session))
    said = log.read_bytes()[before:]
    assert b"LOAD DATA LOCAL" in said
    assert b" outside " in said
    require_statements(said, told)
    require_answers(wire.sent, told)


def change(server: MariaDB) -> None:
    """As the warehouse's owner does."""
    server.query("; ".join(CHANGES), "logged")
