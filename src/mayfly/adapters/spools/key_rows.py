"""Wrapped data keys, and what is known of the batches that they seal, in one SQLite file.

The file lies in the region of its worker, apart from the sealed bytes. What is deleted from it is
overwritten, and the log that could still hold it is emptied; see `docs/specs/spool.md`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mayfly.adapters.spools.folder import make_folder
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError
from mayfly.domain.held import HeldBatch, HoldException
from mayfly.domain.retention import RetentionClass
from mayfly.services.durable import sync_directory
from mayfly.services.write_ahead import keep_a_log

_SQL = Path(__file__).parent / "sql"
FORM = 1
_PAUSE_SECONDS = 0.01
_ROOM_BYTES = 1 << 16
_PRAGMAS = (
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
)
_DAMAGED = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNWRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """One batch in the file.

    Args:
        held: what is known of it.
        blob: name of its sealed form.
        wrapped: its wrapped data key; None once it was destroyed.
        key_version: of the key encryption key; empty once the data key was destroyed.
        sealed_sha256: of the sealed form; None until the batch is held.
        sealed_bytes: length of the sealed form; None until the batch is held.
    """

    held: HeldBatch
    blob: str
    wrapped: bytes | None = field(repr=False)
    key_version: str
    sealed_sha256: str | None = None
    sealed_bytes: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether its sealed form was written whole and its key is there."""
        return self.wrapped is not None and self.sealed_sha256 is not None


