"""ClickHouse's HTTP interface as its documentation has it, before the engine of a wheel.

Run as a program: one JSON object of `Settings` is its only word, and it prints its port. The
engine, what it computes, its types, errors, sessions that only read and its temporary tables are
ClickHouse's own; only what stands between it and a client is written here and beside:
https://clickhouse.com/docs/interfaces/http. What the interface has and this has not is answered
with 501. Everybody who logs in is the one user of the engine.
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
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from clickhouse_answers import Answer
from clickhouse_sessions import Engine, RefusedError, Session, Settings

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
_TYPES = {"TabSeparated": "text/tab-separated-values; charset=UTF-8", "JSON": "application/json"}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    def log_message(self, *args: object) -> None:
        """There is a log of our own."""

    def do_GET(self) -> None:
        """A request that may only read."""
        if urlsplit(self.path).path in ("/ping", "/") and not urlsplit(self.path).query:
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
        answer = Answer(
            self.wfile,
            whole=given.get("wait_end_of_query") in ("1", "true"),
            tagged=self.engine.settings.tagged,
            version=self.engine.version,
            zone=self.engine.zone,
        )
        if given.get("query_id"):
            answer.headers["X-ClickHouse-Query-Id"] = given["query_id"]
        try:
            user = self._user(given)
            self._run(user, given, more, body, answer)
        except (RefusedError, RuntimeError) as error:
            answer.fail(str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        self.close_connection = self.close_connection or answer.broken

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
            raise RefusedError(516, "AUTHENTICATION_FAILED", "Several ways to authenticate at once")
        name, password = ways[0] if ways else ("default", "")
        users = self.engine.settings.users
        # Latin-1 is what the header's bytes come as.
        given_bytes = password.encode("latin-1", "replace")
        if name not in users or users[name].encode() not in (given_bytes, password.encode()):
            raise RefusedError(
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
            raise RefusedError(48, "NOT_IMPLEMENTED", f"{unknown[0]} is not served here")
        settings = {k: v for k, v in given.items() if k not in _OWN and not k.startswith("param_")}
        settings = more | settings
        text, data = _split(given.get("query", "").encode(), body)
        url = self.path if "query" not in given else self.path.partition("?")[0]
        self.engine.note({"url": url, "query": text, "headers": sorted(self.headers.keys())})
        if [m for m in _PIECE.finditer(text) if m.group("end") and text[m.end() :].strip()]:
            raise RefusedError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
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
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
