"""What a command tells while it works, where a log is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import FILES, SHOP, TO_LOG, approved, make_project
from mayfly.adapters import clock
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.sandbox.server import SandboxServer
from mayfly.services.events import AnchorFailed, Event, RunEnded, RunStarted, Swept, Waiting


def test_a_run_tells_its_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start, copy, batch, end, in ids and counts; standard error holds nothing else."""
    root = make_project(tmp_path / "project", "", rows=5, text=SHOP + TO_LOG)
    approved(root)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET email = 'marked' || id || '@example.com'")
    done = subprocess.run(
        [sys.executable, "-m", "mayfly", "run", "--project", str(root)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"MAYFLY_LOG": "json"},
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    names = [e["event"] + "/" + e.get("act", "") for e in events]
    assert names == [
        "run_started/",
        "recorded/created",
        "run_planned/",
        "recorded/delivered",
        "recorded/dropped",
        "run_ended/",
    ]
    assert (events[3]["sync"], events[3]["rows"], events[3]["batch"]) == ("to_log", 5, 0)
    assert events[2]["rows"] == 5
    assert events[-1]["status"] == "succeeded"
    assert len({e["run"] for e in events}) == 1
    assert "marked" not in done.stdout + done.stderr
    monkeypatch.setenv("MAYFLY_LOG", "text")
    with pytest.raises(ConfigError, match="bad_log"):
        load(root)


def test_an_outage_is_told(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Each wait before the next try, and the code the run ended with."""
    project = approved(make_project(tmp_path, sandbox.url, rows=5, text=FILES))
    heard: list[Event] = []
    project.app.tell = heard.append
    sandbox.stop()
    [ended] = project.run("to_meta").syncs
    assert ended.status == "held"
    kinds = [type(event) for event in heard]
    assert kinds[0] is RunStarted
    assert Waiting in kinds
    assert isinstance(heard[-1], RunEnded)
    assert (heard[-1].status, heard[-1].code) == ("held", "destination_unreachable")


def test_a_failed_anchor_and_a_sweep_are_told(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The anchor by its name; of what was past its deadline the number."""
    share = tmp_path / "share"
    share.mkdir()
    text = FILES + f"anchors:\n  share: {{type: folder, path: {share}}}\n"
    project = approved(make_project(tmp_path / "project", sandbox.url, rows=5, text=text))
    heard: list[Event] = []
    project.app.tell = heard.append
    # The approval is on the ledger, whose head it has by now.
    shutil.rmtree(share)
    body = json.dumps({"path": "/*/users", "kind": "503", "count": 5}).encode()
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/faults", body, method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    assert [s.status for s in project.run("to_meta").syncs] == ["held"]
    assert [e.anchor for e in heard if isinstance(e, AnchorFailed)] == ["share"]
    ahead_ms = clock._system_ms() + 31 * 86_400_000
    monkeypatch.setattr(clock, "_system_ms", lambda: ahead_ms)
    project.sweep()
    assert [e for e in heard if isinstance(e, Swept)] == [Swept(ended=1, left=0)]


def test_an_error_that_ended_a_run_holds_no_frame(tmp_path: Path) -> None:
    """Its caller keeps it: neither rows of ours nor a library's error hang on it."""
    root = make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    project = approved(root)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("ALTER TABLE people DROP COLUMN email")
    [ended] = project.run("to_log").syncs
    assert ended.error is not None
    assert (ended.error.__traceback__, ended.error.__context__) == (None, None)


def test_no_project_is_opened_while_keys_would_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is heeded by every library of TLS, not only by ours."""
    root = make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for opened in (load, initialise):
        with pytest.raises((ConfigError, PolicyError)) as caught:
            opened(root)
        assert caught.value.code == "tls_key_log"
