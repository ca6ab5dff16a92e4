"""Access tokens for Google's Data Manager API: given, or got for a service account's key.

A key signs a short statement (RFC 7523), which Google's token endpoint answers with a token. The
library of Google signs; the request goes out as all others do.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.google_keys import TOKENS, service_account_key
from mayfly.connectors.http_replies import json_object, try_json
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.oauth import OAuthSpec
from mayfly.ports.source_spec import Revealed

SCOPE = "https://www.googleapis.com/auth/datamanager"
TOKEN_PATH = "/token"  # noqa: S105, the path of an address
LOGIN = OAuthSpec(
    authorise_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url=f"https://{TOKENS}{TOKEN_PATH}",
    scopes=(SCOPE,),
    life_seconds=3600,
    # Without both Google gives no refresh token, or none to who has consented before.
    parameters={"access_type": "offline", "prompt": "consent"},
)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REQUEST_SECONDS = 10.0
LIFE_SECONDS = 3600
_EARLY_SECONDS = 120
_VENDOR = "Google's token endpoint"
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


class TokenSource(Protocol):
    """What authorises calls."""

    async def token(self) -> str:
        """A token that is good for a request now.

        Raises:
            ConfigError, TransientError, ContractError: there is none.
        """


class GivenToken:
    """A token that somebody else keeps fresh, as a connection does.

    Args:
        access_token: asked at each call.
    """

    def __init__(self, access_token: Revealed) -> None:
        self._access_token = access_token

    async def token(self) -> str:
        """See `TokenSource`."""
        return self._access_token.reveal()


class ServiceAccount:
    """Tokens of a service account, each used until shortly before its end.

    Args:
        credentials: the text of its key's file.
        http: that reaches the token endpoint.
        token_url: of it.
        now: seconds since 1970.

    Raises:
        ConfigError: `driver_missing`, `credentials_invalid`.
    """

    def __init__(
        self,
        credentials: Revealed,
        http: HttpClient,
        *,
        token_url: str = LOGIN.token_url,
        now: Callable[[], float] = time.time,
    ) -> None:
        crypt = optional_driver(
            "google.auth.crypt", kind="google_ads", logs=["google"], of="Destinations"
        )
        key = service_account_key("a destination of type google_ads", credentials)
        try:
            self._signer: Any = crypt.RSASigner.from_service_account_info(key)
        except (ValueError, TypeError):
            raise ConfigError(
                "credentials_invalid",
                "The private key of a service account cannot be read.",
                hint="Put the whole text of the key's file there, as Google gave it.",
            ) from None
        self._email = str(key["client_email"])
        self._http = http
        self._url = token_url
        self._now = now
        self._token = ""
        self._ends = 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """See `TokenSource`. One at a time asks for a new one."""
        async with self._asking:
            if self._now() >= self._ends - _EARLY_SECONDS:
                self._token, life = await self._asked()
                self._ends = self._now() + life
            return self._token

    async def _asked(self) -> tuple[str, float]:
        reply = await self._http.request(
            "POST",
            self._url,
            headers={"accept": "application/json"},
            form={"grant_type": GRANT, "assertion": self._statement()},
            timeout_seconds=REQUEST_SECONDS,
        )
        return _given(reply)

    def _statement(self) -> str:
        jwt = optional_driver("google.auth.jwt", kind="google_ads", logs=["google"])
        begins = int(self._now())
        claims = {
            "iss": self._email,
            "scope": SCOPE,
            # Google's own address, wherever the sandbox stands.
            "aud": LOGIN.token_url,
            "iat": begins,
            "exp": begins + LIFE_SECONDS,
        }
        return str(jwt.encode(self._signer, claims), "ascii")


def _given(reply: HttpReply) -> tuple[str, float]:
    """Token and its life in seconds."""
    body = try_json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    if reply.status in (400, 401) and error in ("invalid_grant", "invalid_client"):
        raise ConfigError(
            "reauthorise",
            f"Google does not take the service account's key ({error}).",
            hint="Make a new key, or set the machine's clock right: Google takes no statement of "
            "another hour.",
        )
    found: Mapping[str, Any] = json_object(reply, _VENDOR)
    token, life = found.get("access_token"), found.get("expires_in", LIFE_SECONDS)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ContractError("oauth_answer", f"{_VENDOR} gave no token.")
    if isinstance(life, bool) or not isinstance(life, int | float) or not 0 < life < 10**6:
        raise ContractError("oauth_answer", f"{_VENDOR} gave a token of no known life.")
    return token, float(life)
