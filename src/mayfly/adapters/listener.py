"""A listener for probes and metrics: a few paths, GET alone, no body read, nothing logged."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn

from mayfly.domain.errors import ConfigError

_START_SECONDS = 20.0
_ANSWER_SECONDS = 10.0
_FAILED_SECONDS = 5.0
_CONNECTIONS_MAX = 32
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_TEXT = "text/plain; charset=utf-8"
_Message = MutableMapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a path says."""

    status: int = 200
    body: bytes = b"ok\n"
    content_type: str = _TEXT


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where to listen.

    Args:
        host: an address of this machine.
        port: 0 for any that is free.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback


def listen_address(text: str, *, public: bool) -> Address:
    """`ADDRESS:PORT`, of which the address is a literal one.

    Args:
        text: as it was written.
        public: whether somebody said that others may reach it.

    Raises:
        ConfigError: `listen_address`, it is none; `listen_public`.
    """
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        number = int(port) if port.isascii() and port.isdigit() else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 65_535:
        raise ConfigError(
            "listen_address",
            "Expected an address and a port to listen on.",
            hint="Write --listen 127.0.0.1:9464.",
        )
    if not address.is_loopback and not public:
        raise ConfigError(
            "listen_public",
            "Others than this machine could reach the address to listen on.",
            hint="Listen on 127.0.0.1. Where a network policy says who may ask, add "
            "--listen-public, or serve.public: true: whoever reaches it reads names of syncs.",
        )
    return Address(host=str(address), port=number)


@dataclass(kw_only=True)
class Kept:
    """An answer that is made again after some seconds only, by one caller at a time.

    Args:
        make: makes it; may block.
        seconds: how long it holds; one that is not good holds for 5 at most.
        late: what is said while another caller waits for it too long.
        turn: held while it is made; several may share one.
    """

    make: Callable[[], Answer]
    seconds: float
    late: Answer
    turn: threading.Lock = field(default_factory=threading.Lock)
    _answer: Answer | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def __call__(self) -> Answer:
        """The answer."""
        if not self.turn.acquire(timeout=_ANSWER_SECONDS / 2):
            return self.late
        try:
            if self._answer is None or time.monotonic() >= self._until:
                self._answer = self.make()
                good = self._answer.status == 200
                self._until = time.monotonic() + (
                    self.seconds if good else min(self.seconds, _FAILED_SECONDS)
                )
            return self._answer
        finally:
            self.turn.release()


class Listener:
    """Answers in a thread of its own while the `with` block runs.

    Args:
        address: where.
        answers: by path, what makes each answer; called in threads, and may block.

    Raises:
        ConfigError: `port_taken`; on entry `listener_not_started`.
    """

    def __init__(self, address: Address, answers: Mapping[str, Callable[[], Answer]]) -> None:
        self._answers = answers
        self._loopback = address.is_loopback
        self._socket = _bound(address)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._server = _Announcing(_config(self._asgi), self._ready.set)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            self._socket.close()
            raise ConfigError("listener_not_started", "The listener did not start in time.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
        self._socket.close()

    async def _asgi(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """`receive` is never called: what a request carries is not read."""
        del receive
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        body = b"" if scope["method"] == "HEAD" else answer.body
        headers = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **_HEADERS,
        }
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: _Message) -> Answer:
        make = self._answers.get(scope["path"])
        if self._loopback and not _names_loopback(scope["headers"]):
            return _said(421, "This listener is for this machine.")
        if make is None:
            return _said(404, "Nothing is here.")
        if scope["method"] not in ("GET", "HEAD"):
            return _said(405, "Only GET.")
        try:
            return await asyncio.wait_for(asyncio.to_thread(make), _ANSWER_SECONDS)
        except Exception:
            # Whatever it is, its words are nobody's: they may hold what a library was handed.
            return _said(503, "No answer could be made.")


def _said(status: int, text: str) -> Answer:
    return Answer(status=status, body=f"{text}\n".encode())


def _names_loopback(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request was meant for loopback: a page in a browser, whose own name was made to
    lead here, names itself.
    """
    named = [value for name, value in headers if name == b"host"]
    if len(named) != 1:
        return False
    host = named[0].decode("latin-1").rpartition(":")[0] or named[0].decode("latin-1")
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Announcing(uvicorn.Server):
    """Says when it takes connections."""

    def __init__(self, config: uvicorn.Config, say: Callable[[], object]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._say()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        http="h11",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise ConfigError(
            "port_taken",
            f"Port {address.port} of that address cannot be used.",
            hint="Choose another with --listen, or stop what listens there.",
        ) from None
    return listener
