"""TikTok's Business API, as the connectors of its products share it.

Every reply has status 200: what came of a call is the `code` in its body. TikTok's own text never
gets further.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mayfly.connectors.http_replies import check_endpoint, json_object, retry_after
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed

HOST = "business-api.tiktok.com"
VENDOR = "TikTok"
_PATH = "/open_api/v1.3"
PARAMETER, MISSING = 40002, 40007


@dataclass(frozen=True, kw_only=True)
class TiktokSettings:
    """With what the Business API is called.

    Args:
        access_token: long-lived, of an app that the advertiser has authorised.
        endpoint: TikTok's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_endpoint`.
    """

    access_token: Revealed = field(repr=False)
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        check_endpoint(self.endpoint, HOST)


async def tiktok_call(
    settings: TiktokSettings,
    http: HttpClient,
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    content: bytes | None = None,
    timeout_seconds: float,
) -> Mapping[str, Any]:
    """The `data` of one call's answer.

    Args:
        settings: with what.
        http: connects to TikTok.
        method: of HTTP.
        path: what follows the version, with a slash at both ends.
        params: of the address, nothing personal.
        content: JSON.
        timeout_seconds: for the whole reply.

    Raises:
        EngineError: as `answer`, and as `HttpClient.request`.
    """
    headers = {"access-token": settings.access_token.reveal()}
    if content is not None:
        headers["content-type"] = "application/json"
    reply = await http.request(
        method,
        f"{settings.endpoint}{_PATH}{path}",
        params=params,
        headers=headers,
        content=content,
        timeout_seconds=timeout_seconds,
    )
    return answer(reply)


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's `data`, empty where it has none. Pure.

    Raises:
        RequestRefusedError: 40002, a parameter is wrong: perhaps one of a row's.
        EngineError: any other code than 0; the kind says what to do.
    """
    body = json_object(reply, VENDOR)
    code = body.get("code")
    if type(code) is not int or not 0 <= code < 10**6:
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no code.")
    if code != 0:
        raise _refusal(code, reply)
    data = body.get("data")
    return data if isinstance(data, dict) else {}


def _refusal(code: int, reply: HttpReply) -> EngineError:
    name = f"tiktok_{code}"
    match code:
        case 40100:
            return TransientError(
                "rate_limited",
                f"{VENDOR} counts too many calls ({name}).",
                retry_after_seconds=retry_after(reply),
            )
        case 40101 | 40102 | 40103 | 40104 | 40105:
            return ConfigError(
                "reauthorise",
                f"{VENDOR} refuses the access token ({name}).",
                hint="Authorise the app for the advertiser again, and store the new token.",
            )
        case 40001:
            return ConfigError(
                "no_permission",
                f"{VENDOR} allows this token no such call ({name}).",
                hint="Give the app the scopes that the destination's page names, and have the "
                "advertiser authorise it again.",
            )
        case code if code == PARAMETER:
            return RequestRefusedError(name, f"{VENDOR} refuses a request's parameters ({name}).")
        case code if 50000 <= code < 60000:
            return TransientError(
                "destination_busy",
                f"{VENDOR} cannot answer now ({name}).",
                retry_after_seconds=retry_after(reply),
            )
        case _:
            return ContractError(name, f"{VENDOR} refuses a request ({name}).")
