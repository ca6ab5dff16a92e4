"""Projects of three small batches, and runs in which something happens after the first."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from end_to_end.projects import SHOP, TO_LOG
from mayfly.api import Project, RunRequest
from mayfly.bootstrap import initialise

BATCH = 1_000
ROWS = 3 * BATCH
POSTGRES = SHOP.replace("{type: duckdb, path: shop.duckdb}", '{type: postgres, dsn: "env:SHOP"}')
LOG = TO_LOG.replace("    mapping:", f"    batch_rows: {BATCH}\n    mapping:")
PEOPLE = (
    "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
    "'0639980000' AS phone, 'Lyon' AS city, TRUE AS ads "
    f"FROM generate_series(0, {ROWS - 1}) AS r(i)"
)
Change = Callable[[str], None]


def in_duckdb(path: Path) -> Change:
    """Statements on a DuckDB file."""

    def change(sql: str) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(sql)

    return change


def in_postgres(dsn: str) -> Change:
    """Statements on a PostgreSQL database."""

    def change(sql: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.encode())

    return change


def make(root: Path, text: str, change: Change) -> None:
    """A project with its table of people."""
    (root / "mayfly.yml").write_text(text)
    change(PEOPLE)
    initialise(root)


def run(project: Project, *, after_first: Callable[[], object] | None = None) -> dict[str, Any]:
    """How the one sync ended; something may happen once its first batch is there."""
    request = RunRequest()
    told = 0

    def progress(sync: str, rows: int, planned: int) -> None:
        nonlocal told
        told += 1
        # That it plans, that it has planned, and then each batch.
        if told == 3 and after_first is not None:
            after_first()

    request.progress = progress
    result = project.run(request=request)
    [ended] = result.to_dict()["syncs"]
    return {**ended, "exit": result.exit_code}


def logged(root: Path) -> Counter[int]:
    """How often each id was appended."""
    with sqlite3.connect(root / "log.sqlite") as log:
        return Counter(i for (i,) in log.execute("SELECT id FROM people"))
