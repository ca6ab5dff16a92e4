"""`mayfly bench`: ratios against a naive loop and the floor, measured in the same run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import httpx
import orjson
from rich.console import Console
from rich.table import Table

from mayfly.bench.naive import REQUEST_ROWS, naive_run
from mayfly.bench.server import ServerProcess
from mayfly.bootstrap import initialise
from mayfly.domain.errors import ConfigError

NAIVE_ROWS_MAX = 200_000

_PROJECT = """version: 1
workspace: {name: bench}
sources: {shop: {type: duckdb, path: shop.duckdb}}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns:
      id: {}
      email: {class: email}
      phone: {class: phone}
      first_name: {class: first_name}
      last_name: {class: last_name}
      zip: {class: postal_code}
    consent: {ads: {column: ads, equals: true, lawful_basis: consent}}
destinations:
  meta: {type: meta_ads, account_id: "1", access_token: env:MAYFLY_BENCH_TOKEN, endpoint: "URL"}
syncs:
  people_to_meta:
    id: people_to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone, FN: first_name, LN: last_name, ZIP: zip}
"""


def run_bench(rows: int, *, quiet: bool = False) -> dict[str, Any]:
    """Measure and, unless quiet, print; all figures of this run on this machine."""
    os.environ["MAYFLY_BENCH_TOKEN"] = "bench"  # noqa: S105 - the server takes any token
    with tempfile.TemporaryDirectory() as folder, ServerProcess() as url:
        os.environ["MAYFLY_KEYS_DIR"] = str(Path(folder) / "keys")
        document = _measure(Path(folder), url, rows)
    if not quiet:
        _show(document)
    return document


def _measure(folder: Path, url: str, rows: int) -> dict[str, Any]:
    small = _project(folder / "small", url, max(rows // 10, 1_000))
    large = _project(folder / "large", url, rows)
    naive_rows = min(rows, NAIVE_ROWS_MAX)
    naive = naive_run(large / "shop.duckdb", url, naive_rows) / naive_rows
    at_small = _run(small)
    first = _run(large)
    with duckdb.connect(str(large / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET email = 'n' || email WHERE id % 100 = 0")
    second = _run(large)
    delivery = _delivery_seconds(first) / rows
    floor = _floor(large, url, first, min(rows, NAIVE_ROWS_MAX))
    return {
        "schema": "mayfly/bench/1",
        "ok": True,
        "rows": rows,
        "first": first,
        "second": second,
        "naive_seconds_per_row": naive,
        "floor_seconds_per_row": floor,
        "ratios": {
            "delivery_over_naive": naive / delivery,
            "delivery_over_floor": delivery / floor,
            "first_run_over_naive": naive * rows / first["seconds"],
            "second_over_first": second["seconds"] / first["seconds"],
            "peak_over_tenth": first["peak_bytes"] / at_small["peak_bytes"],
        },
    }


def _project(folder: Path, url: str, rows: int) -> Path:
    folder.mkdir()
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE people AS SELECT i AS id, ' Person' || i || '@Example.com' AS email, "
            "'+33 6 39 98 ' || lpad((i % 10000)::VARCHAR, 4, '0') AS phone, "
            "['Ana', 'Chloé', 'Jürgen', 'Grace'][1 + i % 4] AS first_name, "
            "['Álvarez', 'O''Connor', 'Martin'][1 + i % 3] AS last_name, "
            "lpad((i % 90000 + 10000)::VARCHAR, 5, '0') AS zip, 'Lyon' AS city, "
            f"i * 7 AS points, TRUE AS ads FROM range({int(rows)}) AS r(i)"
        )
    (folder / "mayfly.yml").write_text(_PROJECT.replace("URL", url), encoding="utf-8")
    initialise(folder)
    from mayfly.api import load

    load(folder).approve(actor="bench")
    return folder


def _run(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "mayfly.bench.worker", str(folder), "people_to_meta"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError("bench_failed", "A measured run failed; try `mayfly demo` first.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _delivery_seconds(run: dict[str, Any]) -> float:
    """Everything after the plan and before its close."""
    stages = run["stages"]
    other = sum(stages.get(k, 0.0) for k in ("acquire", "create", "close", "open_plan", "release"))
    return float(run["seconds"] - other)


def _floor(folder: Path, url: str, first: dict[str, Any], rows: int) -> float:
    """Seconds per row of reading, rendering and posting digests, each alone, summed."""
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        table = connection.sql(
            "SELECT sha256(email) a, sha256(phone) b, sha256(first_name) c, sha256(last_name) d, "
            f"sha256(zip) e FROM people LIMIT {int(rows)}"
        ).to_arrow_table()
    started = time.perf_counter()
    columns = [c.to_pylist() for c in table.columns]
    data = list(zip(*columns, strict=True))
    bodies = [
        orjson.dumps({"payload": {"schema": list("abcde"), "data": data[i : i + REQUEST_ROWS]}})
        for i in range(0, len(data), REQUEST_ROWS)
    ]
    with httpx.Client(trust_env=False) as client:
        for body in bodies:
            client.post(f"{url}/v26.0/1/users", content=body).raise_for_status()
    sending = time.perf_counter() - started
    stages = first["stages"]
    acknowledging = stages.get("intent", 0.0) + stages.get("outcome", 0.0)
    reading = stages.get("read", 0.0)
    return float(sending / rows + (acknowledging + reading) / max(first["rows"], 1))


def _show(document: dict[str, Any]) -> None:
    console = Console(highlight=False)
    first = document["first"]
    table = Table("stage", "seconds", "share", box=None)
    for name, seconds in sorted(first["stages"].items(), key=lambda s: -s[1]):
        table.add_row(name, f"{seconds:.2f}", f"{seconds / first['seconds']:.0%}")
    rest = first["seconds"] - sum(first["stages"].values())
    table.add_row("gate, render, post", f"{rest:.2f}", f"{rest / first['seconds']:.0%}")
    console.print(
        f"{document['rows']:,} rows in {first['seconds']:.1f} s, "
        f"{document['rows'] / first['seconds']:,.0f} rows/s, "
        f"CPU {first['cpu_seconds']:.1f} s, "
        f"peak memory {first['peak_bytes'] / 2**20:,.0f} MiB"
    )
    console.print(table)
    for name, ratio in document["ratios"].items():
        console.print(f"{name.replace('_', ' '):28} {ratio:.2f}")
