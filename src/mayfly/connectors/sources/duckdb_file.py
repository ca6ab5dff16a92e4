"""A DuckDB file in an engine that outlives its sessions: the file itself is held for none longer.

Starting an engine takes ten times as long as opening a file, and a run opens its file for every
group of statements.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import duckdb

from mayfly.connectors.sources.duckdb_session import pin
from mayfly.planning.sql.dialect import literal, quote

_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
_TAKEN = {"main", "memory", "system", "temp"}


class DuckdbFile:
    """One file; opened by the first of the sessions that use it at a time, closed by the last.

    Args:
        path: of the file.
        settings: of the engine, which opens this file and no other.
    """

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self._path = os.path.abspath(path)
        self._settings = {k: v for k, v in settings.items() if k != "enable_external_access"}
        stem = path.stem
        # As the engine itself would name it, for models that name the database.
        self._name = quote(f"{stem}_file" if stem.casefold() in _TAKEN else stem)
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._read_only = False
        self._users = 0
        self._free = threading.Condition()

    def connect(self, *, read_only: bool, wait_seconds: float = 0.0) -> duckdb.DuckDBPyConnection:
        """A connection of a session; to be given back with `release`.

        Args:
            read_only: whether the session only reads.
            wait_seconds: how long sessions of the other kind in this process are waited for.

        Raises:
            duckdb.Error: the engine or the file does not open; or the file is open in this process
                for the other kind of session (ConnectionException).
        """
        with self._free:
            if not self._free.wait_for(
                lambda: self._users == 0 or self._read_only == read_only, timeout=wait_seconds
            ):
                raise duckdb.ConnectionException("The file is open in another mode.")
            if self._users == 0:
                self._attach(read_only=read_only)
            self._users += 1
        try:
            return self._started().cursor().execute(f"USE {self._name}.main")
        except duckdb.Error:
            self.release(None)
            raise

    def release(self, connection: duckdb.DuckDBPyConnection | None) -> None:
        """Close a connection, and the file after the last one. Never raises."""
        with self._free:
            if connection is not None:
                connection.close()
            self._users -= 1
            if self._users == 0:
                self._detach()
                self._free.notify_all()

    def _attach(self, *, read_only: bool) -> None:
        mode = ", READ_ONLY" if read_only else ""
        attach = f"ATTACH {literal(self._path)} AS {self._name} (TYPE duckdb{mode})"
        used_before = self._engine is not None
        try:
            self._started().execute(attach)
        except duckdb.Error:
            self._stop()
            if not used_before:
                raise
            # What an earlier session did to its engine is not this one's.
            self._started().execute(attach)
        self._read_only = read_only

    def _detach(self) -> None:
        try:
            self._started().execute(f"DETACH {self._name}")
        except duckdb.Error:
            # Nothing committed is lost: what could not be moved to the file stays in its log.
            self._stop()

    def _started(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            engine = duckdb.connect(":memory:", config=dict(self._settings))
            # Allowing must come before shutting the door.
            allowed = ", ".join(literal(self._path + ending) for ending in _BESIDE)
            engine.execute(f"SET allowed_paths = [{allowed}]")
            engine.execute("SET enable_external_access = false")
            pin(engine)
            self._engine = engine
        return self._engine

    def _stop(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
