"""The engine behind ClickHouse's HTTP interface in tests, and sessions with it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chdb


@dataclass(frozen=True)
class Settings:
    """How one is served.

    Args:
        folder: for pipes and what is inserted; gone with it.
        log: takes each request as a line of JSON, without the data of an INSERT.
        users: passwords by name.
        certificate: with its key, of a server that speaks TLS.
        key: of the certificate.
        config: a file of the engine's settings and rights.
        port: to listen on; any free one where it is 0.
        tagged: whether an error in the midst of an answer is marked as since version 25.11, or with
            its text alone.
    """

    folder: str
    log: str
    users: dict[str, str]
    certificate: str | None = None
    key: str | None = None
    config: str | None = None
    port: int = 0
    tagged: bool = True


class RefusedError(Exception):
    """An error of the interface itself."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")


@dataclass
class Session:
    """A session of the interface: a connection to the engine."""

    connection: Any
    timeout: float = 60.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = field(default_factory=time.monotonic)
    client: socket.socket | None = None
    applied: dict[str, str] = field(default_factory=dict)

    def apply(self, wanted: dict[str, str]) -> None:
        """Settings of one request, which hold for it alone."""
        if "readonly" in self.applied and wanted.get("readonly") != self.applied["readonly"]:
            raise RefusedError(48, "NOT_IMPLEMENTED", "A session here stays as readonly as it was")
        for name in self.applied.keys() - wanted.keys():
            self.connection.query(f"SET {name} = DEFAULT")
        changed = [f"{n} = '{_escaped(v)}'" for n, v in wanted.items() if self.applied.get(n) != v]
        if changed:
            self.connection.query(f"SET {', '.join(changed)}")
        self.applied = dict(wanted)


class Engine:
    """The engine, and who asks it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        data = f"{settings.folder}/data?config-file={settings.config}"
        self._where = data if settings.config else ":memory:"
        self.admin = chdb.connect(self._where)
        self.version = str(self.admin.query("SELECT version()", "TSV")).strip()
        self.zone = str(self.admin.query("SELECT timezone()", "TSV")).strip()
        self._sessions: dict[tuple[str, str], Session] = {}
        self._alone = 0
        self._guard = threading.Condition(threading.RLock())
        self._log = threading.Lock()

    @contextmanager
    def session(self, user: str, given: dict[str, str]) -> Iterator[Session]:
        """The session that a request names, or one of its own."""
        name = given.get("session_id")
        timeout = float(given.get("session_timeout", "60"))
        if timeout > 3600:
            raise RefusedError(374, "INVALID_SESSION_TIMEOUT", "Session timeout is too large")
        if name is None:
            with self._guard:
                found = Session(chdb.connect(self._where))
                self._alone += 1
            try:
                yield found
            finally:
                with self._guard:
                    found.connection.close()
                    self._alone -= 1
                    self._guard.notify_all()
            return
        with self._guard:
            self._expire()
            known = self._sessions.get((user, name))
            if known is None and given.get("session_check") == "1":
                raise RefusedError(372, "SESSION_NOT_FOUND", f"Session {name} not found")
            if known is None:
                known = self._sessions[user, name] = Session(chdb.connect(self._where))
            if not known.lock.acquire(blocking=False):
                raise RefusedError(373, "SESSION_IS_LOCKED", f"Session {name} is locked")
        try:
            known.timeout = timeout
            yield known
        finally:
            known.used = time.monotonic()
            known.client = None
            known.lock.release()

    def _expire(self) -> None:
        now = time.monotonic()
        for key, session in list(self._sessions.items()):
            if not session.lock.locked() and now - session.used > session.timeout:
                self._sessions.pop(key).connection.close()

    def forget(self) -> None:
        """End every session, as a restart would."""
        with self._guard:
            sessions = list(self._sessions.items())
            self._sessions.clear()
        for _, session in sessions:
            if session.client is not None:
                with suppress(OSError):
                    session.client.shutdown(socket.SHUT_RDWR)
            with session.lock:
                session.connection.close()

    def reopen(self) -> None:
        """Read the settings and rights anew: the engine does so when nobody has it open."""
        self.forget()
        with self._guard:
            while self._alone:
                self._guard.wait(1)
            self.admin.close()
            self.admin = chdb.connect(self._where)

    def progress(self, mark: str) -> str:
        """How far a statement is."""
        found = self.admin.query(
            "SELECT toString(read_rows) AS read_rows, toString(read_bytes) AS read_bytes, "
            f"toString(total_rows_approx) AS total_rows_to_read FROM system.processes "
            f"WHERE startsWith(query, '{mark}')",
            "JSONEachRow",
        )
        return (str(found).strip() or "{}").splitlines()[0]

    def kill(self, mark: str) -> None:
        """End a statement."""
        with suppress(RuntimeError):
            self.admin.query(f"KILL QUERY WHERE startsWith(query, '{mark}') ASYNC")

    def note(self, entry: dict[str, object]) -> None:
        """Write a line of the log."""
        with self._log, Path(self.settings.log).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
