"""One request with a body to a receiver that the operator named: of the answer the status alone."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from mayfly.adapters.http import is_loopback, tls
from mayfly.domain.errors import ConfigError, TransientError

TIMEOUT_SECONDS = 10.0


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    whose: str,
    code: str,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Send it: certificates verified, no proxy, no redirect, no credentials of the environment.

    Args:
        url: HTTPS, or literal loopback over plain HTTP.
        body: to send.
        headers: of the request.
        whose: for messages, such as `channel ops`.
        code: beginning of the codes of errors.
        timeout_seconds: for each step of it.

    Raises:
        TransientError: `CODE_away`.
        ConfigError: `CODE_refused`; the request was answered by another status than 2xx.
    """
    require_secure(url, whose=whose, code=code)
    try:
        with (
            httpx.Client(
                verify=tls(), trust_env=False, follow_redirects=False, timeout=timeout_seconds
            ) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as reply,
        ):
            status = reply.status_code
    except (httpx.HTTPError, OSError):
        raise TransientError(f"{code}_away", f"The receiver of {whose} does not answer.") from None
    if status >= 500 or status == 429:
        raise TransientError(f"{code}_away", f"The receiver of {whose} answers {status}.")
    if not 200 <= status < 300:
        raise ConfigError(
            f"{code}_refused",
            f"The receiver of {whose} answers {status}.",
            hint="Check its address and secret.",
        )


def reach(url: str, *, whose: str, code: str) -> None:
    """Connect, with TLS where the address says so, and say nothing.

    Raises:
        TransientError: `CODE_away`.
        ConfigError: `CODE_refused`.
    """
    require_secure(url, whose=whose, code=code)
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    try:
        with socket.create_connection(
            (host, parts.port or (443 if secure else 80)), TIMEOUT_SECONDS
        ) as plain:
            if secure:
                tls().wrap_socket(plain, server_hostname=host).close()
    except OSError:
        raise TransientError(
            f"{code}_away",
            f"The receiver of {whose} cannot be reached.",
            hint="Check its address, and that this machine may connect there.",
        ) from None


def require_secure(url: str, *, whose: str, code: str) -> None:
    """Refuse an address without TLS off loopback.

    Raises:
        ConfigError: `CODE_refused`.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ConfigError(
            f"{code}_refused",
            f"The address of {whose} is not https://HOST/PATH.",
            hint="Correct the secret that it stands in, or the address.",
        )
