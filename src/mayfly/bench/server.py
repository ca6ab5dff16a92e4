"""The smallest server a load test needs: it parses each body and confirms its row count.

Streams of the standard library: a framework's own cost per body would hide what is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection

import orjson

AUDIENCE_ID = "120200000000000001"
_BODY_MAX = 1 << 26


class CountingServer:
    """Answers any `users` call with the number of rows it parsed, and keeps one audience.

    `rows` and `requests` tell what came so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.requests = 0
        self._audiences: list[dict[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one kept-alive connection to its end."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                body = await reader.readexactly(_length(head))
                method, path = head.split(" ", 2)[:2]
                answer = orjson.dumps(self._answer(method, path.partition("?")[0], body))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(answer) + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> dict[str, object]:
        self.requests += 1
        node = path.rstrip("/").rpartition("/")[2]
        if not path.endswith("/users"):
            if method == "GET":
                return {"data": self._audiences} if node == "customaudiences" else {"id": node}
            self._audiences = [{"id": AUDIENCE_ID, "name": orjson.loads(body)["name"]}]
            return {"id": AUDIENCE_ID}
        count = len(orjson.loads(body)["payload"]["data"])
        self.rows += count
        return {
            "audience_id": AUDIENCE_ID,
            "session_id": "1",
            "num_received": count,
            "num_invalid_entries": 0,
            "invalid_entry_samples": {},
        }


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


class ServerProcess:
    """The server in a process of its own; `with ServerProcess() as url`."""

    def __enter__(self) -> str:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        return str(ours.recv())

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.join(10)


def _serve(pipe: Connection) -> None:
    asyncio.run(_forever(pipe))


async def _forever(pipe: Connection) -> None:
    listening = await asyncio.start_server(CountingServer().serve, "127.0.0.1", 0, limit=_BODY_MAX)
    pipe.send(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    async with listening:
        await listening.serve_forever()
