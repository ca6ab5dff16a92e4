"""Connections to MariaDB as a source, and what each session pins."""

from __future__ import annotations

from typing import Any

from mayfly.connectors.mysql_connect import Dsn, open_connection, read_dsn
from mayfly.connectors.sources.mysql_errors import not_connected
from mayfly.domain.errors import EngineError
from mayfly.ports.source_spec import Revealed

IDLE_SECONDS = 900
LOCK_SECONDS = 60


def parse_dsn(source: str, dsn: Revealed) -> Dsn:
    """See `read_dsn`."""
    return read_dsn(f"source {source}", dsn)


def connect(source: str, dsn: Dsn, *, timeout_seconds: int) -> Any:
    """A connection that gives bytes as they come.

    Raises:
        TransientError: `source_away`.
        ConfigError: `source_refused`; `tls_not_verified`; `driver_missing`.
    """

    def refused(number: int, tls: bool) -> EngineError:
        return not_connected(source, number, tls=tls)

    return open_connection(
        dsn,
        timeout_seconds=timeout_seconds,
        refused=refused,
        use_unicode=False,
        conv={},
        autocommit=True,
    )


def settings(*, write: bool) -> list[str]:
    """Statements that pin what the session's results depend on."""
    pinned = {
        "time_zone": "'+00:00'",
        # A quotation mark begins a text, a backslash an escape, and what does not fit is an error.
        "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "lc_messages": "'en_US'",
        "lc_time_names": "'en_US'",
        "div_precision_increment": "4",
        "group_concat_max_len": "4294967295",
        "old_mode": "''",
        "sql_safe_updates": "0",
        "sql_select_limit": "18446744073709551615",
        "sql_big_selects": "1",
        "sql_auto_is_null": "0",
        "default_week_format": "0",
        "innodb_lock_wait_timeout": str(LOCK_SECONDS),
        "lock_wait_timeout": str(LOCK_SECONDS),
        "wait_timeout": str(IDLE_SECONDS),
        # A reader may be slow: it waits for destinations.
        "net_write_timeout": str(IDLE_SECONDS),
        "default_storage_engine": "InnoDB",
        "default_tmp_storage_engine": "InnoDB",
        # Without an index MariaDB would compare every row with every row.
        "join_cache_level": "4",
        # A statement that is ended works on until its buffer is empty.
        "join_buffer_size": str(8 * 1024 * 1024),
        "join_buffer_space_limit": str(64 * 1024 * 1024),
    }
    listed = ", ".join(f"SESSION {name} = {value}" for name, value in pinned.items())
    access = "READ WRITE" if write else "READ ONLY"
    return [
        f"SET {listed}",
        # Each statement sees what was committed when it began; reading for an INSERT locks nothing.
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        f"SET SESSION TRANSACTION {access}",
    ]
