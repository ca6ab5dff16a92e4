"""SQLite's write-ahead log, turned on where several processes open one file at the same moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.01


def keep_a_log(
    connection: sqlite3.Connection,
    *,
    wait_seconds: float,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Keep a write-ahead log from now on.

    The change needs the file for itself, and SQLite does not always wait for others here, whatever
    its busy timeout: https://www.sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY".

    Args:
        connection: of a file, outside a transaction.
        wait_seconds: how long those who have the file are waited for.
        pause: waits for so many seconds.

    Raises:
        sqlite3.Error: it cannot be turned on, or the file was never free.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= deadline:
                raise
            pause(_PAUSE_SECONDS)
        else:
            return
