"""What the sandbox received, kept in memory up to a limit."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

BODY_BYTES_MAX = 512 * 1024 * 1024
REQUESTS_MAX = 100_000
_HEADERS = ("content-type", "content-length", "user-agent")
_SECRET = frozenset({"access_token", "appsecret_proof", "assertion", "client_secret"})


class Recorder:
    """Keeps requests in order; past the limits it counts them and keeps no more.

    Args:
        record_bodies: whether to keep bodies at all.
        body_bytes_max: bytes of all bodies kept together.
    """

    def __init__(self, *, record_bodies: bool = True, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._record_bodies = record_bodies
        self._bytes_max = body_bytes_max
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._kept: list[tuple[dict[str, Any], bytes | None]] = []
        self._bytes = 0
        self.total = 0

    def add(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
        """Keep one request without its credentials."""
        self.total += 1
        if len(self._kept) >= REQUESTS_MAX:
            return
        keep = self._record_bodies and self._bytes + len(body) <= self._bytes_max
        self._bytes += len(body) if keep else 0
        entry = {
            "method": method,
            "path": path,
            "query": redacted(query),
            "headers": {name: headers[name] for name in _HEADERS if name in headers},
        }
        self._kept.append((entry, body if keep else None))

    def requests(self) -> list[dict[str, Any]]:
        """Every kept request; `body` is null where it was not kept."""
        return [entry | {"body": _text(entry, body)} for entry, body in self._kept]


def redacted(query: str) -> str:
    """A query or form without its credentials."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(key, "redacted" if key in _SECRET else value) for key, value in pairs])


def _text(entry: dict[str, Any], body: bytes | None) -> str | None:
    if body is None:
        return None
    text = body.decode("utf-8", "replace")
    form = entry["headers"].get("content-type", "").startswith("application/x-www-form-urlencoded")
    return redacted(text) if form and any(name in text for name in _SECRET) else text
