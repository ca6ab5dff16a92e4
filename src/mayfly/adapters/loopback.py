"""The end of a log-in: one callback of a browser, on loopback (RFC 8252)."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from mayfly.domain.errors import ConfigError

WAIT_SECONDS = 120.0
PATH = "/callback"
_HOST = "127.0.0.1"
_HEAD_BYTES_MAX = 16_384
_CONNECTIONS_MAX = 16
_REQUEST = re.compile(rb"GET ([!-~]{1,8192}) HTTP/1\.[01]\r\n")
_TEXTS = {
    200: "You are connected as far as the browser goes. Close this window and look at Mayfly.",
    400: "This was not accepted. Close this window and look at Mayfly.",
    404: "Nothing is here.",
}


@dataclass
class _Peer:
    """One connection, and what it sent so far."""

    socket: socket.socket
    head: bytearray = field(default_factory=bytearray)


class CallbackListener:
    """Listens on a port of 127.0.0.1 from the first line of the `with` block to its end.

    Args:
        host: what the browser is to call it.
        port: 0 for a free one.
        seconds: after which nothing is waited for any more.
        monotonic: a clock in seconds.

    Raises:
        ConfigError: `callback_port`, another program has the port.
    """

    def __init__(
        self,
        *,
        host: str = _HOST,
        port: int = 0,
        seconds: float = WAIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self._host = host
        try:
            self._listener = socket.create_server((_HOST, port))
        except OSError:
            raise ConfigError(
                "callback_port",
                f"Port {port} of {_HOST}, which the browser is to come back to, cannot be had.",
                hint="End the program that has it, and run `mayfly connect` again.",
            ) from None
        self._listener.setblocking(False)
        self._port: int = self._listener.getsockname()[1]
        self._peers: dict[int, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)

    @property
    def redirect_uri(self) -> str:
        """Where the browser is to be sent back."""
        return f"http://{self._host}:{self._port}{PATH}"

    def wait(self, accepts: Callable[[Mapping[str, str]], bool]) -> Mapping[str, str]:
        """The parameters of the first callback, empty where it has one twice; then nothing listens.

        Other requests get 404, and connections that say nothing are left alone: browsers open
        those ahead of time.

        Args:
            accepts: whether the browser is told that it went well.

        Raises:
            ConfigError: `callback_timeout`.
        """
        while True:
            remaining = self._deadline - self._monotonic()
            if remaining <= 0:
                self.close()
                raise ConfigError(
                    "callback_timeout",
                    f"The browser did not come back within {self._seconds:g} seconds.",
                    hint="Run `mayfly connect` again.",
                )
            for key, _ in self._selector.select(remaining):
                if key.fileobj is self._listener:
                    self._accept()
                elif (given := self._read(self._peers[key.fd])) is not None:
                    self._listener.close()
                    self._answer(self._peers[key.fd], 200 if accepts(given) else 400)
                    self.close()
                    return given

    def close(self) -> None:
        """Close every socket. May be repeated."""
        self._listener.close()
        for peer in self._peers.values():
            peer.socket.close()
        self._peers.clear()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        try:
            found, _ = self._listener.accept()
        except OSError:
            return
        if len(self._peers) >= _CONNECTIONS_MAX:
            found.close()
            return
        found.setblocking(False)
        self._peers[found.fileno()] = _Peer(found)
        self._selector.register(found, selectors.EVENT_READ)

    def _read(self, peer: _Peer) -> Mapping[str, str] | None:
        """The parameters, once a whole request for the callback is there."""
        try:
            piece = peer.socket.recv(_HEAD_BYTES_MAX)
        except OSError:
            piece = b""
        peer.head += piece
        if not piece or len(peer.head) > _HEAD_BYTES_MAX:
            self._drop(peer)
            return None
        if b"\r\n\r\n" not in peer.head:
            return None
        request = _REQUEST.match(peer.head)
        path, _, query = request[1].decode("ascii").partition("?") if request else ("", "", "")
        # A page elsewhere may have its name resolve to this machine; it would say so here.
        named = f"\r\nhost: {self._host}:{self._port}\r\n".encode() in peer.head.lower()
        if path != PATH or not named:
            self._answer(peer, 404)
            self._drop(peer)
            return None
        pairs = parse_qsl(query, keep_blank_values=True)
        return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else {}

    def _drop(self, peer: _Peer) -> None:
        self._selector.unregister(peer.socket)
        del self._peers[peer.socket.fileno()]
        peer.socket.close()

    def _answer(self, peer: _Peer, status: int) -> None:
        text = _TEXTS[status].encode()
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\n"
            "content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
            f"referrer-policy: no-referrer\r\ncontent-length: {len(text)}\r\n"
            "connection: close\r\n\r\n"
        )
        try:
            peer.socket.sendall(head.encode() + text)
        except OSError:
            return  # who does not listen needs no answer
