"""`mayfly workspace delete`: everything ends, whatever cuts it off, and what remains is named."""

from __future__ import annotations

import os
import re
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from end_to_end.holding import come_back, leave, sealed
from end_to_end.projects import members
from end_to_end.test_erase import Shop, make_shop
from mayfly.adapters.keys.local import keys_directory
from mayfly.adapters.stores.sql_store import MIGRATIONS, SqlStore
from mayfly.api.deleting import delete_workspace
from mayfly.domain.errors import PolicyError, UsageError
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import SandboxServer

KEPT = {
    *("schema_version", "workspace", "clock", "anchors", "ledger_entries", "ledger_head"),
    *("deletion", "suppression_list"),
}
STEPS = ["schedules", "waiting", "states", "credentials", "store", "key_version", "keys", "receipt"]
ASKED = [STEPS[0], "recipients", *STEPS[1:]]


class CutOffError(Exception):
    """Stands for a kill."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer, tmp_path: Path) -> Shop:
    """Twenty people in a source that is written."""
    monkeypatch.setenv("META_TOKEN", "t0ken")
    return make_shop(tmp_path / "shop", sandbox.url, people=20)


def delete(shop: Shop, *, erase_recipients: bool = False, name: str = "shop") -> dict[str, Any]:
    """Into a folder beside the project."""
    return delete_workspace(
        shop.root,
        target="dev",
        confirmed=name,
        receipt=shop.root.parent / "receipt",
        erase_recipients=erase_recipients,
    )


def in_store(shop: Shop) -> dict[str, int]:
    """Rows of each table."""
    with sqlite3.connect(shop.root / ".mayfly" / "store.sqlite") as store:
        names = [n for (n,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {n: store.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}


def require_gone(shop: Shop, workspace: str) -> None:
    """Nothing is left but what is named."""
    assert {name for name, rows in in_store(shop).items() if rows} <= KEPT
    assert sealed(shop.root) == []
    assert [p.name for p in keys_directory(workspace, os.environ).glob("*")] == []
    schemas = "SELECT schema_name FROM information_schema.schemata"
    assert ("_mayfly",) not in shop.execute(schemas)
    receipt = shop.root.parent / "receipt"
    report = verify_ledger(receipt, receipt / "key.pub")
    assert (report.ok, report.held, report.unpaired) == (True, 0, 0)


def test_every_table_of_the_store_is_emptied_or_kept() -> None:
    """None that a migration makes is forgotten."""
    made = {
        name
        for file in MIGRATIONS.glob("*.sql")
        for name in re.findall(r"CREATE TABLE (\w+)", file.read_text())
    }
    text = (MIGRATIONS.parent / "sql" / "empty_store.sql").read_text()
    emptied = set(re.findall(r"DELETE FROM (\w+);", text))
    assert emptied | KEPT == made
    assert not emptied & KEPT


def test_a_workspace_is_deleted_whole(shop: Shop, sandbox: SandboxServer) -> None:
    """What waits, states, store and keys; the receipt verifies, and what remains is named."""
    project = shop.open()
    workspace = project.app.workspace_id
    project.run("to_crm")
    leave(sandbox)
    project.run("to_meta")
    assert sealed(shop.root)
    with pytest.raises(UsageError, match="not_confirmed"):
        delete(shop, name="other")
    assert sealed(shop.root)
    document = delete(shop)
    assert [step["step"] for step in document["steps"]] == STEPS
    require_gone(shop, workspace)
    lines = (shop.root.parent / "receipt" / "entries.jsonl").read_text()
    assert "workspace/keys" in lines.splitlines()[-1]
    remains = {(place["what"], place["where"]) for place in document["remains"]}
    assert {("rows", "crm"), ("rows", "meta"), ("backups", "store")} <= remains
    assert len(shop.customers()) == 20
    with pytest.raises(PolicyError, match="workspace_deleted"):
        shop.again()


@pytest.mark.slow
def test_it_goes_on_wherever_it_was_cut_off(
    shop: Shop, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each step and before it was noted; meanwhile no run begins."""
    project = shop.open()
    workspace = project.app.workspace_id
    project.run("to_crm", "to_meta")
    note = SqlStore.note_deletion

    def killed(store: SqlStore, step: str, now: datetime) -> None:
        if step not in survived:
            survived.add(step)
            raise CutOffError
        note(store, step, now)

    monkeypatch.setattr(SqlStore, "note_deletion", killed)
    survived: set[str] = set()
    for step in ["began", *ASKED]:
        with pytest.raises(CutOffError):
            delete(shop, erase_recipients=True)
        assert step in survived
        if "recipients" in survived and step not in ("keys", "receipt"):
            with pytest.raises(PolicyError, match="workspace_deleting"):
                project.run("to_crm")
        for file in (shop.root.parent / "receipt").glob("*"):
            file.unlink()
    document = delete(shop, erase_recipients=True)
    assert [s["step"] for s in document["steps"]] == ASKED
    require_gone(shop, workspace)
    assert members(sandbox) == set()
    assert shop.customers() == []


@pytest.mark.slow
def test_a_recipient_that_is_away_stops_it(shop: Shop, sandbox: SandboxServer) -> None:
    """Nothing that it would be asked by is gone; it is repeated once the platform is back."""
    project = shop.open()
    project.run("to_meta")
    leave(sandbox)
    with pytest.raises(Exception, match="recipient_open"):
        delete(shop, erase_recipients=True)
    come_back(sandbox)
    document = delete(shop, erase_recipients=True)
    assert {r["sync"]: r["status"] for r in document["recipients"]}["to_meta"] == "accepted"
    assert members(sandbox) == set()
