"""The same work without Mayfly: the floor of each part."""

from __future__ import annotations

import io
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import duckdb
import httpx
import orjson
import polars as pl
import psycopg

from mayfly.bench.naive import REQUEST_ROWS
from mayfly.bench.projects import COLUMNS, TABLE

PLANNING = ("create", "close")
_CHUNK_ROWS = 50_000
_ENGINE: dict[str, str | bool | int | float | list[str]] = {
    "preserve_insertion_order": "false",
    "threads": "2",
}
_NO_COMPRESSION = "SET GLOBAL disabled_compression_methods = 'dictionary,fsst,dict_fsst,zstd'"


def statements(
    path: Path, noted: Sequence[tuple[str, str]], *, memory_limit: str = "2GB"
) -> dict[str, float]:
    """Seconds of a run's own statements by call, one after the other on one connection, with the
    settings a run has.

    Args:
        path: the warehouse as it was before the run; changed.
        noted: every statement of the run, with the call it belongs to.
        memory_limit: of the run's sessions.
    """
    seconds: dict[str, float] = defaultdict(float)
    with duckdb.connect(str(path), config={**_ENGINE, "memory_limit": memory_limit}) as connection:
        connection.execute(_NO_COMPRESSION)
        for call, sql in noted:
            started = time.perf_counter()
            if call == "read":
                connection.sql(sql).to_arrow_table()
            else:
                connection.execute(sql).fetchall()
            seconds[call] += time.perf_counter() - started
    return seconds


def diff_duckdb(path: Path, noted: Sequence[tuple[str, str]], *, memory_limit: str) -> float:
    """Seconds of the statements that made a plan, on the warehouse as it was before; changed."""
    made = [(call, sql) for call, sql in noted if call == "create"]
    return statements(path, made, memory_limit=memory_limit)["create"]


def diff_postgres(dsn: str, noted: Sequence[tuple[str, str]]) -> float:
    """As `diff_duckdb`, in a transaction that is undone."""
    with psycopg.connect(dsn) as connection:
        started = time.perf_counter()
        for call, sql in noted:
            if call == "create":
                cursor = connection.execute(sql.encode())
                if cursor.description is not None:
                    cursor.fetchall()
        seconds = time.perf_counter() - started
        connection.rollback()
    return seconds


def delivery(path: Path, url: str, rows: int, *, alone: dict[str, float], delivered: int) -> float:
    """Seconds per row of reading, rendering, posting and acknowledging, each alone, summed.

    Args:
        path: the warehouse.
        url: where to post.
        rows: how many are rendered and posted here.
        alone: seconds of the run's own statements by call.
        delivered: rows that they were for.
    """
    with duckdb.connect(str(path), read_only=True) as connection:
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
    others = sum(alone.get(call, 0.0) for call in ("read", "intent", "outcome"))
    return float(sending / rows + others / max(delivered, 1))


def upsert(path: Path, dsn: str) -> float:
    """Seconds for reading people from DuckDB, COPY to a temporary table, and one MERGE."""
    names = ", ".join(COLUMNS)
    updates = ", ".join(f"{c} = s.{c}" for c in COLUMNS[1:])
    values = ", ".join(f"s.{c}" for c in COLUMNS)
    started = time.perf_counter()
    with (
        duckdb.connect(str(path), read_only=True) as source,
        psycopg.connect(dsn) as target,
        target.cursor() as cursor,
    ):
        cursor.execute(f"CREATE TEMP TABLE stage (LIKE {TABLE}) ON COMMIT DROP".encode())
        reader = source.sql(f"SELECT {names} FROM people WHERE ads").to_arrow_reader(_CHUNK_ROWS)
        with cursor.copy(f"COPY stage ({names}) FROM STDIN WITH (FORMAT csv)".encode()) as copy:
            for batch in reader:
                text = io.BytesIO()
                pl.DataFrame(batch).write_csv(text, include_header=False)
                copy.write(text.getvalue())
        cursor.execute(
            f"MERGE INTO {TABLE} t USING stage s ON t.id = s.id "
            f"WHEN MATCHED THEN UPDATE SET {updates} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})".encode()
        )
        target.commit()
    return time.perf_counter() - started
