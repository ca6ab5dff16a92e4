"""HTTP over httpx, closed on every side that a run does not need."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import certifi
import httpx

from mayfly.adapters.processes import refuse_key_log
from mayfly.domain.errors import (
    ContractError,
    EngineError,
    PolicyError,
    TransientError,
)
from mayfly.ports.http import HttpReply
from mayfly.privacy.closed_logs import close_logs

REPLY_BYTES_MAX = 4 * 1024 * 1024
CONNECT_SECONDS = 10.0
CONNECTIONS_MAX = 16


class HttpxClient:
    """`HttpClient` for the hosts of one run.

    Certificates are verified under TLS 1.2 or later, environment variables are not heeded,
    redirects are not followed, cookies are not kept. Plain HTTP is for literal loopback only.

    Args:
        allowed_hosts: exact host names or addresses; anything else is refused before a lookup.
        reply_bytes_max: bound of one reply's body.
        transport: for tests; the real network when None.

    Raises:
        ConfigError: `tls_key_log`: this process would write its TLS keys to a file.
    """

    def __init__(
        self,
        allowed_hosts: Iterable[str],
        *,
        reply_bytes_max: int = REPLY_BYTES_MAX,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allowed = frozenset(host.lower().rstrip(".") for host in allowed_hosts)
        self._reply_bytes_max = reply_bytes_max
        # Their lines hold addresses and headers.
        close_logs("httpx", "httpcore")
        self._client = httpx.AsyncClient(
            verify=tls(),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            transport=transport,
        )

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
        """Send one request; see the port for the promises."""
        return await self._answered(
            self._built(method, url, params, headers, content, form, timeout_seconds),
            timeout_seconds,
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
        """Send one request and hand a 2xx body on; see the port for the promises."""
        request = self._built(method, url, None, headers, None, None, timeout_seconds)
        return await self._answered(request, timeout_seconds, _Taking(take, bytes_max))

    def _built(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        form: Mapping[str, str] | None,
        timeout_seconds: float,
    ) -> httpx.Request:
        return self._client.build_request(
            method,
            self._checked(url),
            params=dict(params) if params else None,
            # A compressed reply could be far larger than its bound before it is counted.
            headers={**(headers or {}), "accept-encoding": "identity"},
            content=content,
            data=dict(form) if form is not None else None,
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
        )

    async def _answered(
        self, request: httpx.Request, timeout_seconds: float, taking: _Taking | None = None
    ) -> HttpReply:
        """The reply, and our errors in place of the library's."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._send(request, taking)
        except (TimeoutError, httpx.TimeoutException):
            raise TransientError(
                "destination_timeout", f"No complete answer within {timeout_seconds:g} seconds."
            ) from None
        except (httpx.HTTPError, OSError):
            raise TransientError(
                "destination_unreachable", "The connection could not be made or was cut."
            ) from None
        except ExceptionGroup as group:
            # Connection attempts to several addresses of one name fail together.
            raise _first(group) from None

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._client.aclose()

    def _checked(self, url: str) -> httpx.URL:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise PolicyError("host_not_allowed", "The address is not a URL.") from None
        host = parsed.host.lower().rstrip(".")
        if parsed.scheme not in ("http", "https") or parsed.userinfo or host not in self._allowed:
            raise PolicyError(
                "host_not_allowed",
                "A request was meant for a host that is not on the run's list.",
                hint="The list holds the hosts of the connector's specification.",
            )
        if parsed.scheme == "http" and not is_loopback(host):
            raise PolicyError(
                "plain_http",
                "Requests without TLS are for literal loopback addresses only.",
                hint="Write https:// in the endpoint.",
            )
        return parsed

    async def _send(self, request: httpx.Request, taking: _Taking | None) -> HttpReply:
        response = await self._client.send(request, stream=True)
        try:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise ContractError("answer_encoded", "An answer came compressed, unasked.")
            body = bytearray()
            keeping = _Taking(body.extend, self._reply_bytes_max)
            chosen = taking if taking is not None and response.is_success else keeping
            async for piece in response.aiter_bytes():
                chosen.take(piece)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(status=response.status_code, headers=headers, body=bytes(body))
        finally:
            await response.aclose()


class _Taking:
    """Hands pieces of a body on, up to a bound."""

    def __init__(self, hand_on: Callable[[bytes], None], bytes_max: int) -> None:
        self._hand_on = hand_on
        self._bytes_max = bytes_max
        self._bytes = 0

    def take(self, piece: bytes) -> None:
        """The next piece; none that is past the bound is handed on."""
        self._bytes += len(piece)
        if self._bytes > self._bytes_max:
            raise ContractError(
                "answer_too_large", f"An answer is larger than {self._bytes_max} bytes."
            )
        self._hand_on(piece)


def is_loopback(host: str) -> bool:
    """Whether `host` is a literal loopback address. A name, `localhost` too, is none."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def tls() -> ssl.SSLContext:
    """TLS 1.2 or later with verified certificates; see `HttpxClient` for what is refused."""
    refuse_key_log(os.environ)
    return _verifying()


@functools.cache
def _verifying() -> ssl.SSLContext:
    """One for the process: it takes a fiftieth of a second to read all authorities."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _first(group: ExceptionGroup[Exception]) -> EngineError:
    ours = group.subgroup(EngineError)
    while ours is not None:
        inner = ours.exceptions[0]
        if isinstance(inner, EngineError):
            return inner
        ours = inner
    return TransientError("destination_unreachable", "The connection could not be made or was cut.")
