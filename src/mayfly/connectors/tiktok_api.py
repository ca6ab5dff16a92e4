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
MISSING = 40007
PARTLY_TAKEN = 20001
"""A request of which some part was taken, and nobody says which."""
# As the vendor's own client names them.
_OF_ROWS = frozenset({40000, 40002, 40061, 40062})
_TOO_OFTEN = frozenset({40100, 40132})
_OF_TOKEN = frozenset({40102, 40103, 40104, 40105, 40107})
_FORBIDDEN = frozenset({40001, 40003, 40113, 40117, 40118, 40125, 40130, 40131})
_OF_ADVERTISER = frozenset({40300, 40301, 40302})
_LATER = frozenset({40201, 40202, 60001})


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
        RequestRefusedError: a parameter is wrong: perhaps one of a row's.
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
    if code in _TOO_OFTEN:
        return TransientError(
            "rate_limited",
            f"{VENDOR} counts too many calls ({name}).",
            retry_after_seconds=retry_after(reply),
        )
    if code in _LATER or 50000 <= code < 60000:
        return TransientError(
            "destination_busy",
            f"{VENDOR} cannot answer now ({name}).",
            retry_after_seconds=retry_after(reply),
        )
    if code in _OF_TOKEN:
        return ConfigError(
            "reauthorise",
            f"{VENDOR} refuses the access token ({name}).",
            hint="Authorise the app for the advertiser again, and store the new token.",
        )
    if code in _FORBIDDEN:
        return ConfigError(
            "no_permission",
            f"{VENDOR} allows this token no such call ({name}).",
            hint="Give the app the permissions that the destination's page names, and have the "
            "advertiser authorise it again.",
        )
    if code in _OF_ADVERTISER:
        return ConfigError(
            "bad_account_id",
            f"{VENDOR} has no such advertiser for this token ({name}).",
            hint="See the advertiser's id in TikTok Ads Manager.",
        )
    if code in _OF_ROWS:
        return RequestRefusedError(name, f"{VENDOR} refuses a request's parameters ({name}).")
    return ContractError(name, f"{VENDOR} refuses a request ({name}).")
