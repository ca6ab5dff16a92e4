"""One workspace on several machines: a PostgreSQL store, keys in a service, one ledger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, get, make_people
from key_services.vault import TOKEN, FakeVault
from mayfly.api import load
from mayfly.api.examine import WARNINGS, examine
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import IntegrityError
from mayfly.domain.limits import SLICE_SECONDS, burst
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.server import LoopbackServer, SandboxServer


class Machine(Protocol):
    """Makes the project's folder on another machine."""

    def __call__(self, name: str, *, syncs: str = TO_LOG, rows: int = 5) -> Path:
        """Its files, and so many people there."""


TO_META = """
destinations:
  meta:
    type: meta_ads
    account_id: "123"
    access_token: "env:META_TOKEN"
    endpoint: "URL"
    limits: {requests_per_minute: 600, concurrency: 1}
syncs:
  SYNC:
    id: SYNC
    model: people
    destination: meta
    mode: audience
    audience: SYNC
    purpose: ads
    mapping: {EMAIL: email}
    batch_rows: 10
"""


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> Iterator[Machine]:
    """Makes the project's folder on another machine: its files, and five people there."""
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
    monkeypatch.setenv("STORE", url)
    monkeypatch.setenv("VAULT_SECRET", TOKEN)
    with FakeVault() as fake:
        fake.make_key("shop")
        keys = (
            f"keys: {{provider: vault, address: '{fake.address}', key: shop, "
            "token: env:VAULT_SECRET}\n"
            "store: {url: env:STORE}\n"
            f"anchors: {{audit: {{type: folder, path: '{tmp_path / 'audit'}'}}}}\n"
        )
        (tmp_path / "audit").mkdir()

        def make(name: str, *, syncs: str = TO_LOG, rows: int = 5) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            make_people(folder / "shop.duckdb", rows)
            (folder / "mayfly.yml").write_text(SHOP + keys + syncs, "utf-8")
            return folder

        yield make


def mayfly(*words: str, exit_code: int = 0) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == exit_code, result.output
    return result.stdout


def verified(folder: Path, *checkpoints: Path) -> dict[str, object]:
    """What `mayfly verify` says of an export."""
    kept = [word for path in checkpoints for word in ("--checkpoint", str(path))]
    words = ["verify", str(folder), "--key", str(folder / "key.pub"), *kept, "--output", "json"]
    found: dict[str, object] = json.loads(CliRunner().invoke(app, words).stdout)
    return found


def test_runs_of_several_machines_stand_in_one_ledger(machine: Machine, tmp_path: Path) -> None:
    """Two machines run at the same time; the export verifies offline, and the anchors that each
    left are all of the one ledger. Nothing of it lies on a machine.
    """
    first, second = machine("first"), machine("second")
    initialise(first)
    assert initialise(second) == []
    approved(first)
    shutil.copy(first / "approvals.lock", second / "approvals.lock")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda root: load(root).run().syncs[0].status, (first, second)))
    assert done == ["succeeded", "succeeded"]
    assert not [p for root in (first, second) for p in (root / ".mayfly").glob("ledger")]
    mayfly("ledger", "export", str(tmp_path / "export"), "--project", str(second))
    checkpoints = sorted((tmp_path / "audit").iterdir())
    assert checkpoints
    report = verified(tmp_path / "export", *checkpoints)
    assert (report["ok"], report["anchored"]) == (True, True)
    assert load(first).app.ledger.size() == report["entries"]
    # Of two that publish at once the slower may note what it left last: the next act makes it good.
    load(first).sweep()
    assert load(first).report()["anchored"]


