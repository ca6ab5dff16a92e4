"""Meta's Graph API, as the connectors of Meta's products share it: how a call is made, and what its
answer means as our errors. Meta's own text never gets further.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.http_replies import check_endpoint
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed

HOST = "graph.facebook.com"
API_VERSION = "v26.0"
LONG_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """With what the Graph API is called.

    Args:
        access_token: of a system user.
        app_secret: where given, every call carries `appsecret_proof`.
        api_version: of the Graph API.
        endpoint: Meta's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_api_version`, `bad_endpoint`.
    """

    access_token: Revealed = field(repr=False)
    app_secret: Revealed | None = field(default=None, repr=False)
    api_version: str = API_VERSION
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"v[0-9]{1,3}\.[0-9]{1,2}", self.api_version):
            raise ConfigError("bad_api_version", "api_version must look like v26.0.")
        check_endpoint(self.endpoint, HOST)


async def graph_call(
    settings: GraphSettings,
    http: HttpClient,
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    content: bytes | None = None,
    timeout_seconds: float,
) -> Mapping[str, Any]:
    """One call; the token goes in a header, never in an address.

    Args:
        settings: with what.
        http: connects to Meta.
        method: of HTTP.
        path: what follows the version.
        params: of the address, nothing personal.
        content: JSON.
        timeout_seconds: for the whole reply.

    Raises:
        EngineError: as `answer`, and as `HttpClient.request`.
    """
    token = settings.access_token.reveal()
    query = dict(params or {})
    if settings.app_secret is not None:
        secret = settings.app_secret.reveal().encode()
        query["appsecret_proof"] = hmac.new(secret, token.encode(), "sha256").hexdigest()
    headers = {"authorization": f"Bearer {token}"}
    if content is not None:
        headers["content-type"] = "application/json"
    reply = await http.request(
        method,
        f"{settings.endpoint}/{settings.api_version}/{path}",
        params=query,
        headers=headers,
        content=content,
        timeout_seconds=timeout_seconds,
    )
    return answer(reply)


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object. Pure.

    Raises:
        EngineError: the kind says what to do; Meta's own text is never part of it.
    """
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        raise _refusal(reply, error)
    if not 200 <= reply.status < 300:
        raise _bare_refusal(reply, json=isinstance(body, dict))
    if not isinstance(body, dict):
        raise TransientError("garbage_answer", "Meta answered with something else than JSON.")
    return body


def _refusal(reply: HttpReply, error: Mapping[str, Any]) -> EngineError:
    code, subcode = _code(error.get("code")), _code(error.get("error_subcode"))
    vendor = f"meta_{code}" + (f"_{subcode}" if subcode else "")
    match code, subcode:
        case 190, _:
            return ConfigError(
                "reauthorise",
                f"Meta refuses the access token ({vendor}).",
                hint="Make a new system-user token with ads_management and store it.",
            )
        case 100, 1713230:
            return ContractError(
                "audience_blocked",
                "Meta has blocked uploads to this audience.",
                hint="A person must resolve the flag on the audience in Ads Manager.",
            )
        case ((341 | 368), _):
            pause = _pause_seconds(reply) or LONG_PAUSE_SECONDS
            return TransientError(
                "rate_limited", f"Meta asks for a long pause ({vendor}).", retry_after_seconds=pause
            )
        case ((4 | 17 | 32 | 613 | 80003), _):
            return TransientError(
                "rate_limited",
                f"Meta counts too many calls ({vendor}).",
                retry_after_seconds=_pause_seconds(reply),
            )
        case ((1 | 2), _):
            return _busy(reply, vendor)
        case _ if error.get("is_transient") is True:
            return _busy(reply, vendor)
        case ((3 | 10 | 100 | 105 | 200 | 294 | 2650 | 2655 | 1487301 | 1487366), _):
            return ContractError(
                vendor, f"Meta refuses the request for good ({vendor}).", hint=_HINTS.get(code, "")
            )
        case _:
            return _bare_refusal(reply, json=True)


def _bare_refusal(reply: HttpReply, *, json: bool) -> EngineError:
    match reply.status:
        case 401:
            return ConfigError("reauthorise", "Meta refuses the access token (HTTP 401).")
        case 429:
            return TransientError(
                "rate_limited",
                "Meta counts too many calls (HTTP 429).",
                retry_after_seconds=_pause_seconds(reply),
            )
        case status if status >= 500:
            return _busy(reply, f"HTTP {status}")
        case status if 300 <= status < 400:
            return ContractError("redirected", f"Meta answered with a redirect (HTTP {status}).")
        case status:
            name = "unknown_answer" if json else "garbage_answer"
            return ContractError(name, f"No documented answer (HTTP {status}).")


_HINTS = {
    3: "The app lacks the capability; see its permissions in the developer console.",
    10: "Give the system user access to the ad account, with ads_management.",
    200: "Give the system user access to the ad account, with ads_management.",
    294: "The token lacks ads_management.",
    1487301: "Share the audience with this ad account.",
    1487366: "The audience was deleted; the next run makes it again.",
    2655: "Accept the Custom Audience terms in Ads Manager.",
}


def _busy(reply: HttpReply, vendor: str) -> TransientError:
    return TransientError(
        "destination_busy",
        f"Meta cannot answer now ({vendor}).",
        retry_after_seconds=_pause_seconds(reply),
    )


def _pause_seconds(reply: HttpReply) -> float | None:
    """`Retry-After`, else the longest of the business use cases, which count whole minutes."""
    after = reply.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,6}", after):
        return float(after)
    try:
        usage = orjson.loads(reply.headers.get("x-business-use-case-usage", "{}"))
    except orjson.JSONDecodeError:
        return None
    pauses = [0.0]
    cases = usage.values() if isinstance(usage, dict) else ()
    for entry in (entry for case in cases if isinstance(case, list) for entry in case):
        minutes = entry.get("estimated_time_to_regain_access") if isinstance(entry, dict) else None
        if isinstance(minutes, int | float) and 0 < minutes < 100_000:
            pauses.append(minutes * 60.0)
    return max(pauses) or None


def _code(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10**12 else 0
