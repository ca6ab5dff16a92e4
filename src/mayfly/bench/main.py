"""`mayfly bench`: ratios against a naive loop, the floor and others, measured in the same run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from rich.console import Console
from rich.table import Table

from mayfly.bench import by_hand, projects, rates, scale
from mayfly.bench.naive import naive_run
from mayfly.bench.postgres import VARIABLE, postgres_server
from mayfly.bench.reading import ROUNDS, reading, sources_here
from mayfly.bench.requests import requests
from mayfly.bench.rivals import ingestr, over_http
from mayfly.bench.rivals.programs import Programs, programs
from mayfly.bench.rivals.show import show_rivals
from mayfly.bench.server import ServerProcess
from mayfly.domain.errors import ConfigError

NAIVE_ROWS_MAX = 200_000
DIFF_FACTOR = 10
"""Rows of the table whose change is found in DuckDB, for each row of the others."""
DIFF_MEMORY = "4GB"
"""What that may use: 10,000,000 rows did not fit into 2 GB, and did into 3."""
_DELIVERING = ("read", "intent", "submitted", "outcome")
EXPECTED: dict[str, tuple[str, float]] = {
    "delivery_over_naive": ("at least", 4.0),
    "delivery_over_floor": ("at most", 2.0),
    "planning_over_its_statements": ("at most", 1.5),
    "first_run_over_naive": ("at least", 2.0),
    "second_over_first": ("at most", 0.25),
    "diff_over_its_statements": ("at most", 1.5),
    "postgres_diff_over_its_statements": ("at most", 1.5),
    "upsert_over_copy_and_merge": ("at most", 1.5),
    "peak_over_tenth": ("at most", 1.2),
    "upsert_over_ingestr": ("at least", 1.0),
    "upsert_again_over_ingestr": ("at least", 1.0),
    "csv_upsert_over_ingestr": ("at least", 1.0),
    "csv_upsert_again_over_ingestr": ("at least", 1.0),
    "http_over_drt": ("at least", 5.0),
    "http_over_dlt": ("at least", 10.0),
    "http_over_drt_default": ("at least", 5.0),
    "http_over_dlt_default": ("at least", 10.0),
    "cpu_of_a_row_largest_over_smallest": ("at most", 1.2),
    "four_workers_over_one": ("at least", 1.7),
}
"""What each ratio should be. Over the naive loop or a program of others: how many times as
fast; else how many times the seconds or bytes.
"""

RATES: dict[str, tuple[Callable[[int], float], float]] = {
    "hash_five_fields_rows": (rates.hashed_rows, 500_000.0),
    "hash_national_phones": (rates.national_phones, 150_000.0),
    "guard_short_values": (rates.guarded_values, 5_000_000.0),
    "detect_values": (rates.detected_values, 150_000.0),
}
"""How many a second, and at least how many there should be. Figures of this machine."""


def run_bench(
    rows: int, *, with_rivals: bool = False, with_scale: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Measure and, unless quiet, print; all figures of this run on this machine.

    Raises:
        ConfigError: `bench_rivals` before anything is measured, where programs of others or a
            PostgreSQL for them are missing.
    """
    others = programs() if with_rivals else None
    with (
        tempfile.TemporaryDirectory() as name,
        ServerProcess() as url,
        postgres_server() as dsn,
    ):
        if others is not None and dsn is None:
            raise ConfigError(
                "bench_rivals", "--rivals needs a PostgreSQL.", hint=f"Name one in ${VARIABLE}."
            )
        folder = Path(name)
        os.environ["MAYFLY_KEYS_DIR"] = str(folder / "keys")
        measured = _from_duckdb(folder, url, rows)
        ratios = measured.pop("ratios")
        measured["diff"], ratios["diff_over_its_statements"] = _diff_in_duckdb(
            folder / "diff", url, rows * DIFF_FACTOR
        )
        if dsn is not None:
            os.environ["MAYFLY_BENCH_DSN"] = dsn
            with_postgres = _with_postgres(folder, url, dsn, rows)
            ratios |= with_postgres.pop("ratios")
            measured["postgres"] = with_postgres
            if others is not None:
                measured["rivals"] = _rivals(others, folder, url, dsn, rows)
                ratios |= ingestr.ratios(measured["rivals"])
                ratios |= over_http.ratios(measured["rivals"]["http"])
        if with_scale:
            measured["scale"] = scale.scale(folder / "scale", url, rows, _run_alone)
            ratios |= scale.ratios(measured["scale"])
        measured["reading"] = reading(sources_here(folder, dsn, min(rows, NAIVE_ROWS_MAX * 5)))
    document = {
        "schema": "mayfly/bench/1",
        "ok": True,
        "rows": rows,
        "postgres": None,
        "rivals": None,
        "scale": None,
        **measured,
        "ratios": [_judged(name, ratios.get(name)) for name in EXPECTED],
        "rates": [_rate(name, rows) for name in RATES],
        "requests": requests(rows),
    }
    if not quiet:
        _show(document)
    return document


