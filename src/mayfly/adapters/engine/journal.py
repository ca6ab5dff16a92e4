"""The database of the engine's journal: a file beside the store, or a schema in the store's own."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text

from mayfly.adapters.private_file import make_private
from mayfly.domain.errors import ConfigError
from mayfly.services.write_ahead import keep_a_log

FILE = "journal.sqlite"
SCHEMA = "mayfly_journal"
_SQL = Path(__file__).parent / "sql"
_PRAGMAS = (
    "busy_timeout=30000",
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
    "foreign_keys=ON",
)
_POSTGRES = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    # A worker that hangs within a transaction keeps what others wait for no longer than this.
    "options": "-c idle_in_transaction_session_timeout=10000",
}


def open_journal(url: str, folder: Path, executor: str) -> Engine:
    """Connections to the journal, under the name of a worker.

    Args:
        url: of the store, `sqlite` or `postgresql+psycopg://…`.
        folder: where SQLite's file lies.
        executor: the worker.
    """
    if url != "sqlite":
        given = {**_POSTGRES, "application_name": session_name(executor)}
        return create_engine(
            url,
            pool_size=6,
            max_overflow=4,
            pool_pre_ping=True,
            connect_args=given,
            hide_parameters=True,
        )
    file = folder / FILE
    _make_file(file)
    engine = create_engine(f"sqlite:///{file}", hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    return engine


def session_name(executor: str) -> str:
    """What a worker's sessions are called in the server: no longer than the server keeps."""
    return f"mayfly-{hashlib.sha256(executor.encode()).hexdigest()[:32]}"


def end_sessions(connection: Connection, executor: str) -> None:
    """End what a worker's sessions keep from others; SQLite has none."""
    if connection.dialect.name == "postgresql":
        statement = text((_SQL / "end_sessions.sql").read_text(encoding="ascii"))
        connection.execute(statement, {"name": session_name(executor)})


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    del record
    connection.isolation_level = "IMMEDIATE"
    keep_a_log(connection, wait_seconds=30)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _make_file(file: Path) -> None:
    try:
        make_private(file)
    except OSError as error:
        raise ConfigError(
            "store_unwritable",
            f"The engine's journal cannot be made (error {error.errno}).",
            hint="The folder .mayfly must be writable and its disk have room.",
        ) from None
