"""An HTTP client that keeps to the limits of a destination's account."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mayfly.ports.http import HttpClient, HttpReply
from mayfly.services.limited import AccountGate


class LimitedHttpClient:
    """See `HttpClient`: every request is counted, also one that only asks."""

    def __init__(self, inner: HttpClient, gate: AccountGate) -> None:
        self._inner = inner
        self._gate = gate

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
        """See the port."""
        async with self._gate.request():
            return await self._inner.request(
                method,
                url,
                params=params,
                headers=headers,
                content=content,
                form=form,
                timeout_seconds=timeout_seconds,
            )

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
        """See the port."""
        async with self._gate.request():
            return await self._inner.stream(
                method,
                url,
                headers=headers,
                take=take,
                bytes_max=bytes_max,
                timeout_seconds=timeout_seconds,
            )

    async def close(self) -> None:
        """See the port."""
        await self._inner.close()
