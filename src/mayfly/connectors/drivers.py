"""The drivers a source or destination needs, and their oldest versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import psycopg

OLDEST: Mapping[str, str] = {
    "adbc-driver-postgresql": "1.9",
    "duckdb": "2.0",
    "psycopg": "3.3",
}
OLDEST_LIBPQ = 16
"""The first that knows the authorities of the system (sslrootcert=system)."""


def installed() -> dict[str, str]:
    """Name and version of each driver here; libpq is the library behind psycopg."""
    found = {name: version(name) for name in OLDEST}
    return found | {"libpq": str(psycopg.pq.version() // 10_000)}


def too_old(found: Mapping[str, str]) -> Sequence[str]:
    """Drivers below their oldest version, as `name found < needed`."""
    needed = {**OLDEST, "libpq": str(OLDEST_LIBPQ)}
    return [
        f"{name} {found[name]} < {oldest}"
        for name, oldest in needed.items()
        if _number(found[name]) < _number(oldest)
    ]


def _number(text: str) -> tuple[int, int]:
    parts = [p for p in text.split(".")[:2] if p.isdecimal()]
    numbers = [int(p) for p in parts] + [0, 0]
    return numbers[0], numbers[1]
