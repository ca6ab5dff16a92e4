"""`mayfly upgrade`: which version each part has, and that a newer one's is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, change, make_project
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.adapters.stores.sql_store import MIGRATIONS, SqlStore
from mayfly.api import load
from mayfly.cli.commands import app
from mayfly.domain.errors import EngineError
from mayfly.ledger.verify import verify_ledger

NEWEST = max(int(path.name[:4]) for path in MIGRATIONS.glob("*.sql"))
LOCAL = SHOP.replace("path: shop.duckdb}", "path: shop.duckdb, state: local}")


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `mayfly upgrade`; of an error what its caller prints."""
    done = CliRunner().invoke(app, ["upgrade", *words, "--project", str(root), "--output", "json"])
    if isinstance(done.exception, EngineError):
        return type(done.exception).exit_code, done.exception.to_dict()
    return done.exit_code, json.loads(done.stdout)


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    """By kind of part."""
    return {part["kind"]: part["verdict"] for part in document["parts"]}


def store_is_of(root: Path, version: int) -> None:
    """Behind the store's back."""
    with sqlite3.connect(root / ".mayfly/store.sqlite") as store:
        store.execute("UPDATE schema_version SET version = ?", (version,))
    store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that has run, with a spool in which nothing waits."""
    made = make_project(tmp_path / "shop", "", rows=5, text=SHOP + TO_LOG)
    project = approved(made)
    assert project.run().exit_code == 0
    project.app.store.close()
    KeyRows(made / ".mayfly/spool.sqlite").create("here")
    return made


def test_what_is_up_to_date_says_so(root: Path) -> None:
    """Each part with its version; nothing is done, and nothing changes."""
    before = (root / ".mayfly/store.sqlite").read_bytes()
    for words in (["--check"], []):
        code, document = call(root, *words)
        assert (code, document["upgraded"]) == (0, False)
        assert verdicts(document) == dict.fromkeys(("store", "state", "ledger", "spool"), "current")
    assert {p["kind"]: p["found"] for p in document["parts"]}["store"] == NEWEST
    assert (root / ".mayfly/store.sqlite").read_bytes() == before
    shown = CliRunner().invoke(app, ["upgrade", "--check", "--project", str(root)]).stdout
    assert f"store: version {NEWEST}, up to date" in shown


def test_an_older_store_is_brought_up_to_date(root: Path, tmp_path: Path) -> None:
    """`--check` tells of it and changes nothing; what it held stays."""
    first = tmp_path / "first"
    first.mkdir()
    for path in MIGRATIONS.glob("0001_*.sql"):
        (first / path.name).write_text(path.read_text("ascii"), "ascii")
    known = load(root).app.store.workspace()
    (root / ".mayfly/store.sqlite").unlink()
    old = SqlStore("sqlite", root / ".mayfly", migrations=first)
    old.create(
        workspace_id=known.workspace_id,
        name=known.name,
        installation_id=known.installation_id,
        now=known.created_at,
    )
    old.close()
    for _ in range(2):
        code, document = call(root, "--check")
        assert (code, document["ok"], verdicts(document)["store"]) == (1, False, "older")
    code, document = call(root)
    assert (code, document["upgraded"]) == (0, True)
    assert call(root, "--check")[0] == 0
    assert load(root).app.store.workspace() == known


def newer_ledger(root: Path) -> None:
    """The checkpoint of a later form."""
    path = root / ".mayfly/ledger/checkpoint"
    path.write_text(path.read_text("utf-8").replace("mayfly/ledger/1/", "mayfly/ledger/2/"))


def newer_spool(root: Path) -> None:
    """The file of keys of a later form."""
    with sqlite3.connect(root / ".mayfly/spool.sqlite") as spool:
        spool.execute("UPDATE spool SET form = 2")
    spool.close()


NEWER: dict[str, tuple[Callable[[Path], object], str]] = {
    "store": (lambda root: store_is_of(root, NEWEST + 1), "store_newer"),
    "state": (lambda root: change(root, "UPDATE _mayfly.states SET format = 2"), "state_format"),
    "ledger": (newer_ledger, "ledger_newer"),
    "spool": (newer_spool, "spool_newer"),
}


@pytest.mark.parametrize("kind", NEWER)
def test_what_a_newer_program_made_is_refused(root: Path, kind: str) -> None:
    """`--check` names it, `upgrade` refuses before it changes anything, and no run goes on."""
    act, code = NEWER[kind]
    act(root)
    exit_code, document = call(root, "--check")
    assert (exit_code, document["ok"], verdicts(document)[kind]) == (1, False, "newer")
    exit_code, error = call(root)
    assert (exit_code, error["code"]) == (1, code)
    change(root, "INSERT INTO people VALUES (99, 'new@example.com', '1', 'Lyon', TRUE)")
    try:
        [ended] = load(root).run().to_dict()["syncs"]
        found = ended["error"]["code"]
    except EngineError as refused:
        found = refused.code
    assert found == code


def test_local_states_have_versions_too(tmp_path: Path) -> None:
    """Each in its file; without a project there is nothing to look at."""
    root = make_project(tmp_path / "shop", "", rows=5, text=LOCAL + TO_LOG)
    assert approved(root).run().exit_code == 0
    states = [p for p in call(root, "--check")[1]["parts"] if p["kind"] == "state"]
    assert [(p["name"].split("/")[0], p["verdict"]) for p in states] == [("local", "current")]
    (root / ".mayfly/store.sqlite").unlink()
    code, error = call(root, "--check")
    assert (code, error["code"]) == (3, "not_initialised")
    ledger = root / ".mayfly/ledger"
    assert verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()["ok"]
