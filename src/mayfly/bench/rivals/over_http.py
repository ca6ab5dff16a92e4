"""The same rows of a DuckDB file to a loopback HTTP address, by Mayfly's webhook, drt and dlt.

drt and dlt are measured twice: with the settings of theirs that are fastest for such an address
(1,000 rows a request, as Mayfly sends, no limit on the rate), and as they are unless told otherwise
(drt one row a request, dlt ten), for fewer rows. Only drt's limit of ten requests a second is off
in both: what would be measured is the limit.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from mayfly.bench import projects
from mayfly.bench.rivals.programs import DLT_VERSION, DRT_VERSION, SETTINGS, Programs
from mayfly.bench.rivals.timing import failed, timed
from mayfly.bench.server import TAKING

DEFAULT_ROWS_MAX = 20_000
RATIOS = {f"http_over_{name}": name for name in ("drt", "dlt", "drt_default", "dlt_default")}
"""Whom a ratio compares with."""
_HINT = "Try `mayfly demo` first; or measure without --rivals."
_SCRIPT = Path(__file__).parent / "dlt_script.txt"
_COLUMNS = ", ".join(projects.COLUMNS)
_DRT_PROJECT = "name: people\nversion: '1.0'\nprofile: local\n"
_DRT_BEST = """
  body_mode: batch
  batch_template: "{{ rows | tojson_safe }}"
  max_records_per_request: 1000
  headers: {Content-Type: application/json}
sync: {batch_size: 10000, rate_limit: {requests_per_second: 0}}
"""
_DRT_DEFAULT = "\nsync: {rate_limit: {requests_per_second: 0}}\n"


@dataclass(frozen=True, kw_only=True)
class _Sending:
    """What is measured.

    Args:
        command: makes its project in a new folder; what runs it.
        rows: how many it sends.
    """

    command: Callable[[Path, str], list[str]]
    rows: int


def deliveries(programs: Programs, folder: Path, url: str, rows: int) -> dict[str, Any]:
    """Seconds of each until the last row was taken, from the start of its process.

    Args:
        programs: of others.
        folder: new.
        url: of a `CountingServer`.
        rows: of the table.

    Raises:
        ConfigError: `bench_rivals`, a command failed, or other rows came than stand in the source.
    """
    folder.mkdir()
    project = projects.to_webhook(folder / "mayfly", f"{url}{TAKING}mayfly", rows)
    warehouse = folder / "people.duckdb"
    shutil.copy(project / "shop.duckdb", warehouse)
    few = min(rows, DEFAULT_ROWS_MAX)
    each = {
        "mayfly": _Sending(command=lambda _folder, _url: _mayfly(project), rows=rows),
        **{
            name: _Sending(command=_command_of(programs, warehouse, name, count), rows=count)
            for name, count in zip(RATIOS.values(), (rows, rows, few, few), strict=True)
        },
    }
    return {
        "drt_version": DRT_VERSION,
        "dlt_version": DLT_VERSION,
        "columns": len(projects.COLUMNS),
        **{name: _measured(name, what, folder / name, url) for name, what in each.items()},
    }


def ratios(measured: Mapping[str, Any]) -> dict[str, float]:
    """How many times as many rows a second as theirs Mayfly delivered, by the name of the ratio."""
    return {
        ratio: _per_second(measured["mayfly"]) / _per_second(measured[name])
        for ratio, name in RATIOS.items()
    }


def _per_second(took: Mapping[str, float]) -> float:
    return took["rows"] / took["seconds"]


def _command_of(
    programs: Programs, warehouse: Path, name: str, rows: int
) -> Callable[[Path, str], list[str]]:
    query = f"SELECT {_COLUMNS} FROM people WHERE id < {rows}"
    program, _, default = name.partition("_")
    if program == "drt":
        how = _DRT_DEFAULT if default else _DRT_BEST
        return lambda folder, url: _drt(programs.drt, folder, warehouse, query, url + how)
    arguments = [str(programs.dlt_python), "-I", str(_SCRIPT), str(warehouse), query]
    return lambda _folder, url: [*arguments, url, default or "best"]


def _mayfly(project: Path) -> list[str]:
    return [sys.executable, "-m", "mayfly", "run", projects.TO_WEBHOOK, "--project", str(project)]


def _drt(program: Path, folder: Path, warehouse: Path, query: str, destination: str) -> list[str]:
    """Writes drt's project. It looks for its connections below HOME."""
    texts = {
        "drt_project.yml": _DRT_PROJECT,
        ".drt/profiles.yml": f"local: {{type: duckdb, database: {json.dumps(str(warehouse))}}}\n",
        "syncs/people.yml": f"name: people\nmodel: {query}\ndestination:\n  type: rest_api\n"
        f"  url: {destination}",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [str(program), "run"]


def _measured(name: str, what: _Sending, folder: Path, url: str) -> dict[str, float]:
    folder.mkdir(exist_ok=True)
    os.sync()
    address = f"{url}{TAKING}{name}"
    command = what.command(folder, address)
    theirs = {**SETTINGS, "HOME": str(folder), "PATH": os.defpath}
    environment = dict(os.environ) if name == "mayfly" else theirs
    took = timed(name, command, environment, hint=_HINT, folder=folder)
    if taken(address) != _expected(what.rows):
        raise failed(f"What {name} sent is not what stands in the source", _HINT)
    return {"rows": what.rows, **took}


def _expected(rows: int) -> tuple[int, int, int]:
    """Rows, and what their ids and points add up to."""
    ids = rows * (rows - 1) // 2
    return rows, ids, ids * 7


def taken(address: str) -> tuple[int, int, int]:
    """Rows that came to an address, and what their ids and points add up to."""
    with build_opener(ProxyHandler({})).open(address, timeout=60) as reply:
        found = json.load(reply)
    return found["rows"], found["ids"], found["points"]
