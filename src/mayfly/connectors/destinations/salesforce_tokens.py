"""Access tokens of Salesforce: for a client's secret, or for a statement that its key signs.

Both are asked of the organisation's own domain, and a token that is good for another address is
refused.
Source: Salesforce Help, OAuth 2.0 client credentials flow and JWT bearer flow.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mayfly.connectors.destinations.salesforce_answers import VENDOR
from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.http_replies import json_object, try_json
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105, the path of an address
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN, TEST_LOGIN = "https://login.salesforce.com", "https://test.salesforce.com"
REQUEST_SECONDS = 30.0
STATEMENT_SECONDS = 180
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_IDENTITY = re.compile(r"/id/(00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?)/005")
_REFUSED = frozenset({
    "inactive_org", "inactive_user", "invalid_client", "invalid_client_credentials",
    "invalid_client_id", "invalid_grant", "invalid_app_access", "unauthorized_client",
    "unsupported_grant_type",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """As whom an organisation is called.

    Args:
        consumer_key: of the app.
        consumer_secret: for client credentials.
        private_key: PEM, for statements (RFC 7523), which then name `username`.
    """

    consumer_key: str
    consumer_secret: Revealed | None = field(default=None, repr=False)
    private_key: Revealed | None = field(default=None, repr=False)
    username: str = ""

    def __post_init__(self) -> None:
        if self.private_key is not None and not self.username:
            raise ConfigError(
                "username_missing",
                "A private key logs in a user, and `username` does not say which.",
                hint="Name the integration user, as Salesforce shows it: an address.",
            )


class Tokens:
    """The token that is in use. One at a time asks for a new one.

    Args:
        credentials: of the app.
        http: that reaches the organisation.
        base: its address, which a token must be for.
        is_sandbox: whether the organisation is one of Salesforce's sandboxes.
        now: seconds since 1970.
    """

    def __init__(
        self,
        credentials: Credentials,
        http: HttpClient,
        *,
        base: str,
        is_sandbox: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._http = http
        self._base = base
        self._audience = TEST_LOGIN if is_sandbox else LOGIN
        self._now = now
        self._token = ""
        self._organisation = ""
        self._asking = asyncio.Lock()

    async def token(self, ended: str = "") -> str:
        """A token.

        Args:
            ended: one that Salesforce has refused; another is asked for unless it was meanwhile.

        Raises:
            ConfigError: `reauthorise`, `credentials_invalid`, `wrong_instance`, `driver_missing`.
            TransientError, ContractError: there is none.
        """
        async with self._asking:
            if not self._token or self._token == ended:
                self._token, self._organisation = await self._asked()
            return self._token

    async def organisation(self) -> str:
        """Id of the organisation that tokens are of.

        Raises:
            EngineError: as `token`.
        """
        await self.token()
        return self._organisation

    async def _asked(self) -> tuple[str, str]:
        reply = await self._http.request(
            "POST",
            f"{self._base}{TOKEN_PATH}",
            headers={"accept": "application/json"},
            form=self._form(),
            timeout_seconds=REQUEST_SECONDS,
        )
        return _given(reply, self._base)

    def _form(self) -> dict[str, str]:
        given = self._credentials
        if given.private_key is not None:
            return {"grant_type": GRANT, "assertion": self._statement(given.private_key)}
        if given.consumer_secret is None:
            raise ConfigError("secret_missing", "Salesforce needs a secret or a private key.")
        return {
            "grant_type": "client_credentials",
            "client_id": given.consumer_key,
            "client_secret": given.consumer_secret.reveal(),
        }

    def _statement(self, key: Revealed) -> str:
        jwt = optional_driver("jwt", kind="salesforce", logs=["jwt"], of="Destinations")
        claims = {
            "iss": self._credentials.consumer_key,
            "sub": self._credentials.username,
            "aud": self._audience,
            "exp": int(self._now()) + STATEMENT_SECONDS,
        }
        try:
            return str(jwt.encode(claims, key.reveal(), algorithm="RS256"))
        except (jwt.exceptions.PyJWTError, ValueError, TypeError, NotImplementedError):
            raise ConfigError(
                "credentials_invalid",
                "The private key of a destination of type salesforce cannot be read.",
                hint="Put the whole text of the PEM file there, of an RSA key without a password.",
            ) from None


def _given(reply: HttpReply, base: str) -> tuple[str, str]:
    """Token of an answer, and the organisation's id."""
    body = try_json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    if reply.status in (400, 401) and error in _REFUSED:
        raise ConfigError(
            "reauthorise",
            f"{VENDOR} does not take the app's credentials ({error}).",
            hint="Check consumer key, secret or private key, that the flow is enabled in the "
            "external client app, and that it has an integration user.",
        )
    found = json_object(reply, f"{VENDOR}'s token endpoint")
    token, instance = found.get("access_token"), found.get("instance_url")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ContractError("oauth_answer", f"{VENDOR}'s token endpoint gave no token.")
    identity = _IDENTITY.search(str(found.get("id", "")))
    if identity is None:
        raise ContractError(
            "oauth_answer", f"{VENDOR}'s token endpoint does not say whose the token is."
        )
    if not isinstance(instance, str) or instance.rstrip("/").lower() != base:
        # Rows go where the settings say, or nowhere.
        raise ConfigError(
            "wrong_instance",
            f"{VENDOR} gave a token for another address than that of `domain`.",
            hint="Write the organisation's My Domain as Salesforce shows it under Setup, My "
            "Domain: NAME.my.salesforce.com.",
        )
    return token, identity[1]
