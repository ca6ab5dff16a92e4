"""The drivers a source or destination needs, and their oldest versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import psycopg

from mayfly.domain.errors import ConfigError
from mayfly.privacy.closed_logs import close_logs

OLDEST: Mapping[str, str] = {
    "adbc-driver-postgresql": "1.9",
    "duckdb": "2.0",
    "psycopg": "3.3",
}
OLDEST_LIBPQ = 16
"""The first that knows the authorities of the system (sslrootcert=system)."""


def optional_driver(module: str, *, kind: str, logs: Sequence[str], of: str = "Sources") -> Any:
    """A library that only one kind of source or destination needs, its logs closed: at DEBUG they
    hold statements and requests.

    Args:
        module: that is imported; some begin to write at their import.
        kind: its `type`, and the extra that installs the library.
        logs: first names of the library's loggers.
        of: `Sources` or `Destinations`.

    Raises:
        ConfigError: `driver_missing`.
    """
    close_logs(*logs)
    try:
        found = import_module(module)
    except ImportError:
        raise ConfigError(
            "driver_missing",
            f"{of} of type {kind} need a library that is not installed.",
            hint=f'pip install "mayfly-data[{kind}]"',
        ) from None
    close_logs(*logs)
    return found


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
