"""`Store` on SQLite (a file of mode 0600) or PostgreSQL, through SQLAlchemy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError as DuplicateError
from sqlalchemy.exc import SQLAlchemyError

from mayfly.domain.errors import ConfigError, PolicyError, TransientError
from mayfly.domain.runs import ApprovalRecord, RunRecord, WorkspaceRecord

SCHEMA_VERSION = 1
_HERE = Path(__file__).parent
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
    "busy_timeout=30000",
)


class SqlStore:
    """One workspace's acts.

    Args:
        url: `sqlite`, or `postgresql+psycopg://…`.
        folder: where SQLite's file lies; made with mode 0700.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "store.sqlite" if url == "sqlite" else None
        self._url = f"sqlite:///{self._file}" if self._file is not None else url
        self._engine: Engine | None = None

    def exists(self) -> bool:
        """See `Store.exists`."""
        if self._file is not None and not self._file.exists():
            return False
        with self._translated():
            return inspect(self._open()).has_table("workspace")

    def create(self, *, workspace_id: str, name: str, installation_id: str, now: datetime) -> None:
        """See `Store.create`."""
        if self._file is not None:
            self._make_file(self._file)
        if self.exists():
            raise PolicyError("store_exists", "There is a store already; it is never replaced.")
        with self._translated(), self._open().begin() as connection:
            for migration in sorted((_HERE / "migrations").glob("*.sql")):
                for statement in migration.read_text(encoding="ascii").split(";\n"):
                    if statement.strip():
                        connection.execute(text(statement))
            values = {
                "workspace_id": workspace_id,
                "name": name,
                "installation_id": installation_id,
                "created_at": _time(now),
            }
            connection.execute(_statement("insert_workspace"), values)

    def workspace(self) -> WorkspaceRecord:
        """See `Store.workspace`."""
        with self._transaction() as connection:
            row = connection.execute(_statement("select_workspace")).mappings().one()
        return WorkspaceRecord(
            workspace_id=row["workspace_id"],
            name=row["name"],
            installation_id=row["installation_id"],
            created_at=datetime.fromisoformat(row["created_at"]),
        )

    def start_run(
        self, *, run_id: str, sync: str, target: str, mode: str, started_at: datetime
    ) -> None:
        """See `Store.start_run`."""
        values = {
            "run_id": run_id,
            "sync": sync,
            "target": target,
            "mode": mode,
            "started_at": _time(started_at),
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
        self._execute("update_run", values)

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
        with self._transaction() as connection:
            connection.execute(_statement("delete_approval"), values)
            connection.execute(_statement("insert_approval"), values)

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

    def add_suppressions(self, entries: Sequence[tuple[str, bytes]], now: datetime) -> int:
        """See `Store.add_suppressions`."""
        values = [
            {"kind": kind, "digest": digest.hex(), "added_at": _time(now)}
            for kind, digest in entries
        ]
        return self._change_list("insert_suppression", values)

    def remove_suppressions(self, entries: Sequence[tuple[str, bytes]]) -> int:
        """See `Store.remove_suppressions`."""
        values = [{"kind": kind, "digest": digest.hex()} for kind, digest in entries]
        return self._change_list("delete_suppression", values)

    def suppression_counts(self) -> Mapping[str, int]:
        """See `Store.suppression_counts`."""
        return {row["kind"]: int(row["entries"]) for row in self._rows("count_suppressions", {})}

    def suppression_digests(self) -> pa.Array:
        """See `Store.suppression_digests`."""
        rows = self._rows("select_suppressions", {})
        return pa.array([bytes.fromhex(row["digest"]) for row in rows], pa.binary(32))

    def suppression_version(self) -> int:
        """See `Store.suppression_version`."""
        return int(self._rows("select_suppression_version", {})[0]["version"])

    # -- helpers --------------------------------------------------------------------------------

    def _change_list(self, name: str, values: Sequence[Mapping[str, Any]]) -> int:
        changed = 0
        with self._transaction() as connection:
            for entry in values:
                changed += max(connection.execute(_statement(name), dict(entry)).rowcount, 0)
            if changed:
                connection.execute(_statement("bump_suppression_version"))
        return changed

    def _execute(self, name: str, values: Mapping[str, Any]) -> None:
        with self._transaction() as connection:
            connection.execute(_statement(name), dict(values))

    def _rows(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._transaction() as connection:
            found = connection.execute(_statement(name), dict(values)).mappings().all()
        return [dict(row) for row in found]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if not self.exists():
            raise PolicyError(
                "not_initialised",
                "This project was not initialised on this machine: it has no store.",
                hint="Run `mayfly init`; it makes what is missing and changes nothing else.",
            )
        with self._translated(), self._open().begin() as connection:
            version = connection.execute(_statement("select_schema_version")).scalar_one()
            if version > SCHEMA_VERSION:
                raise ConfigError(
                    "store_newer",
                    f"The store has schema {version}; this program knows {SCHEMA_VERSION}.",
                    hint="Use the release of Mayfly that made it, or a newer one.",
                )
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Texts of the database carry statements and values; none is passed on."""
        try:
            yield
        except DuplicateError:
            raise ConfigError("store_conflict", "The store has that record already.") from None
        except SQLAlchemyError as error:
            raise TransientError(
                "store_unavailable",
                f"The store does not answer ({type(error).__name__}).",
                hint="Check that its disk has room and its database is up, then run again.",
            ) from None

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = create_engine(self._url, hide_parameters=True)
            if self._file is not None:
                event.listen(self._engine, "connect", _pragmas)
        return self._engine

    def _make_file(self, file: Path) -> None:
        """The file is there with its mode before anything is written to it."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigError(
                "store_unwritable",
                f"The store cannot be made (error {error.errno}).",
                hint="The project's folder must be writable and its disk have room.",
            ) from None


def _pragmas(connection: Any, record: object) -> None:
    del record
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


@cache
def _statement(name: str) -> Any:
    return text((_HERE / "sql" / f"{name}.sql").read_text(encoding="ascii"))


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
    )


def _time(at: datetime) -> str:
    return at.isoformat()