def test_a_ledger_of_an_earlier_release_is_taken_over(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    """`init` takes the folder's entries into the store, once, and says so; until then nothing runs.
    What does not verify is refused, and nothing of it is taken.
    """
    root = machine("first")
    with monkeypatch.context() as patch:
        # As a release did that kept every ledger in the folder.
        patch.setattr("mayfly.adapters.stores.sql_store.SqlStore.is_shared", False)
        initialise(root)
        approved(root).run()
        size = load(root).app.ledger.size()
    entries = root / ".mayfly/ledger/entries.jsonl"
    assert size == len(entries.read_bytes().splitlines()) > 2
    with pytest.raises(Exception, match="ledger_missing"):
        load(root)
    whole = entries.read_bytes()
    entries.write_bytes(whole.replace(b'"rows":5', b'"rows":4'))
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        initialise(root)
    with psycopg.connect(postgres_database) as connection:
        found = connection.execute("SELECT count(*) FROM ledger_entries").fetchone()
    assert found == (0,)
    entries.write_bytes(whole)
    assert "with the entries of .mayfly/ledger" in mayfly("init", "--project", str(root))
    assert initialise(root) == []
    assert load(root).app.ledger.size() == size
    load(root).run()
    mayfly("ledger", "export", str(tmp_path / "export"), "--project", str(root))
    kept = root / ".mayfly/ledger/checkpoint"
    assert (verified(tmp_path / "export", kept)["anchored"], entries.read_bytes()) == (True, whole)


def test_an_export_needs_no_key_and_no_ledger_that_verifies(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: str
) -> None:
    """Evidence is written as it is, where a run is refused; the verifier says what is wrong."""
    root = machine("first")
    initialise(root)
    approved(root)
    load(root).run()
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(
            "UPDATE ledger_entries SET line = replace(line, '\"rows\":5', '\"rows\":4')"
        )
    with pytest.raises(IntegrityError, match="ledger_inconsistent"):
        load(root)
    monkeypatch.delenv("VAULT_SECRET")
    mayfly("ledger", "export", str(tmp_path / "export"), "--project", str(root))
    report = verified(tmp_path / "export")
    assert (report["ok"], report["inconsistent"]) == (False, 1)


def test_doctor_names_what_lies_on_one_machine(machine: Machine, sandbox: SandboxServer) -> None:
    """A local state and sealed batches, each by its syncs; where there is neither it says nothing,
    and it keeps no run from going.
    """
    root = machine("first", syncs=TO_META.replace("URL", sandbox.url).replace("SYNC", "vip"))
    initialise(root)

    def found() -> list[str]:
        problems = examine(root, target="dev")
        return [p["message"] for p in problems if p["code"] == "one_machine"]

    assert found() == []
    main = root / "mayfly.yml"
    text = main.read_text()
    text = text.replace("path: shop.duckdb", "path: shop.duckdb, state: local")
    main.write_text(text + "    on_outage: hold\n")
    state, sealed = found()
    assert ("vip" in state, ".mayfly/state" in state) == (True, True)
    assert ("vip" in sealed, ".mayfly/spool" in sealed) == (True, True)
    assert "one_machine" in WARNINGS


class Watching:
    """The sandbox, with the moments of all requests and how many were there at the same time."""

    def __init__(self) -> None:
        self.app = SandboxApp()
        self.at: list[float] = []
        self.now = self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        self.at.append(time.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.app(scope, receive, send)
        finally:
            self.now -= 1


@pytest.mark.slow
def test_workers_of_two_machines_keep_to_one_accounts_limits(machine: Machine) -> None:
    """Two processes on two machines send to one account as fast as they may: in no stretch of time
    did it get more requests than its limit lets through, and never two at the same time.
    """
    watching = Watching()
    with LoopbackServer(watching) as server:
        roots = [
            machine(name, syncs=TO_META.replace("URL", server.url).replace("SYNC", name), rows=300)
            for name in ("first", "second")
        ]
        for root in roots:
            initialise(root)
            approved(root)
        watching.at.clear()
        watching.most = 0
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "mayfly", "run", "--project", str(root)],
                stdout=subprocess.DEVNULL,
            )
            for root in roots
        ]
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
        members = {a["name"]: a for a in get(f"{server.url}/_sandbox/audiences")}
    assert set(members) == {"first", "second"}
    assert watching.most == 1
    at, full = watching.at[:-1], burst(600)
    assert len(at) > 60
    rate = (600 - full + 1) / 60
    for first, start in enumerate(at):
        for last in range(first, len(at)):
            # A slice may be used two seconds after it was drawn.
            stretch = at[last] - start + SLICE_SECONDS
            assert last - first + 1 <= full + rate * stretch + 1
    # Without the limit they take a fraction of that.
    assert at[-1] - at[0] > (len(at) - full) / rate - SLICE_SECONDS
