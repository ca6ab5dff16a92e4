"""What a platform that the sandbox plays has to be; one module each, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response


class Vendor(Protocol):
    """One platform, as strict as its vendor.

    Attributes:
        name: type of destination in the project files.
    """

    name: str

    def takes(self, path: str) -> bool:
        """Whether a path is one of this platform's; no two take the same."""

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """What the vendor answers.

        Args:
            request: as it came.
            body: of it, whole.
            partial: whether the first row is to be refused, in the vendor's own way, although
                nothing is wrong with it.
        """

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """How the vendor says 503, 429, 401 and 400 (`100` for Meta's own number).

        Args:
            kind: one of these.
            path: of the request.
            headers: with `retry-after` where a fault has one.
        """

    def members(self, query: Mapping[str, str]) -> Any:
        """What a list or table holds, by the query's `audience`; None where there is none."""

    def lists(self) -> list[dict[str, Any]]:
        """Lists or tables with their names and counts."""

    def reset(self) -> None:
        """Forget everything."""


def as_json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )
