"""Whether more rows cost more each, and whether more processes get more done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mayfly.bench import projects
from mayfly.bench.rivals.over_http import taken
from mayfly.bench.server import TAKING
from mayfly.domain.errors import ConfigError

WORKERS = 4
STEPS = (1, 10, 100)
"""Tenths of the bench's rows: 100,000, 1,000,000 and 10,000,000 where it has 1,000,000."""
MEMORY = "4GB"
_SECONDS = 3_600

Run = Callable[[Path, str], dict[str, Any]]


def scale(folder: Path, url: str, rows: int, run: Run) -> dict[str, Any]:
    """CPU of runs of each size, and seconds of four syncs, one after the other and side by side.

    Args:
        folder: new.
        url: of a `CountingServer`.
        rows: of the bench.
        run: one sync of a project in a process of its own.

    Raises:
        ConfigError: `bench_failed`, a run failed, or rows did not come.
    """
    folder.mkdir()
    sizes = [_size(folder / f"size{step}", url, rows * step // 10, run) for step in STEPS]
    each = rows // WORKERS
    one = _syncs(folder / "one", f"{url}{TAKING}one", each, [["*"]])
    names = [[name] for name in projects.side_by_side_names(WORKERS)]
    beside = _syncs(folder / "beside", f"{url}{TAKING}beside", each, names)
    return {
        "sizes": sizes,
        "workers": WORKERS,
        "rows_of_each": each,
        "one_process_seconds": one,
        "workers_seconds": beside,
    }


def ratios(measured: Mapping[str, Any]) -> dict[str, float]:
    """By the name of the ratio."""
    smallest, *_, largest = (found["cpu_seconds_per_row"] for found in measured["sizes"])
    return {
        "cpu_of_a_row_largest_over_smallest": largest / smallest,
        "four_workers_over_one": measured["one_process_seconds"] / measured["workers_seconds"],
    }


def show(console: Console, measured: Mapping[str, Any]) -> None:
    """For people."""
    table = Table("DuckDB to HTTP, rows", "seconds", "CPU µs a row", "peak MiB", box=None)
    for found in measured["sizes"]:
        microseconds = found["cpu_seconds_per_row"] * 1e6
        peak = found["peak_bytes"] / 2**20
        rows = f"{found['rows']:,}"
        table.add_row(rows, f"{found['seconds']:.1f}", f"{microseconds:.1f}", f"{peak:,.0f}")
    console.print(table)
    console.print(
        f"{measured['workers']} syncs of {measured['rows_of_each']:,} rows each to HTTP: "
        f"{measured['one_process_seconds']:.1f} s by one process, "
        f"{measured['workers_seconds']:.1f} s by {measured['workers']} at the same time\n"
    )


def _size(folder: Path, url: str, rows: int, run: Run) -> dict[str, Any]:
    project = projects.from_duckdb(folder, url, rows, memory_limit=MEMORY)
    found = run(project, projects.TO_HTTP)
    (project / "shop.duckdb").unlink()
    return {
        "rows": rows,
        "seconds": found["seconds"],
        "cpu_seconds_per_row": found["cpu_seconds"] / rows,
        "peak_bytes": found["peak_bytes"],
    }


def _syncs(folder: Path, address: str, rows: int, names: Sequence[Sequence[str]]) -> float:
    """Seconds until every process has ended, each of which runs the syncs that it is given."""
    project = projects.side_by_side(folder, address, rows, WORKERS)
    os.sync()
    begin = [sys.executable, "-m", "mayfly", "run"]
    started = time.perf_counter()
    running = [
        subprocess.Popen(
            [*begin, *which, "--project", str(project)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for which in names
    ]
    try:
        codes = [process.wait(timeout=_SECONDS) for process in running]
    except subprocess.TimeoutExpired:
        raise ConfigError("bench_failed", "A measured run took too long.") from None
    finally:
        for process in running:
            process.kill()
    seconds = time.perf_counter() - started
    if any(codes):
        raise ConfigError("bench_failed", "A measured run failed; try `mayfly demo` first.")
    for number in range(WORKERS):
        if taken(f"{address}{number}")[0] != rows:
            raise ConfigError("bench_failed", "Not all rows of a measured run came.")
    return seconds
