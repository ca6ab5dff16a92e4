"""From a file to tables of a real MariaDB, whole runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from end_to_end.batches import BATCH, LOG, ROWS, in_duckdb, make, run
from end_to_end.projects import FILES, SHOP, approved, make_project
from mariadb import MariaDB
from mayfly.connectors.destinations.database_mysql import MysqlTableSession
from tables import Bench

pytestmark = pytest.mark.usefixtures("a_read_for_each_batch")

OWN = "{type: mysql, dsn: 'env:CRM', kind: internal, owner: care, reason: answers}"
TO_META = FILES.index("  to_meta:"), FILES.index("  to_crm:")
MIRROR = (FILES[: TO_META[0]] + FILES[TO_META[1] :]).replace(
    "{type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}", OWN
)
APPEND = LOG.replace(
    "{type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}", OWN
)


@pytest.fixture
def crm(mariadb_database: str, mariadb_session: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The database, as the project's files name it: over TCP, past the guard of what may leave."""
    [(name,)] = Bench("mysql", Path(), mariadb_database).ask("SELECT DATABASE()")
    mariadb_session.query(
        "CREATE OR REPLACE USER crm@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, "
        f"DELETE, CREATE, CREATE TEMPORARY TABLES ON {name}.* TO crm@'%'"
    )
    monkeypatch.setenv("CRM", mariadb_session.dsn(name, "crm", tcp=True))
    monkeypatch.setenv("META_TOKEN", "t0ken")
    return Bench("mysql", Path(), mariadb_database)


def test_a_mirror_keeps_up_with_its_model(tmp_path: Path, crm: Bench) -> None:
    """First everything, then nothing, then what changed; who withdrew or left is taken out."""
    make_project(tmp_path, "http://127.0.0.1:9", text=MIRROR)
    project = approved(tmp_path)
    first = run(project)
    assert (first["status"], first["rows"]["delivered"]) == ("succeeded", 100), first
    assert run(project)["status"] == "no_changes"
    change = in_duckdb(tmp_path / "shop.duckdb")
    change("UPDATE people SET ads = FALSE WHERE id = 5")
    change("DELETE FROM people WHERE id = 7")
    change("UPDATE people SET city = 'Orléans 😊' WHERE id = 9")
    change("UPDATE people SET email = NULL WHERE id = 11")
    rows = run(project)["rows"]
    assert (rows["delivered"], rows["removed"]) == (2, 2)
    assert crm.ask("SELECT count(*), sum(id IN (5, 7)) FROM people") == [(98, 0)]
    assert crm.ask("SELECT city FROM people WHERE id = 9") == [("Orléans 😊",)]
    assert crm.ask("SELECT email FROM people WHERE id = 11") == [(None,)]


@pytest.mark.parametrize("arrived", [True, False])
def test_an_append_in_doubt_is_asked_for(
    tmp_path: Path, crm: Bench, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """The connection is cut at a commit: whether it came in time the marker tells, and no row is
    there twice or missing.
    """
    make(tmp_path, SHOP + APPEND, in_duckdb(tmp_path / "shop.duckdb"))
    project = approved(tmp_path)
    real = MysqlTableSession.commit

    def cut(self: MysqlTableSession) -> Any:
        if arrived:
            real(self)
        crm.ask(f"KILL {self._connection.thread_id()}")
        real(self)

    def from_now_on() -> None:
        monkeypatch.setattr(MysqlTableSession, "commit", cut)

    held = run(project, after_first=from_now_on)
    assert (held["status"], held["exit"], held["error"]["code"]) == (
        "held",
        4,
        "database_unavailable",
    )
    assert "example.com" not in str(held)
    monkeypatch.setattr(MysqlTableSession, "commit", real)
    assert run(project)["status"] == "succeeded"
    assert Counter(i for (i,) in crm.ask("SELECT id FROM people")) == Counter(range(ROWS))
    assert crm.ask("SELECT count(*) FROM _mayfly_batches") == [(ROWS // BATCH,)]
