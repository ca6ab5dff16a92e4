"""What one would write in an afternoon: one row at a time, hashlib, a kept-alive connection."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import duckdb
import httpx
import orjson

REQUEST_ROWS = 10_000
_SCHEMA = ["EMAIL", "PHONE", "FN", "LN", "ZIP"]


def naive_run(path: Path, url: str, rows: int) -> float:
    """Seconds for reading, normalising, hashing and posting some rows, in the same request size."""
    started = time.perf_counter()
    with httpx.Client(trust_env=False) as client, duckdb.connect(str(path), read_only=True) as con:
        cursor = con.execute(
            f"SELECT email, phone, first_name, last_name, zip FROM people LIMIT {int(rows)}"
        )
        while found := cursor.fetchmany(REQUEST_ROWS):
            data = [_row(row) for row in found]
            body = orjson.dumps({"payload": {"schema": _SCHEMA, "data": data}})
            client.post(f"{url}/v26.0/1/users", content=body).raise_for_status()
    return time.perf_counter() - started


def _row(row: tuple[str, str, str, str, str]) -> list[str]:
    email, phone, first, last, postcode = row
    return [
        _hash(email.strip().lower()),
        _hash(re.sub(r"[^0-9]", "", phone)),
        _hash(re.sub(r"[^a-zà-ÿ]", "", first.lower())),
        _hash(re.sub(r"[^a-zà-ÿ]", "", last.lower())),
        _hash(postcode.strip().lower().replace(" ", "")),
    ]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