class KeyRows:
    """The file of keys of one spool. Any number of threads and processes may use it.

    Args:
        file: made with mode 0600 by the first write, its folder with 0700.
        wait_seconds: how long another process's transaction is waited for.

    Every call but `exists` raises, beside what it names: TransientError `spool_unavailable`,
    `disk_full`; ConfigError `spool_unwritable`, `spool_newer`; IntegrityError `spool_rows_damaged`.
    Calls that read do not make the file; they find it empty.
    """

    def __init__(self, file: Path, *, wait_seconds: float = 30.0) -> None:
        self._file = file
        self._wait_seconds = wait_seconds

    def __repr__(self) -> str:
        return "KeyRows()"

    def spool_id(self, place: str) -> str | None:
        """Id of the spool, 16 hexadecimal digits; None where nothing was ever held in this place.

        Args:
            place: where the sealed bytes are; it may change while nothing is held.

        Raises:
            ConfigError: `spool_place_changed`.
        """
        with self._reading() as connection:
            return None if connection is None else _identity(connection, place)

    def form(self) -> int | None:
        """Which form the file is of, also one that this program does not know; None without one."""
        with self._reading() as connection:
            if connection is None:
                return None
            found = connection.execute(_statement("select_spool")).fetchall()
            if len(found) != 1:
                raise _damaged()
            return int(found[0][0])

    def create(self, place: str) -> str:
        """Id of the spool, which is in this place from now on; the file is made where it is not
        there. Arguments as above.
        """
        self._make_file()
        with self._connection(write=True) as connection:
            if _is_empty(connection):
                for statement in _statement("schema").split(";\n"):
                    connection.execute(statement)
                values = {"form": FORM, "spool_id": secrets.token_hex(8), "place": place}
                connection.execute(_statement("insert_spool"), values)
            if _identity(connection, place) is None:
                connection.execute(_statement("move_spool"), {"place": place})
            return str(_identity(connection, place))

    def get(self, batch_id: str) -> KeyRow | None:
        """A batch, held, unfinished or half purged; None where there is none."""
        found = self.some([batch_id])
        return found[0] if found else None

    def some(self, batch_ids: Sequence[str]) -> Sequence[KeyRow]:
        """Those of the batches that there are, by deadline, each once; no other row is read."""
        return self._select("select_some", {"batch_ids": json.dumps(list(batch_ids))})

    def all(self) -> Sequence[KeyRow]:
        """Every batch, by deadline."""
        return self._select("select_batches", {})

    def write(self, row: KeyRow, *, instead_of: KeyRow | None) -> bool:
        """Note a batch that is about to be sealed, durably; its key is in `row.wrapped`.

        Args:
            row: the batch, not held yet.
            instead_of: an unfinished attempt that it takes the place of.

        Returns:
            False, and nothing is changed, where another process was faster.
        """
        with self._connection(write=True) as connection:
            if _took_place(connection, instead_of) and _inserted(connection, _values(row)):
                return True
            connection.execute("ROLLBACK")
            return False

    def finish(self, row: KeyRow, *, instead_of: KeyRow | None = None) -> bool:
        """Note that the sealed form was written.

        Args:
            row: of the sealed form.
            instead_of: a held batch whose key is destroyed at that same moment.

        Returns:
            False, and nothing is changed, where the key of one of them is not there any more.
        """
        values = {
            "batch_id": row.held.id,
            "blob": row.blob,
            "sealed_sha256": row.sealed_sha256,
            "sealed_bytes": row.sealed_bytes,
        }
        with self._connection(write=True) as connection:
            is_free = instead_of is None or _lost_key(connection, instead_of)
            if is_free and connection.execute(_statement("finish_batch"), values).rowcount == 1:
                return True
            connection.execute("ROLLBACK")
            return False

    def replace_key(self, row: KeyRow, wrapped: bytes, key_version: str) -> bool:
        """Put a newly wrapped key in place of the row's; False where that is not there any more."""
        values = {
            "blob": row.blob,
            "old": row.wrapped,
            "wrapped": wrapped,
            "key_version": key_version,
        }
        with self._connection(write=True) as connection:
            return connection.execute(_statement("replace_key"), values).rowcount == 1

    def drop_keys(self, blobs: Sequence[str]) -> None:
        """Destroy the keys of sealed forms, durably. What the log still holds: `empty_log`."""
        with self._connection(write=True) as connection:
            _each(connection, "delete_key", blobs)

    def forget(self, blobs: Sequence[str]) -> None:
        """Drop what is known of batches, by the names of their sealed forms."""
        with self._connection(write=True) as connection:
            _each(connection, "delete_batch", blobs)

    def empty_log(self) -> bool:
        """Write the log into the file and cut it to nothing; False where a reader kept it.

        Without that, pages with deleted keys stay in the log.
        """
        if not self._file.exists():
            return True
        deadline = time.monotonic() + self._wait_seconds
        with self._connection(write=None) as connection:
            # SQLite waits for readers itself, but not for another checkpoint.
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE_SECONDS)
        return True

    # -- helpers --------------------------------------------------------------------------------

    def _select(self, name: str, values: Mapping[str, str]) -> Sequence[KeyRow]:
        with self._reading() as connection:
            if connection is None:
                return []
            found = connection.execute(_statement(name), values)
            return [_row(values) for values in found.fetchall()]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self._file.exists():
            yield None
            return
        with self._connection(write=False) as connection:
            yield None if _is_empty(connection) else connection

    @contextmanager
    def _connection(self, *, write: bool | None) -> Iterator[sqlite3.Connection]:
        """One transaction, or none where `write` is None. Texts of SQLite are not passed on."""
        try:
            with closing(self._connect()) as connection:
                if write is not None:
                    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield connection
                if connection.in_transaction:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _translate(error, is_full=self._is_full()) from None

    def _is_full(self) -> bool:
        """SQLite calls it an I/O error where the index of its log finds no room."""
        try:
            return shutil.disk_usage(self._file.parent).free < _ROOM_BYTES
        except OSError:
            return False

    def _connect(self) -> sqlite3.Connection:
        # SQLite would give its log the file's own rights, which outlive their repair.
        if not os.access(self._file, os.W_OK):
            raise _unwritable()
        connection = sqlite3.connect(
            f"file:{quote(str(self._file.absolute()))}?mode=rw",
            uri=True,
            timeout=self._wait_seconds,
            isolation_level=None,
        )
        connection.row_factory = sqlite3.Row
        try:
            keep_a_log(connection, wait_seconds=self._wait_seconds)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        """The file is there with its mode before anything is written to it."""
        flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            make_folder(self._file.parent)
            is_new = not self._file.exists()
            descriptor = os.open(self._file, flags, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
            finally:
                os.close(descriptor)
            if is_new:
                sync_directory(self._file.parent)
        except OSError:
            raise _unwritable() from None


def _identity(connection: sqlite3.Connection, place: str) -> str | None:
    found = connection.execute(_statement("select_spool")).fetchall()
    if len(found) != 1:
        raise _damaged()
    form, spool_id, known = found[0]
    if form > FORM:
        raise ConfigError(
            "spool_newer",
            f"The spool's file of keys has form {form}; this program knows {FORM}.",
            hint="Use the release of Mayfly that made it, or a newer one.",
        )
    if known != place:
        if not connection.execute(_statement("count_batches")).fetchone()[0]:
            return None
        raise ConfigError(
            "spool_place_changed",
            "The spool was moved: its keys belong to sealed batches in another place.",
            hint="Set the place back and let what is held there be delivered or purged; then move.",
        )
    return str(spool_id)


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether the file was just made and has no tables yet."""
    return bool(connection.execute(_statement("count_tables")).fetchone()[0] == 0)


def _took_place(connection: sqlite3.Connection, unfinished: KeyRow | None) -> bool:
    """Whether an unfinished attempt, if there is one, was removed; one that was finished stays."""
    if unfinished is None:
        return True
    values = {"blob": unfinished.blob}
    connection.execute(_statement("delete_key"), values)
    return connection.execute(_statement("delete_unfinished"), values).rowcount == 1


def _lost_key(connection: sqlite3.Connection, row: KeyRow) -> bool:
    """Whether its key was there, and is not any more."""
    return connection.execute(_statement("delete_key"), {"blob": row.blob}).rowcount == 1


def _inserted(connection: sqlite3.Connection, values: Mapping[str, Any]) -> bool:
    if connection.execute(_statement("insert_batch"), values).rowcount != 1:
        return False
    connection.execute(_statement("insert_key"), values)
    return True


def _each(connection: sqlite3.Connection, name: str, blobs: Sequence[str]) -> None:
    connection.executemany(_statement(name), [{"blob": blob} for blob in blobs])


def _values(row: KeyRow) -> Mapping[str, Any]:
    held = row.held
    return {
        "batch_id": held.id,
        "workspace": held.workspace,
        "region": held.region,
        "target": held.target,
        "sync": held.sync,
        "run": held.run,
        "batch": held.batch,
        "operation": held.operation,
        "identifier": held.identifier,
        "row_count": held.rows,
        "cls": held.cls.value,
        "exception": held.exception.value if held.exception else None,
        "read_at_ms": held.read_at_ms,
        "purge_by_ms": held.purge_by_ms,
        "blob": row.blob,
        "wrapped": row.wrapped,
        "key_version": row.key_version,
    }


def _row(values: sqlite3.Row) -> KeyRow:
    """Checked again: a row that was edited is refused where its fields show it."""
    try:
        exception = values["exception"]
        held = HeldBatch(
            id=values["batch_id"],
            workspace=values["workspace"],
            region=values["region"],
            target=values["target"],
            sync=values["sync"],
            run=values["run"],
            batch=values["batch"],
            operation=values["operation"],
            identifier=values["identifier"],
            rows=values["row_count"],
            cls=RetentionClass(values["cls"]),
            exception=None if exception is None else HoldException(exception),
            read_at_ms=values["read_at_ms"],
            purge_by_ms=values["purge_by_ms"],
        )
    except ValueError:
        raise _damaged() from None
    return KeyRow(
        held=held,
        blob=values["blob"],
        wrapped=values["wrapped"],
        key_version=values["key_version"] or "",
        sealed_sha256=values["sealed_sha256"],
        sealed_bytes=values["sealed_bytes"],
    )


def _translate(error: sqlite3.Error, *, is_full: bool) -> EngineError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return _damaged()
    if code == sqlite3.SQLITE_FULL or (is_full and code == sqlite3.SQLITE_IOERR):
        return TransientError(
            "disk_full",
            "The disk of the spool's keys is full; what was to be noted there is not.",
            hint="Make room there and run again.",
        )
    if code in _UNWRITABLE:
        return _unwritable()
    return TransientError(
        "spool_unavailable",
        f"The spool's file of keys does not answer (error {code}).",
        hint="Check its disk, then run again.",
    )


def _unwritable() -> ConfigError:
    return ConfigError(
        "spool_unwritable",
        "The spool's file of keys may not be written, or its folder may not.",
        hint="Give this user the right to write it, and nobody else.",
    )


def _damaged() -> IntegrityError:
    return IntegrityError(
        "spool_rows_damaged",
        "The spool's file of keys is not one that Mayfly made, or parts of it are lost.",
        hint="What it held cannot be opened without it; move it away to begin an empty spool.",
    )


@cache
def _statement(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="ascii")
