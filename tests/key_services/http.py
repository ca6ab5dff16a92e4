"""An HTTP server in this process that can also fall silent, trickle, or be gone."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

Mood = Literal["answers", "silent", "trickles"]


class JsonServer:
    """Answers JSON; a subclass says what. `mood` may change at any time."""

    def __init__(self) -> None:
        self.mood: Mood = "answers"
        self.status: int | None = None
        """Answer everything with this status."""
        self.requests = 0
        self.lock = threading.RLock()
        self._over = threading.Event()
        self._stopped = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._stopped = True
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Status and document for one request."""
        raise NotImplementedError

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with owner.lock:
                    owner.requests += 1
                if owner._stopped:  # a connection that was kept
                    self.close_connection = True
                    return
                try:
                    owner._reply(self, body)
                except ConnectionError:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = _serve  # noqa: N815

        return Handler

    def _reply(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.mood == "silent":
            self._over.wait()
            handler.close_connection = True
            return
        with self.lock:
            status, document = self.answer(handler.command, handler.path, handler.headers, body)
        if self.status is not None:
            status, document = self.status, {"errors": ["canary-text"], "__type": "canary"}
        data = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if self.mood == "trickles":
            for byte in data:  # each byte starts a client's own time limit anew
                handler.wfile.write(bytes([byte]))
                if self._over.wait(0.2):
                    break
            handler.close_connection = True
            return
        handler.wfile.write(data)
