"""A model far larger than what a run holds in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.odd_projects import SOURCES, Odd

ROWS, VALUE_BYTES = 100_000, 8_000
GROWTH_BYTES_MAX = 600_000_000
# In a process that is Mayfly's alone, as the command's, of which the largest size is told.
RUN = """
import re, sys
from pathlib import Path
from mayfly.adapters.processes import own_process
own_process()
from mayfly.api import load

project = load(Path(sys.argv[1]))
[done] = project.run().to_dict()["syncs"]
# Not of `resource`, which tells the size of the process that made this one where that was larger.
[peak] = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(done["rows"]["delivered"], int(peak) * 1024)
"""


def delivered_and_peak(root: Path) -> tuple[int, int]:
    """Rows that a run delivered, and the most memory its process had, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(root)], env=os.environ, check=True, capture_output=True
    )
    delivered, peak = done.stdout.split()[-2:]
    return int(delivered), int(peak)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("source", SOURCES)
def test_a_large_model_is_not_held_in_memory(
    source: str, tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """800 MB of values grow the process by no more than some batches; then 1,000 rows change."""
    monkeypatch.setenv("ODD_DSN", postgres_database)
    # An engine in this process keeps what it has read as long as it may.
    settings = {"memory_limit": "150MB"} if source == "duckdb" else {}
    odd = Odd(root=tmp_path, source=source, dsn=postgres_database, settings=settings)
    value = f"repeat(md5(CAST(i AS varchar)), {VALUE_BYTES // 32})"
    fill = "INSERT INTO rows SELECT i, {value} FROM generate_series({first}, {last}) AS r(i)"
    odd.make("CREATE TABLE rows (id int, t text)", fill.format(value=value, first=1, last=100))
    odd.write({"id": "id", "t": "t"}, key=["id"], to="sqlite")
    rows, small = delivered_and_peak(tmp_path)
    assert rows == 100
    odd.make(fill.format(value=value, first=101, last=ROWS))
    rows, large = delivered_and_peak(tmp_path)
    assert rows == ROWS - 100
    assert large - small < GROWTH_BYTES_MAX < ROWS * VALUE_BYTES
    odd.make("UPDATE rows SET t = 'x' WHERE id <= 1000")
    assert delivered_and_peak(tmp_path)[0] == 1_000
