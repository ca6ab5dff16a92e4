"""The smallest server a load test needs: it parses a body and confirms its row count."""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

AUDIENCE_ID = "120200000000000001"


class CountingApp:
    """Answers any `users` call with the number of rows it parsed, and creates one audience.

    `rows` and `requests` tell what came so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        parts: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        self.requests += 1
        body = orjson.dumps(self._answer(scope["method"], scope["path"], b"".join(parts)))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, body: bytes) -> dict[str, object]:
        node = path.rstrip("/").rpartition("/")[2]
        if not path.endswith("/users"):
            if method == "GET":
                return {"data": []} if node == "customaudiences" else {"id": node}
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
