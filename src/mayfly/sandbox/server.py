"""Serves the sandbox on loopback, in the foreground or beside a test."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from mayfly.domain.errors import ConfigError
from mayfly.sandbox.app import SandboxApp

DEFAULT_PORT = 8765
_HOST = "127.0.0.1"
_START_SECONDS = 20.0


def run_sandbox(port: int = DEFAULT_PORT) -> None:
    """Serve until interrupted. Blocks.

    Raises:
        ConfigError: `port_taken` where another program listens there.
    """
    listener = _listen(port)
    try:
        said = f"Plays the APIs of Meta and Google on http://{_HOST}:{port}, until Ctrl-C.\n"
        with suppress(KeyboardInterrupt):
            _Announcing(_config(SandboxApp()), lambda: sys.stderr.write(said)).run([listener])
    finally:
        listener.close()


class LoopbackServer:
    """Serves an application in a thread of its own while the `with` block runs.

    Args:
        app: the ASGI application.
        port: 0 takes any free one.
    """

    def __init__(self, app: ASGIApp, *, port: int = 0) -> None:
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}"
        self._ready = threading.Event()
        self._server = _Announcing(_config(app), self._ready.set)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def start(self) -> Self:
        """Begin to serve; returns once connections are taken."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise ConfigError("sandbox_not_started", "The loopback server did not start in time.")
        return self

    def stop(self) -> None:
        """Stop serving, cutting requests that hang. May be repeated."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_START_SECONDS)
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class SandboxServer(LoopbackServer):
    """The sandbox in a thread: `with SandboxServer() as sandbox: sandbox.url`."""

    def __init__(
        self,
        *,
        port: int = 0,
        app_secret: str | None = None,
        tokens: frozenset[str] | None = None,
        record_bodies: bool = True,
    ) -> None:
        self.app = SandboxApp(app_secret=app_secret, tokens=tokens, record_bodies=record_bodies)
        super().__init__(self.app, port=port)


class _Announcing(uvicorn.Server):
    """Says when it takes connections, and signals, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config, say: Callable[[], object]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._say()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise ConfigError(
            "port_taken",
            f"Port {port} of loopback cannot be used.",
            hint="Choose another with --port.",
        ) from None
    return listener