def _judged(name: str, ratio: float | None) -> dict[str, Any]:
    bound, value = EXPECTED[name]
    kept = None
    if ratio is not None:
        kept = ratio >= value if bound == "at least" else ratio <= value
    return {"name": name, "ratio": ratio, "expected": f"{bound} {value:g}", "kept": kept}


def _rate(name: str, rows: int) -> dict[str, Any]:
    measure, expected = RATES[name]
    found = measure(min(rows, NAIVE_ROWS_MAX * 5))
    return {"name": name, "per_second": found, "expected": expected, "kept": found >= expected}


def _from_duckdb(folder: Path, url: str, rows: int) -> dict[str, Any]:
    """From DuckDB to loopback HTTP: first and second run, naive loop and floor."""
    project = projects.from_duckdb(folder / "large", url, rows)
    warehouse, before = project / "shop.duckdb", folder / "before.duckdb"
    shutil.copy(warehouse, before)
    naive_rows = min(rows, NAIVE_ROWS_MAX)
    # Before and after: the machine is not always equally fast.
    naive = naive_run(before, url, naive_rows)
    first, statements = _run(project, projects.TO_HTTP)
    naive = (naive + naive_run(before, url, naive_rows)) / (2 * naive_rows)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(projects.CHANGE)
    second, _ = _run(project, projects.TO_HTTP)
    alone = by_hand.statements(before, statements)
    planning = sum(alone.get(call, 0.0) for call in by_hand.PLANNING)
    before.unlink()
    delivery = first["delivery_seconds"] / rows
    floor = by_hand.delivery(warehouse, url, naive_rows, alone=alone, delivered=first["rows"])
    return {
        "first": first,
        "second": second,
        "naive_seconds_per_row": naive,
        "floor_seconds_per_row": floor,
        "statements_seconds": planning,
        "ratios": {
            "delivery_over_naive": naive / delivery,
            "delivery_over_floor": delivery / floor,
            "planning_over_its_statements": _planning_seconds(first) / planning,
            "first_run_over_naive": naive * rows / first["seconds"],
            "second_over_first": second["seconds"] / first["seconds"],
        },
    }


def _diff_in_duckdb(folder: Path, url: str, rows: int) -> tuple[dict[str, Any], float]:
    """The second run of a table of which one row in a hundred changed; its plan over the same
    statements by hand.
    """
    project = projects.from_duckdb(folder, url, rows, memory_limit=DIFF_MEMORY)
    _run(project, projects.TO_HTTP)
    warehouse, before = project / "shop.duckdb", folder / "before.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(projects.CHANGE)
    shutil.copy(warehouse, before)
    second, statements = _run(project, projects.TO_HTTP)
    warehouse.unlink()
    hand = by_hand.diff_duckdb(before, statements, memory_limit=DIFF_MEMORY)
    before.unlink()
    return second, second["stages"]["create"] / hand


def _diff_in_postgres(project: Path, dsn: str) -> tuple[dict[str, Any], float]:
    """As `_diff_in_duckdb`, after the first run of a project that reads PostgreSQL."""
    _execute(dsn, projects.CHANGE, "ANALYZE people")
    second, statements = _run(project, projects.TO_HTTP)
    # The same work once more for the statements by hand, which do not change what is there.
    _execute(dsn, projects.CHANGE, "ANALYZE people")
    return second, second["stages"]["create"] / by_hand.diff_postgres(dsn, statements)


