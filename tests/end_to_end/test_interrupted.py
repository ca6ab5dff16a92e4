"""A run whose process was killed is not shown as running for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from end_to_end.batches import LOG, in_duckdb, make, run
from end_to_end.projects import SHOP, approved
from mayfly.adapters.processes import holder_name
from mayfly.api import load

# The first batch is where it is to be; nothing is known of the answer.
DIES = """
import os, signal, sys
from pathlib import Path
from mayfly.adapters.processes import holder_name
from mayfly.api import load
from mayfly.connectors.destinations.databases import TableDestination

async def write(self, batch, progress):
    os.kill(os.getpid(), signal.SIGKILL)

TableDestination.write = write
load(Path(sys.argv[1])).run()
"""


def test_a_killed_run_is_interrupted_and_the_next_one_is_not(tmp_path: Path) -> None:
    """Both are told apart in `runs`; `status` shows the last."""
    make(tmp_path, SHOP + LOG, in_duckdb(tmp_path / "shop.duckdb"))
    project = approved(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)],
        env=os.environ,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for look in (project, load(tmp_path)):
        assert [r["status"] for r in look.runs()["runs"]] == ["interrupted"]
        assert [s["status"] for s in look.status()["syncs"]] == ["interrupted"]
    assert run(project)["status"] == "succeeded"
    assert [r["status"] for r in project.runs()["runs"]] == ["succeeded", "interrupted"]
    # The process that looks is alive: its own run would be running.
    project.app.store.start_run(
        run_id="r1",
        sync="to_log",
        target="dev",
        mode="upsert",
        started_at=project.app.clock.now(),
        holder=holder_name(),
    )
    assert project.runs(1)["runs"][0]["status"] == "running"
