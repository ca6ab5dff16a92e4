"""kill -9 at any moment, then `mayfly run` again: nothing is lost, nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import approved, make_project
from mayfly.api import load
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import SandboxServer
from mayfly.services.scan_paths import scan_paths

ROWS = 20_000
KILLS = 8


def kill_some_time_in(root: Path, seconds: float) -> None:
    """Start a run in a process of its own and kill it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mayfly", "run", "--project", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "META_TOKEN": "t0ken"},
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_killed_runs_end_in_the_truth(tmp_path: Path) -> None:
    """After eight kills with changes in between, one run makes both destinations equal to the
    model, the ledger pairs every working copy, and no file of ours holds a value.
    """
    chance = random.Random(11)
    with SandboxServer(port=0, record_bodies=False) as sandbox:
        root = make_project(tmp_path, sandbox.url, rows=ROWS)
        approved(root)
        for turn in range(KILLS):
            kill_some_time_in(root, 0.8 + chance.random() * 3)
            change(root / "shop.duckdb", turn)
            assert scan_paths([root / ".mayfly"]) == []
        result = load(root).run()
        assert [s.status for s in result.syncs] in (
            ["succeeded", "succeeded"],
            ["no_changes", "no_changes"],
            ["succeeded", "no_changes"],
            ["no_changes", "succeeded"],
        )
        with urllib.request.urlopen(f"{sandbox.url}/_sandbox/audiences", timeout=10) as reply:
            [audience] = json.loads(reply.read())
        url = f"{sandbox.url}/_sandbox/members?audience={audience['id']}"
        with urllib.request.urlopen(url, timeout=30) as reply:
            members = set(json.loads(reply.read())["fields"]["EMAIL"])
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        wanted = connection.execute(
            "SELECT id, sha256(lower(email)) FROM people WHERE ads"
        ).fetchall()
    assert members == {digest for _, digest in wanted}
    with sqlite3.connect(root / "crm.sqlite") as crm:
        assert {r[0] for r in crm.execute("SELECT id FROM people")} == {r[0] for r in wanted}
    ledger = root / ".mayfly" / "ledger"
    report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
    assert report["ok"], report


def change(path: Path, turn: int) -> None:
    """Move some people, withdraw some consents; wait for a killed process to let the file go."""
    for _ in range(100):
        try:
            with duckdb.connect(str(path)) as connection:
                connection.execute(
                    f"UPDATE people SET email = 'm{turn}.' || id || '@example.org' "
                    f"WHERE id % 50 = {turn}"
                )
                connection.execute(f"UPDATE people SET ads = FALSE WHERE id % 400 = {turn}")
                return
        except duckdb.IOException:
            time.sleep(0.1)
    raise AssertionError("the warehouse stayed locked")
