"""`Store` on SQLite (a file of mode 0600) or PostgreSQL, through SQLAlchemy."""

from __future__ import annotations

import json
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError as DuplicateError
from sqlalchemy.exc import SQLAlchemyError

from mayfly.adapters.private_file import make_private
from mayfly.adapters.stores.sql_alerts import SqlAlerts
from mayfly.adapters.stores.sql_audit import SqlAudit
from mayfly.adapters.stores.sql_credentials import SqlCredentials
from mayfly.adapters.stores.sql_deletion import SqlDeletion
from mayfly.adapters.stores.sql_erasures import SqlErasures
from mayfly.adapters.stores.sql_notes import SqlNotes
from mayfly.adapters.stores.sql_register import SqlRegister
from mayfly.adapters.stores.sql_requests import SqlRequests
from mayfly.adapters.stores.sql_work import SqlWork
from mayfly.adapters.stores.statements import statement as _statement
from mayfly.adapters.stores.statements import time_text as _time
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    PolicyError,
    TransientError,
)
from mayfly.domain.runs import ApprovalRecord, RunRecord, WorkspaceRecord
from mayfly.services.write_ahead import keep_a_log

MIGRATIONS = Path(__file__).parent / "migrations"
_WAIT_SECONDS = 30
_PRAGMAS = (
    f"busy_timeout={_WAIT_SECONDS * 1000}",
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
)
_SQLITE_DAMAGED = frozenset({1, 11, 26})  # no such table, malformed, not a database
_SQLITE_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_POSTGRES_DAMAGED = frozenset({"42P01", "42703"})  # no such table, no such column


