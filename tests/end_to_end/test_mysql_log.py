"""What MariaDB is asked, and what it says, when rows go to a third party.

Its general log holds every statement as it came; the wire holds every answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.holding import come_back, leave
from end_to_end.projects import _no_sleep
from end_to_end.test_statement_log import FILES, OUTSIDE, PEOPLE
from mariadb import MariaDB
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from wire import Wire, wire_to

pytestmark = pytest.mark.slow
_LETTERS = "".join(f"WHEN {d} THEN '{c}' " for d, c in enumerate("abcdefghij"))
_TABLE = (
    "DROP DATABASE IF EXISTS _mayfly; DROP DATABASE IF EXISTS logged; CREATE DATABASE logged; "
    "CREATE TABLE logged.people CHARACTER SET utf8mb4 AS SELECT seq AS id, "
    "concat('canary-', seq, '@example.com') AS email, concat('+3363998', 1000 + seq) AS phone, "
    f"IF(seq % 20 = 0, '李明', concat('Canary', CASE seq DIV 10 {_LETTERS} END, "
    f"CASE seq % 10 {_LETTERS} END)) AS first_name, concat('No-canary-', seq) AS number, "
    f"seq % 10 > 0 OR seq % 20 = 0 AS ads FROM seq_1_to_{PEOPLE}; "
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
    log: Path, wire: Wire, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Of plan, run and drain: no answer holds one, but of the rows that the plan counts as outside
    the repertoire; no statement holds one, nor a digest of one, nor a key of ours.
    """
    text = FILES.replace("type: postgres", "type: mysql").replace("URL", sandbox.url)
    (tmp_path / "mayfly.yml").write_text(text)
    initialise(tmp_path)
    project = load(tmp_path)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    before = len(log.read_bytes())
    [planned] = project.plan().to_dict()["syncs"]
    assert planned["rows"]["outside_worker"] == PEOPLE // 20
    leave(sandbox)
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["held"]
    come_back(sandbox)
    [drained] = project.run().to_dict()["syncs"]
    assert (drained["status"], drained["rows"]["delivered"]) == ("succeeded", 57)

    said = log.read_bytes()[before:]
    assert b"mayfly sync=to_meta" in said
    assert b"LOAD DATA LOCAL" in said
    assert b" outside " in said
    digest = hashlib.sha256(b"canary-1@example.com")
    # The wire shows what is sent: a digest that is, stands there.
    assert digest.digest() in wire.sent
    outside = hashlib.sha256(OUTSIDE.encode())
    for form in (digest.hexdigest(), digest.hexdigest().upper(), outside.hexdigest()):
        assert form.encode() not in said
    assert outside.hexdigest().upper().encode() not in said
    for number in range(1, PEOPLE + 1):
        for value in (f"canary-{number}@", f"3363998{1000 + number}", f"No-canary-{number}"):
            assert value.encode() not in wire.sent + said
    assert b"anary" not in wire.sent + said
    assert wire.sent.count(OUTSIDE.encode()) == PEOPLE // 20 * 2  # once for plan, once for run
    assert OUTSIDE.encode() not in said
    keys = [p.read_bytes() for p in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*") if p.is_file()]
    assert any(len(key) >= 32 for key in keys)
    assert not any(form in said for key in keys for form in (key.strip(), key.hex().encode()))