def _with_postgres(folder: Path, url: str, dsn: str, rows: int) -> dict[str, Any]:
    """An upsert to PostgreSQL, and the worker's own memory, with the warehouse elsewhere."""
    upserting = projects.to_postgres(folder / "upsert", rows)
    upsert, _ = _run(upserting, projects.TO_POSTGRES)
    _execute(dsn, f"TRUNCATE {projects.TABLE}")
    hand = by_hand.upsert(upserting / "shop.duckdb", dsn)
    tenth, whole = (_peak(folder / f"memory{n}", url, dsn, n) for n in (rows // 10, rows))
    diff, diff_ratio = _diff_in_postgres(folder / f"memory{rows}", dsn)
    return {
        "upsert": upsert,
        "copy_and_merge_seconds": hand,
        "tenth": tenth,
        "whole": whole,
        "diff": diff,
        "ratios": {
            "upsert_over_copy_and_merge": upsert["delivery_seconds"] / hand,
            "postgres_diff_over_its_statements": diff_ratio,
            "peak_over_tenth": whole["peak_bytes"] / tenth["peak_bytes"],
        },
    }


def _rivals(others: Programs, folder: Path, url: str, dsn: str, rows: int) -> dict[str, Any]:
    sent = over_http.deliveries(others, folder / "http", url, rows)
    return {**ingestr.upserts(others.ingestr, folder / "rivals", dsn, rows), "http": sent}


def _peak(folder: Path, url: str, dsn: str, rows: int) -> dict[str, Any]:
    _execute(dsn, "DROP SCHEMA IF EXISTS _mayfly CASCADE", *projects.postgres_people(rows))
    run, _ = _run(projects.from_postgres(folder, url), projects.TO_HTTP)
    return run


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _run(folder: Path, sync: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What a run in a process of its own took, and the statements of its plan store."""
    os.sync()  # what was written to set this up is not part of it
    command = [sys.executable, "-m", "mayfly.bench.start", str(folder), sync]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError("bench_failed", "A measured run failed; try `mayfly demo` first.")
    found: dict[str, Any] = json.loads(done.stdout)
    if found["status"] != "succeeded":
        raise ConfigError("bench_failed", f"A measured run ended as {found['status']}.")
    return found, found.pop("statements")


def _run_alone(folder: Path, sync: str) -> dict[str, Any]:
    return _run(folder, sync)[0]


def _planning_seconds(run: dict[str, Any]) -> float:
    return float(sum(run["stages"][call] for call in by_hand.PLANNING))


def _show(document: dict[str, Any]) -> None:
    console = Console(highlight=False)
    _show_run(console, "DuckDB to HTTP", document["first"])
    _show_run(console, "DuckDB, one row in a hundred changed", document["diff"])
    if document["postgres"] is None:
        console.print(f"PostgreSQL was not measured: name one in ${VARIABLE}.\n")
    else:
        _show_run(console, "DuckDB to PostgreSQL, upsert", document["postgres"]["upsert"])
        _show_run(console, "PostgreSQL to HTTP", document["postgres"]["whole"])
        _show_run(console, "PostgreSQL, one row in a hundred changed", document["postgres"]["diff"])
    if document["rivals"] is not None:
        show_rivals(console, document["rivals"])
    if document["scale"] is not None:
        scale.show(console, document["scale"])
    table = Table("ratio", "measured", "expected", "", box=None)
    for found in document["ratios"]:
        if found["ratio"] is not None:
            mark = "kept" if found["kept"] else "missed"
            name = found["name"].replace("_", " ")
            table.add_row(name, f"{found['ratio']:.2f}", found["expected"], mark)
    console.print(table)
    speeds = Table("alone", "a second", "at least", "", box=None)
    for found in document["rates"]:
        name, mark = found["name"].replace("_", " "), "kept" if found["kept"] else "missed"
        speeds.add_row(name, f"{found['per_second']:,.0f}", f"{found['expected']:,.0f}", mark)
    console.print(speeds)
    read = Table("read from", "rows", f"a second, best of {ROUNDS}", box=None)
    for found in document["reading"]:
        read.add_row(found["source"], f"{found['rows']:,}", f"{found['per_second']:,.0f}")
    console.print(read)
    bodies = Table(
        "batch to requests", "CPU s per 100,000 rows", "at most", "", "over orjson", box=None
    )
    for found in document["requests"]:
        limit = found["expected"].removeprefix("at most ")
        if found["kept"] is None:
            bodies.add_row(found["destination"], "not measured", limit, "", "")
            continue
        mark, spent = "kept" if found["kept"] else "missed", f"{found['cpu_seconds']:.2f}"
        over = f"{found['over_orjson']:.2f}"
        bodies.add_row(found["destination"], spent, limit, mark, over)
    console.print(bodies)


def _shares(run: dict[str, Any]) -> dict[str, float]:
    """Seconds of what follows each other in a run, and of what goes on at once in its delivery."""
    stages, delivery = run["stages"], run["delivery_seconds"]
    meanwhile = {f"  {name}": stages[name] for name in _DELIVERING if name in stages}
    planning = {name: stages[name] for name in by_hand.PLANNING}
    frame = run["seconds"] - delivery - sum(planning.values())
    return {**planning, "delivery": delivery, **meanwhile, "set-up and others": frame}


def _show_run(console: Console, title: str, run: dict[str, Any]) -> None:
    console.print(
        f"{title}: {run['rows']:,} rows in {run['seconds']:.1f} s, "
        f"{run['rows'] / run['seconds']:,.0f} rows/s, CPU {run['cpu_seconds']:.1f} s, "
        f"peak memory {run['peak_bytes'] / 2**20:,.0f} MiB"
    )
    table = Table("stage", "seconds", "share", box=None)
    for name, seconds in _shares(run).items():
        table.add_row(name, f"{seconds:.2f}", f"{seconds / run['seconds']:.0%}")
    console.print(table)
    console.print()