class SqlStore(
    SqlAlerts,
    SqlAudit,
    SqlCredentials,
    SqlDeletion,
    SqlErasures,
    SqlNotes,
    SqlRegister,
    SqlRequests,
    SqlWork,
):
    """One workspace's acts.

    Args:
        url: `sqlite`, or `postgresql+psycopg://…`.
        folder: where SQLite's file lies; made with mode 0700.
        migrations: files `NNNN_name.sql`, each of which brings a store from the version before it
            to version NNNN. An older store is brought up to the last when it is first used.
    """

    def __init__(self, url: str, folder: Path, *, migrations: Path = MIGRATIONS) -> None:
        self._migrations = {int(p.name[:4]): p for p in sorted(migrations.glob("*.sql"))}
        self._newest = max(self._migrations)
        self._folder = folder
        self._file = folder / "store.sqlite" if url == "sqlite" else None
        self._url = f"sqlite:///{self._file}" if self._file is not None else url
        self._engine: Engine | None = None

    def exists(self) -> bool:
        """See `Store.exists`."""
        if self._file is not None and not self._file.exists():
            return False
        with self._begin(write=False) as connection:
            return inspect(connection).has_table("workspace")

    def create(self, *, workspace_id: str, name: str, installation_id: str, now: datetime) -> None:
        """See `Store.create`."""
        if self._file is not None:
            self._make_file(self._file)
        with self._begin(write=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_statement("lock_creation"))
            if inspect(connection).has_table("workspace"):
                raise PolicyError("store_exists", "There is a store already; it is never replaced.")
            self._migrate(connection, since=0)
            values = {
                "workspace_id": workspace_id,
                "name": name,
                "installation_id": installation_id,
                "created_at": _time(now),
            }
            connection.execute(_statement("insert_workspace"), values)

    def workspace(self) -> WorkspaceRecord:
        """See `Store.workspace`."""
        rows = self._rows("select_workspace", {})
        if len(rows) != 1:
            raise _damaged()
        row = rows[0]
        return WorkspaceRecord(
            workspace_id=row["workspace_id"],
            name=row["name"],
            installation_id=row["installation_id"],
            created_at=datetime.fromisoformat(row["created_at"]),
        )

    def start_run(
        self,
        *,
        run_id: str,
        sync: str,
        target: str,
        mode: str,
        started_at: datetime,
        holder: str,
    ) -> None:
        """See `Store.start_run`."""
        values = {
            "run_id": run_id,
            "sync": sync,
            "target": target,
            "mode": mode,
            "started_at": _time(started_at),
            "holder": holder,
        }
        self._execute("insert_run", values)

    def finish_run(
        self,
        *,
        run_id: str,
        status: str,
        finished_at: datetime,
        counts: Mapping[str, int],
        batches: int,
        seconds: float,
        ages: Mapping[str, float],
        error_code: str | None,
    ) -> None:
        """See `Store.finish_run`."""
        values = {
            "run_id": run_id,
            "status": status,
            "finished_at": _time(finished_at),
            "counts": json.dumps(dict(counts)),
            "batches": batches,
            "seconds": seconds,
            "ages": json.dumps(dict(ages)),
            "error_code": error_code,
        }
        found = self._execute("update_run", values)
        self._execute("delete_cancellation", {"run_id": run_id})
        if found == 0:
            raise IntegrityError(
                "run_unknown",
                f"The store has no run {run_id} that could be finished.",
                hint="Its record was lost since the run began; restore the store from your backup.",
            )

    def run(self, run_id: str) -> RunRecord | None:
        """See `Store.run`."""
        rows = self._rows("select_run", {"run_id": run_id})
        return _run(rows[0]) if rows else None

    def runs(self, limit: int) -> Sequence[RunRecord]:
        """See `Store.runs`."""
        return [_run(row) for row in self._rows("select_runs", {"limit": limit})]

    def last_run(self, sync: str, target: str) -> RunRecord | None:
        """See `Store.last_run`."""
        rows = self._rows("select_last_run", {"sync": sync, "target": target})
        return _run(rows[0]) if rows else None

    def approve(self, record: ApprovalRecord) -> None:
        """See `Store.approve`."""
        values = {
            "sync": record.sync,
            "target": record.target,
            "fingerprint": record.fingerprint,
            "document": json.dumps(record.document, sort_keys=True),
            "actor": record.actor,
            "self_approved": int(record.self_approved),
            "approved_at": _time(record.at),
        }
        self._execute("upsert_approval", values)

    def approval(self, sync: str, target: str) -> ApprovalRecord | None:
        """See `Store.approval`."""
        rows = self._rows("select_approval", {"sync": sync, "target": target})
        if not rows:
            return None
        row = rows[0]
        return ApprovalRecord(
            sync=row["sync"],
            target=row["target"],
            fingerprint=row["fingerprint"],
            document=json.loads(row["document"]),
            actor=row["actor"],
            self_approved=bool(row["self_approved"]),
            at=datetime.fromisoformat(row["approved_at"]),
        )

    def latest_time(self) -> datetime:
        """See `Store.latest_time`."""
        return datetime.fromisoformat(self._rows("select_clock", {})[0]["latest"])

    def note_time(self, now: datetime) -> None:
        """See `Store.note_time`."""
        self._execute("advance_clock", {"now": _time(now)})

    def add_suppressions(
        self,
        entries: Sequence[tuple[str, bytes]],
        now: datetime,
        *,
        forms: Mapping[str, int] | None = None,
    ) -> int:
        """See `Store.add_suppressions`."""
        made_by, at = forms or {}, _time(now)
        values = [
            {"kind": kind, "digest": digest.hex(), "added_at": at, "form": made_by.get(kind, 1)}
            for kind, digest in entries
        ]
        return self._change_list("insert_suppression", values)

    def remove_suppressions(self, entries: Sequence[tuple[str, bytes]]) -> int:
        """See `Store.remove_suppressions`."""
        values = [{"kind": kind, "digest": digest.hex()} for kind, digest in entries]
        return self._change_list("delete_suppression", values)

    def suppression_recorded(self) -> tuple[int, int]:
        """See `Store.suppression_recorded`."""
        [row] = self._rows("select_suppression_recorded", {})
        return int(row["recorded"]), int(row["recorded_version"])

    def note_suppression_recorded(self, times: int, version: int) -> None:
        """See `Store.note_suppression_recorded`."""
        self._execute("note_suppression_recorded", {"times": times, "version": version})

    def suppression_counts(self) -> Mapping[str, int]:
        """See `Store.suppression_counts`."""
        return {row["kind"]: int(row["entries"]) for row in self._rows("count_suppressions", {})}

    def suppression_forms(self) -> Mapping[str, frozenset[int]]:
        """See `Store.suppression_forms`."""
        found: dict[str, frozenset[int]] = {}
        for row in self._rows("select_suppression_forms", {}):
            kind = row["kind"]
            found[kind] = found.get(kind, frozenset()) | {int(row["form"])}
        return found

    def suppression_digests(self) -> pa.Array:
        """See `Store.suppression_digests`."""
        rows = self._rows("select_suppressions", {})
        return pa.array([bytes.fromhex(row["digest"]) for row in rows], pa.binary(32))

    def suppression_version(self) -> int:
        """See `Store.suppression_version`."""
        return int(self._rows("select_suppression_version", {})[0]["version"])

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """One transaction on this store, for a port whose rows lie in it; it is committed at the
        end, and rolled back where something is raised within.

        Raises:
            EngineError: as every call of `Store`.
        """
        with self._transaction(write=write) as connection:
            yield connection

    @property
    def is_shared(self) -> bool:
        """Whether other machines may have it, too: it is a database server's."""
        return self._file is None

    def versions(self) -> tuple[int, int]:
        """Of the store, and the newest that this program knows. Nothing is brought up to date.

        Raises:
            PolicyError: `not_initialised`.
        """
        if self._file is not None and not self._file.exists():
            raise _not_initialised()
        with self._begin(write=False) as connection:
            return self._found_version(connection), self._newest

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._engine is not None:
            self._engine.dispose()

    # -- helpers --------------------------------------------------------------------------------

    def _change_list(self, name: str, values: Sequence[Mapping[str, Any]]) -> int:
        changed = 0
        with self._transaction(write=True) as connection:
            for entry in values:
                changed += max(connection.execute(_statement(name), dict(entry)).rowcount, 0)
            if changed:
                connection.execute(_statement("bump_suppression_version"))
        return changed

    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        with self._transaction(write=True) as connection:
            return connection.execute(_statement(name), dict(values)).rowcount

    def _execute_all(self, steps: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        with self._transaction(write=True) as connection:
            for name, values in steps:
                connection.execute(_statement(name), dict(values))

    def _rows(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._transaction(write=False) as connection:
            found = connection.execute(_statement(name), dict(values)).mappings().all()
        return [dict(row) for row in found]

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        """A transaction on a store that is there and that this program knows."""
        if self._file is not None and not self._file.exists():
            raise _not_initialised()
        with self._begin(write=write) as connection:
            if self._version(connection) == self._newest:
                yield connection
                return
        self._bring_up_to_date()
        with self._begin(write=write) as connection:
            yield connection

    def _version(self, connection: Connection) -> int:
        """The store's version, which is one this program knows."""
        version = self._found_version(connection)
        if version > self._newest:
            raise ConfigError(
                "store_newer",
                f"The store has schema {version}; this program knows {self._newest}.",
                hint="Use the release of Mayfly that made it, or a newer one.",
            )
        return version

    def _found_version(self, connection: Connection) -> int:
        if not inspect(connection).has_table("workspace"):
            raise _not_initialised()
        version = connection.execute(_statement("select_schema_version")).scalar()
        if version is None or version < 1:
            raise _damaged()
        return int(version)

    def _bring_up_to_date(self) -> None:
        """All missing migrations or none; of several processes at once the first one does it."""
        with self._begin(write=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_statement("lock_creation"))
            self._migrate(connection, since=self._version(connection))

    def _migrate(self, connection: Connection, *, since: int) -> None:
        for version, path in self._migrations.items():
            if version <= since:
                continue
            for statement in path.read_text(encoding="ascii").split(";\n"):
                if statement.strip():
                    connection.execute(text(statement))
            connection.execute(_statement("update_schema_version"), {"version": version})

    @contextmanager
    def _begin(self, *, write: bool) -> Iterator[Connection]:
        """Texts of the database carry statements and values; none is passed on."""
        try:
            with self._open().connect() as connection:
                connection.execution_options(mayfly_write=write)
                with connection.begin():
                    yield connection
        except DuplicateError:
            raise ConfigError("store_conflict", "The store has that record already.") from None
        except SQLAlchemyError as error:
            raise _translate(error) from None

    def _open(self) -> Engine:
        if self._engine is None:
            if (
                self._file is not None
                and self._file.exists()
                and not os.access(self._file, os.W_OK)
            ):
                # SQLite would give its log the file's own rights, which outlive their repair.
                raise _unwritable()
            self._engine = create_engine(self._url, hide_parameters=True)
            # Whoever forgets to close it leaves no session open on the server.
            weakref.finalize(self, self._engine.dispose)
            if self._file is not None:
                event.listen(self._engine, "connect", _prepare)
                event.listen(self._engine, "begin", _begin_sqlite)
        return self._engine

    def _make_file(self, file: Path) -> None:
        """The file is there with its mode before anything is written to it."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            make_private(file)
        except OSError as error:
            raise ConfigError(
                "store_unwritable",
                f"The store cannot be made (error {error.errno}).",
                hint="The project's folder must be writable and its disk have room.",
            ) from None


def _prepare(connection: Any, record: object) -> None:
    """The driver would begin transactions by its own rules, and none for a CREATE TABLE."""
    del record
    connection.isolation_level = None
    keep_a_log(connection, wait_seconds=_WAIT_SECONDS)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: one that read first cannot wait for another's end."""
    write = connection.get_execution_options().get("mayfly_write", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _translate(error: SQLAlchemyError) -> EngineError:
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorcode", None)
    damaged = code is not None and code & 0xFF in _SQLITE_DAMAGED
    if damaged or getattr(cause, "sqlstate", None) in _POSTGRES_DAMAGED:
        return _damaged()
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return TransientError(
            "disk_full",
            "The disk of the store is full; what was to be noted there is not.",
            hint="Make room there and run again: what was delivered by then is remembered.",
        )
    if code is not None and code & 0xFF in _SQLITE_UNWRITABLE:
        return _unwritable()
    return TransientError(
        "store_unavailable",
        f"The store does not answer ({type(error).__name__}).",
        hint="Check that its disk has room and its database is up, then run again.",
    )


def _unwritable() -> ConfigError:
    return ConfigError(
        "store_unwritable",
        "The store may not be written, or its folder may not.",
        hint="Give this user the right to write .mayfly and what is in it, and nobody else.",
    )


def _damaged() -> IntegrityError:
    return IntegrityError(
        "store_damaged",
        "The store is not one that Mayfly made, or parts of it are lost.",
        hint="Restore it from your backup; nothing was changed.",
    )


def _not_initialised() -> PolicyError:
    return PolicyError(
        "not_initialised",
        "This project was not initialised on this machine: it has no store.",
        hint="Run `mayfly init`; it makes what is missing and changes nothing else.",
    )


def _run(row: Mapping[str, Any]) -> RunRecord:
    finished = row["finished_at"]
    return RunRecord(
        run_id=row["run_id"],
        sync=row["sync"],
        target=row["target"],
        mode=row["mode"],
        status=row["status"],
        started_at=datetime.fromisoformat(row["started_at"]),
        finished_at=datetime.fromisoformat(finished) if finished else None,
        counts=json.loads(row["counts"]) if row["counts"] else None,
        batches=row["batches"],
        seconds=row["seconds"],
        ages=json.loads(row["ages"]) if row["ages"] else None,
        error_code=row["error_code"],
        holder=row["holder"],
    )
