"""ClickHouse's HTTP interface as its documentation has it, before the engine of a wheel.

Run as a program: one JSON object of `Settings` is its only word, and it prints its port. The engine,
what it computes, its types, errors, sessions that only read and its temporary tables are ClickHouse's
own; only what stands between it and a client is written here:
https://clickhouse.com/docs/interfaces/http. What the interface has and this has not is answered with
501. Everybody who logs in is the one user of the engine.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import select
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

BUFFER = 1 << 20
"""Bytes of an answer that are held back before its head goes out."""
_OWN = frozenset(
    ("query user password quota_key query_id session_id session_timeout session_check database "
     "default_format buffer_size wait_end_of_query stacktrace client_protocol_version").split()
)  # fmt: skip
"""Parameters that are no settings of the engine."""
_NOT_HERE = frozenset(("compress", "decompress", "role", "close_session"))
_GIVES = re.compile(
    r"\s*(?:/\*.*?\*/\s*)*(?:SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN|KILL|\()\b", re.S | re.I
)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.I)
_INSERT = re.compile(rb"\s*INSERT\s+INTO\s.*?\bFORMAT\s+(\w+)[ \t]*\r?\n?", re.S | re.I)
_PIECE = re.compile(
    r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:\\.|[^`\\])*`|/\*.*?\*/|--[^\n]*|(?P<end>;)", re.S
)
_CODE = re.compile(r"Code: (\d+)\.")
_STATUS = {
    **dict.fromkeys((194,), 401),
    **dict.fromkeys((192, 193, 516, 497, 512), 403),
    **dict.fromkeys((36, 427, 6, 25, 26, 38, 41, 72, 676, 675, 376, 27, 15, 44, 8, 90, 91, 167,
                     168, 223, 62, 117, 53, 321), 400),
    **dict.fromkeys((60, 46, 47, 50, 56, 81, 115, 63, 73, 78, 511), 404),
    **dict.fromkeys((209, 76, 439), 503),
    159: 408,
    48: 501,
}  # fmt: skip
_TYPES = {"TabSeparated": "text/tab-separated-values; charset=UTF-8", "JSON": "application/json"}


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


class Refused(Exception):
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
            raise Refused(48, "NOT_IMPLEMENTED", "A session here stays as readonly as it was")
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
            raise Refused(374, "INVALID_SESSION_TIMEOUT", "Session timeout is larger than 3600")
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
                raise Refused(372, "SESSION_NOT_FOUND", f"Session {name} not found")
            if known is None:
                known = self._sessions[user, name] = Session(chdb.connect(self._where))
            if not known.lock.acquire(blocking=False):
                raise Refused(373, "SESSION_IS_LOCKED", f"Session {name} is locked by a client")
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


class Answer:
    """What goes back for one request.

    Args:
        handler: of the request.
        whole: whether nothing goes out before the end.
    """

    def __init__(self, handler: Handler, *, whole: bool) -> None:
        self._handler = handler
        self._whole = whole
        self._held = bytearray()
        self._begun = self._headed = False
        self._tag = uuid.uuid4().hex[:16]
        self.headers = {"X-ClickHouse-Query-Id": str(uuid.uuid4())}

    def progress(self, text: str) -> None:
        """A header, before all others are written."""
        if not self._headed:
            self._begin(200)
            self._raw(f"X-ClickHouse-Progress: {text}\r\n".encode())

    def write(self, data: bytes) -> None:
        """Some of the body."""
        self._held += data
        if len(self._held) > BUFFER and not self._whole:
            self._flush()

    def end(self) -> None:
        """All of it was written."""
        self._flush()
        self._raw(b"0\r\n\r\n")

    def fail(self, text: str) -> None:
        """An error, wherever the answer is."""
        code = _CODE.search(text)
        number = int(code.group(1)) if code else 1002
        body = (
            f"{text.strip()} (version {self._handler.engine.version} (official build))\n".encode()
        )
        if self._headed:
            self._fail_midway(body)
            return
        self._held = bytearray(body)
        self.headers |= {
            "X-ClickHouse-Exception-Code": str(number),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if self._begun:
            # The status went out before the error was known.
            self._raw(f"X-ClickHouse-Exception-Code: {number}\r\n".encode())
        self._flush(_STATUS.get(number, 500))
        self._raw(b"0\r\n\r\n")

    def _fail_midway(self, body: bytes) -> None:
        """The body breaks off: its last piece never comes."""
        if self._handler.engine.settings.tagged:
            tag = self._tag.encode()
            body = (
                b"\r\n__exception__\r\n" + tag + b"\r\n" + body
                + str(len(body)).encode() + b" " + tag + b"\r\n__exception__\r\n"
            )  # fmt: skip
        else:
            body = b"__exception__\r\n" + body
        self._held += body
        self._flush()
        self._handler.close_connection = True

    def _flush(self, status: int = 200) -> None:
        if not self._headed:
            self._begin(status)
            self._raw(b'X-ClickHouse-Summary: {"read_rows":"0"}\r\n\r\n')
            self._headed = True
        if self._held:
            self._raw(f"{len(self._held):x}\r\n".encode() + bytes(self._held) + b"\r\n")
            self._held.clear()

    def _begin(self, status: int) -> None:
        if self._begun:
            return
        self._begun = True
        lines = {
            "Connection": "Keep-Alive",
            "Content-Type": "text/plain; charset=UTF-8",
            "Transfer-Encoding": "chunked",
            "X-ClickHouse-Server-Display-Name": "test",
            "X-ClickHouse-Timezone": self._handler.engine.zone,
            **({"X-ClickHouse-Exception-Tag": self._tag} if self._handler.tagged else {}),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._raw(f"HTTP/1.1 {status} Status\r\n{head}".encode())

    def _raw(self, data: bytes) -> None:
        self._handler.wfile.write(data)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    @property
    def tagged(self) -> bool:
        """See `Settings`."""
        return self.engine.settings.tagged

    def log_message(self, *args: object) -> None:
        """There is a log of our own."""

    def do_GET(self) -> None:
        """A request that may only read."""
        if urlsplit(self.path).path in ("/ping", "/"):
            if not urlsplit(self.path).query:
                self._plain(200, b"Ok.\n")
                return
        self._answer({"readonly": "2"})

    def do_POST(self) -> None:
        """Any request."""
        if urlsplit(self.path).path.startswith("/mf/"):
            self._body()
            # For tests alone.
            try:
                (self.engine.forget if self.path == "/mf/forget" else self.engine.reopen)()
                self._plain(200, b"Ok.\n")
            except RuntimeError as error:
                self._plain(500, str(error).encode())
            return
        self._answer({})

    def _plain(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, more: dict[str, str]) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = _plain(self._body(), self.headers.get("Content-Encoding", ""))
        answer = Answer(self, whole=given.get("wait_end_of_query") in ("1", "true"))
        if given.get("query_id"):
            answer.headers["X-ClickHouse-Query-Id"] = given["query_id"]
        try:
            user = self._user(given)
            self._run(user, given, more, body, answer)
        except (Refused, RuntimeError) as error:
            answer.fail(str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _user(self, given: dict[str, str]) -> str:
        """Who asks, in one of three ways."""
        ways = []
        if "X-ClickHouse-User" in self.headers or "X-ClickHouse-Key" in self.headers:
            key = self.headers.get("X-ClickHouse-Key", "")
            ways.append((self.headers.get("X-ClickHouse-User", "default"), key))
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            name, _, password = base64.b64decode(said).decode().partition(":")
            ways.append((name, password))
        if "user" in given or "password" in given:
            ways.append((given.get("user", "default"), given.get("password", "")))
        if len(ways) > 1:
            raise Refused(516, "AUTHENTICATION_FAILED", "Several ways to authenticate at once")
        name, password = ways[0] if ways else ("default", "")
        users = self.engine.settings.users
        # Latin-1 is what the header's bytes come as.
        given_bytes = password.encode("latin-1", "replace")
        if name not in users or users[name].encode() not in (given_bytes, password.encode()):
            raise Refused(
                516,
                "AUTHENTICATION_FAILED",
                f"{name}: Authentication failed: password is incorrect, or there is no user with "
                "such name",
            )
        return name

    def _run(
        self,
        user: str,
        given: dict[str, str],
        more: dict[str, str],
        body: bytes,
        answer: Answer,
    ) -> None:
        if unknown := sorted(given.keys() & _NOT_HERE):
            raise Refused(48, "NOT_IMPLEMENTED", f"{unknown[0]} is not served here")
        settings = {k: v for k, v in given.items() if k not in _OWN and not k.startswith("param_")}
        settings = more | settings
        text, data = _split(given.get("query", "").encode(), body)
        url = self.path if "query" not in given else self.path.partition("?")[0]
        self.engine.note({"url": url, "query": text, "headers": sorted(self.headers.keys())})
        if [m for m in _PIECE.finditer(text) if m.group("end") and text[m.end() :].strip()]:
            raise Refused(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        with self.engine.session(user, given) as session:
            session.client = self.connection
            session.apply(settings)
            if given.get("database"):
                session.connection.query(f"USE `{given['database'].replace('`', chr(92) + '`')}`")
            run = Run(self, session, settings, answer)
            if data is not None:
                run.insert(text, data)
            elif _GIVES.match(text):
                run.query(text, given.get("default_format", self._default_format()))
            else:
                run.statement(text)

    def _default_format(self) -> str:
        return str(self.headers.get("X-ClickHouse-Format", "TabSeparated"))


class Run:
    """One statement."""

    def __init__(
        self, handler: Handler, session: Session, settings: dict[str, str], answer: Answer
    ) -> None:
        self._handler = handler
        self._engine = handler.engine
        self._session = session
        self._answer = answer
        name = uuid.uuid4().hex
        self._mark = f"/*{name}*/"
        self._place = Path(self._engine.settings.folder) / name
        self._error: str | None = None
        readonly = settings.get("readonly", "0") != "0"
        cancels = settings.get("cancel_http_readonly_queries_on_client_close", "0")
        self._cancels = readonly and cancels in ("1", "true")
        self._tells = settings.get("send_progress_in_http_headers", "0") in ("1", "true")
        self._every = float(settings.get("http_headers_progress_interval_ms", "100")) / 1000

    def insert(self, text: str, data: bytes) -> None:
        """Rows of the body."""
        self._place.write_bytes(data)
        head, kind = re.split(r"\bFORMAT\s+(\w+)\s*$", text, flags=re.I)[:2]
        try:
            self._wait(f"{head} FROM INFILE '{self._place}' FORMAT {kind}")
        finally:
            self._place.unlink()
        self._finish()

    def statement(self, text: str) -> None:
        """One that has no result."""
        self._wait(text)
        self._finish()

    def query(self, text: str, default: str) -> None:
        """One whose result is written as the engine writes it."""
        text = text.rstrip().rstrip(";")
        named = _FORMAT.search(text)
        kind = named.group(1) if named else default
        bare = text[: named.start()] if named else text
        self._answer.headers["X-ClickHouse-Format"] = kind
        self._answer.headers["Content-Type"] = _TYPES.get(kind, "application/octet-stream")
        os.mkfifo(self._place)
        pipe = os.open(self._place, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._wait(f"{bare}\n INTO OUTFILE '{self._place}' TRUNCATE FORMAT {kind}", pipe)
        finally:
            os.close(pipe)
            self._place.unlink()
        self._finish()

    def _finish(self) -> None:
        if self._error is not None:
            self._answer.fail(self._error)
        else:
            self._answer.end()

    def _wait(self, text: str, pipe: int | None = None) -> None:
        thread = threading.Thread(target=self._execute, args=(f"{self._mark} {text}",))
        thread.start()
        told = time.monotonic()
        gone = False
        try:
            while thread.is_alive() or (pipe is not None and _has_more(pipe)):
                gone = gone or self._is_gone()
                if gone and self._cancels:
                    self._engine.kill(self._mark)
                self._pump(pipe, thrown_away=gone)
                if self._tells and not gone and time.monotonic() - told > self._every:
                    told = time.monotonic()
                    self._answer.progress(self._engine.progress(self._mark))
        finally:
            if pipe is not None and thread.is_alive():
                # Whoever writes to it must not wait for ever.
                self._engine.kill(self._mark)
                while thread.is_alive():
                    self._pump(pipe, thrown_away=True)
            thread.join()
        if gone:
            raise BrokenPipeError

    def _execute(self, text: str) -> None:
        try:
            self._session.connection.query(text)
        except RuntimeError as error:
            self._error = str(error)

    def _pump(self, pipe: int | None, *, thrown_away: bool) -> None:
        if pipe is None:
            time.sleep(0.002)
            return
        ready, _, _ = select.select([pipe], [], [], 0.02)
        data = b""
        with suppress(BlockingIOError):
            data = os.read(pipe, 1 << 16) if ready else b""
        if ready and not data:
            # Nobody has it open yet, or any more.
            time.sleep(0.001)
        if data and not thrown_away:
            try:
                self._answer.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self._engine.kill(self._mark) if self._cancels else None
                raise

    def _is_gone(self) -> bool:
        """Whether the client has closed its end."""
        with suppress(OSError, ValueError):
            ready, _, _ = select.select([self._handler.connection], [], [], 0)
            if not ready:
                return False
            if isinstance(self._handler.connection, ssl.SSLSocket):
                return False
            return not self._handler.connection.recv(1, socket.MSG_PEEK)
        return True


def _has_more(pipe: int) -> bool:
    ready, _, _ = select.select([pipe], [], [], 0)
    if not ready:
        return False
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(0))


def _plain(body: bytes, encoding: str) -> bytes:
    """A body without the compression that its client names."""
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    name = {"lz4": "lz4.frame", "zstd": "backports.zstd"}[encoding]
    return bytes(import_module(name).decompress(body))


def _split(first: bytes, body: bytes) -> tuple[str, bytes | None]:
    """The text of a statement, and the data of an INSERT."""
    whole = first + b"\n" + body if first and body else first + body
    found = _INSERT.match(whole)
    if found is None:
        return whole.decode(), None
    return whole[: found.end()].decode().strip(), whole[found.end() :]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def main() -> None:
    """Serve until the end of standard input."""
    settings = Settings(**json.loads(sys.argv[1]))
    tempfile.tempdir = settings.folder
    Handler.engine = Engine(settings)
    server = ThreadingHTTPServer(("127.0.0.1", settings.port), Handler)
    server.daemon_threads = True
    if settings.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
