"""The smallest server a load test needs: it parses each body and confirms its row count.

Streams of the standard library: a framework's own cost per body would hide what is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import orjson

AUDIENCE_ID = "120200000000000001"
TAKING = "/take/"
"""Below it, any name: bodies of rows are taken in, and a GET tells what came."""
_BODY_MAX = 1 << 26


@dataclass
class _Taken:
    """What came to one address."""

    requests: int = 0
    rows: int = 0
    ids: int = 0
    points: int = 0

    def take(self, body: Any) -> dict[str, object]:
        """Add what stands in a body."""
        rows = body if isinstance(body, list) else [body]
        if isinstance(body, dict) and "type" in body:
            rows = body["data"].get("rows", [])  # a ping has none
        self.requests += 1
        self.rows += len(rows)
        self.ids += sum(row["id"] for row in rows)
        self.points += sum(row["points"] for row in rows)
        return {}


class CountingServer:
    """Answers any `users` call with the number of rows it parsed, and keeps one audience.

    Below `TAKING` it takes rows: a JSON list of them, one alone, or a message of Mayfly's webhook;
    and tells how many came, in how many requests, and what their `id` and `points` add up to.

    `rows` and `requests` tell what came so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.requests = 0
        self._audiences: list[dict[str, str]] = []
        self._taken: dict[str, _Taken] = {}

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
        if path.startswith(TAKING):
            taken = self._taken.setdefault(path, _Taken())
            return asdict(taken) if method == "GET" else taken.take(orjson.loads(body))
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
