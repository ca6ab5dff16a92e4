"""The port of HTTP: one request, one bounded reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, repr=False)
class HttpReply:
    """What a server answered. `repr` gives the status and the size only.

    Args:
        status: HTTP status; redirects are replies like any other and are never followed.
        headers: names in lower case.
        body: at most as long as the client's bound.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpReply(status={self.status}, bytes={len(self.body)})"


class HttpClient(Protocol):
    """Sends requests to the hosts of one run, and to no others. Async, on one loop.

    Calls may run concurrently. Nothing is repeated: a caller that repeats must know that it may.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request and read the whole reply within `timeout_seconds`.

        Secrets and personal data belong in `headers`, `content` or `form`, never in `url` or
        `params`. At most one of `content` and `form` is given.

        Raises:
            PolicyError: `host_not_allowed`, `plain_http`; nothing was sent.
            TransientError: `destination_unreachable`, `destination_timeout`; the request may
                have been carried out.
            ContractError: `answer_too_large`, `answer_encoded`.
        """

    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        take: Callable[[bytes], None],
        bytes_max: int,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request and hand the body of a 2xx reply on, piece by piece, keeping nothing.

        `take` is called with each piece, of `bytes_max` in all, and the reply that is returned has
        no body. Of any other status the body is in the reply, and `take` is not called.

        Raises:
            EngineError: as `request`, after which some pieces may have been taken.
        """

    async def close(self) -> None:
        """Release connections. May be repeated."""
