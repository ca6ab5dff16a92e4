"""A server seen through a wire that keeps what it says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """What a server sent to its clients, of all connections one after the other.

    Args:
        port: the clients' end, on loopback.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._parts: list[bytearray] = []

    @property
    def sent(self) -> bytes:
        """Everything so far."""
        return b"\n".join(map(bytes, self._parts))

    def new_part(self) -> bytearray:
        """Takes what is sent on one connection."""
        self._parts.append(bytearray())
        return self._parts[-1]


@contextmanager
def wire_to(host: str, port: int) -> Iterator[Wire]:
    """A wire to a server's port while the block runs; clients are gone before it ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = Wire(listening.getsockname()[1])
        accepting = threading.Thread(target=_accept, args=(listening, (host, port), wire))
        accepting.start()
        try:
            yield wire
        finally:
            # Closing alone wakes nobody who waits for a client.
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listening: socket.socket, server: tuple[str, int], wire: Wire) -> None:
    running = []
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            upstream = socket.create_connection(server)
            running.append(threading.Thread(target=_join, args=(client, upstream, wire)))
            running[-1].start()
    for thread in running:
        thread.join()


def _join(client: socket.socket, server: socket.socket, wire: Wire) -> None:
    asked = threading.Thread(target=_pump, args=(client, server, None))
    with client, server:
        asked.start()
        _pump(server, client, wire.new_part())
        asked.join()


def _pump(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if kept is not None:
                kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
