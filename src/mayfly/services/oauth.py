"""OAuth 2 as a native application does it: RFC 6749, 7636 (PKCE, S256), 8252 (loopback)."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

from mayfly.domain.errors import ConfigError, ContractError, TransientError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.oauth import OAuthSpec

REQUEST_SECONDS = 10.0
"""A refresh holds a lock for as long, and other processes wait for it."""
_LIFE_MAX_SECONDS = 366 * 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True, kw_only=True)
class OAuthClient:
    """A registered client and where it logs in; `repr` shows no secret.

    Args:
        spec: as the connector declares it.
        client_id: as the vendor registered it.
        client_secret: None for a public client.
        endpoint: a literal loopback address in place of both hosts; for sandboxes.
        redirect_uri: a registered address that is not ours to listen at.
    """

    spec: OAuthSpec
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    redirect_uri: str | None = None

    @property
    def authorise_url(self) -> str:
        """Where a person consents."""
        return _moved(self.spec.authorise_url, self.endpoint)

    @property
    def token_url(self) -> str:
        """Where codes and refresh tokens are exchanged."""
        return _moved(self.spec.token_url, self.endpoint)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a token endpoint gave; `repr` shows no token.

    With a `flaw` only the refresh token is of use: it took the place of the one before, which is
    spent, and is to be kept before anybody is told of the flaw.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    life_seconds: float
    flaw: str = ""

    def require_whole(self) -> None:
        """Refuse an answer with a flaw.

        Raises:
            ContractError: `oauth_answer`.
        """
        if self.flaw:
            raise _wrong(self.flaw)


@dataclass(frozen=True, kw_only=True)
class Login:
    """One attempt to log in. Its verifier and state are random, and of this attempt alone."""

    redirect_uri: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    def url(self, client: OAuthClient) -> str:
        """The address to open in a browser."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = {
            **client.spec.parameters,
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": client.spec.scope_separator.join(client.spec.scopes),
            "state": self.state,
        }
        if client.spec.pkce:
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{client.authorise_url}?{urlencode(query)}"

    def code(self, callback: Mapping[str, str]) -> str:
        """The code of a callback that belongs to this attempt.

        Raises:
            ConfigError: `oauth_state`, it belongs to none of ours; `consent_refused`, the person
                or the vendor said no; `oauth_callback`, it has no code.
        """
        if not secrets.compare_digest(callback.get("state", "").encode(), self.state.encode()):
            raise ConfigError(
                "oauth_state",
                "The browser came back with a state that is not of this attempt; its code was "
                "not used.",
                hint="Run `mayfly connect` again, and follow only the address that it opens.",
            )
        if "error" in callback:
            raise ConfigError(
                "consent_refused",
                "The destination did not give its consent.",
                hint="Run `mayfly connect` again and agree, as a user who may.",
            )
        code = callback.get("code", "")
        if not _TOKEN.fullmatch(code):
            raise ConfigError(
                "oauth_callback",
                "The browser came back without a code.",
                hint="Run `mayfly connect` again.",
            )
        return code


async def exchange(http: HttpClient, client: OAuthClient, login: Login, code: str) -> Tokens:
    """The tokens for a code.

    Raises:
        ConfigError: `oauth_code_refused`, the code is not taken; `oauth_client`, the client is
            not; `scope_missing`, less was granted than is needed.
        TransientError: `oauth_unavailable`, or what the client raises.
        ContractError: `oauth_answer`, also where no refresh token came.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": login.redirect_uri,
    }
    if client.spec.pkce:
        form["code_verifier"] = login.verifier
    elif client.client_secret is None:
        # Neither would tell the client from whoever caught the code.
        raise ConfigError(
            "oauth_client",
            "This destination gives tokens to clients with a secret only.",
            hint="Give the client's secret at the destination in the project files.",
        )
    given = await _ask(http, client, form)
    if given is None:
        raise ConfigError(
            "oauth_code_refused",
            "The destination did not take the code that it gave.",
            hint="Run `mayfly connect` again; a code is good once, for a short time.",
        )
    granted = given.get("scope")
    expected = set(client.spec.scopes) - client.spec.unlisted_scopes
    if isinstance(granted, str) and (missing := expected - _scopes(granted, client)):
        raise ConfigError(
            "scope_missing",
            f"{len(missing)} of {len(client.spec.scopes)} rights that are needed were not granted.",
            hint="Run `mayfly connect` again and agree to all of them.",
        )
    tokens = _tokens(given, client)
    tokens.require_whole()
    if tokens.refresh_token is None:
        raise _wrong("has no refresh token")
    return tokens


def _scopes(granted: str, client: OAuthClient) -> set[str]:
    return set(granted.replace(client.spec.scope_separator, " ").split())


async def refresh(http: HttpClient, client: OAuthClient, refresh_token: str) -> Tokens | None:
    """New tokens, with a flaw perhaps; None where the grant is over (`invalid_grant`).

    Raises:
        ConfigError, TransientError, ContractError: as `exchange`.
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    given = await _ask(http, client, form)
    return None if given is None else _tokens(given, client)


async def _ask(
    http: HttpClient, client: OAuthClient, form: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """The answer's object; None for `invalid_grant`. Secrets travel in body and header only."""
    headers, whole = _as_client(client, form)
    reply = await http.request(
        "POST",
        client.token_url,
        headers={"accept": "application/json", **headers},
        form=whole,
        timeout_seconds=REQUEST_SECONDS,
    )
    if reply.status >= 500 or reply.status in _BUSY:
        raise TransientError(
            "oauth_unavailable",
            f"The destination's token endpoint answers with status {reply.status}.",
            hint="Run again later.",
        )
    given = _object(reply)
    if reply.status == 200:
        return given
    match given.get("error"):
        case "invalid_grant":
            return None
        case "invalid_client" | "unauthorized_client":
            raise ConfigError(
                "oauth_client",
                "The destination does not know the client, or not its secret.",
                hint="Check client id and secret of the destination in the project files.",
            )
        case _:
            raise _wrong(f"has status {reply.status}")


def _as_client(
    client: OAuthClient, form: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Headers and body of a request that says which client asks (RFC 6749, section 2.3.1)."""
    if client.spec.client_in_header and client.client_secret is not None:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, form
    secret = {} if client.client_secret is None else {"client_secret": client.client_secret}
    return {}, {**form, "client_id": client.client_id, **secret}


def _object(reply: HttpReply) -> Mapping[str, Any]:
    try:
        given = json.loads(reply.body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise _wrong(f"is no JSON object, with status {reply.status}")
    return given


def _tokens(given: Mapping[str, Any], client: OAuthClient) -> Tokens:
    access, again = given.get("access_token"), given.get("refresh_token")
    life, flaw = _life(given, client), ""
    if not isinstance(access, str) or not _TOKEN.fullmatch(access):
        flaw = "has no access token"
    elif str(given.get("token_type", "bearer")).lower() != "bearer":
        flaw = "has a token of another type than bearer"
    elif life is None:
        flaw = "has a life that is no number of seconds"
    if again is not None and not (isinstance(again, str) and _TOKEN.fullmatch(again)):
        again, flaw = None, "has a refresh token of another form"
    if flaw or life is None:
        return Tokens(access_token="", refresh_token=again, life_seconds=0.0, flaw=flaw)
    return Tokens(access_token=str(access), refresh_token=again, life_seconds=life)


def _life(given: Mapping[str, Any], client: OAuthClient) -> float | None:
    """Seconds; what the connector declares where the answer tells nothing."""
    life = given.get("expires_in")
    if life is None:
        return client.spec.life_seconds
    try:
        seconds = float("nan") if isinstance(life, bool) else float(life)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and 0 < seconds <= _LIFE_MAX_SECONDS else None


def _wrong(what: str) -> ContractError:
    return ContractError(
        "oauth_answer",
        f"The answer of the destination's token endpoint {what}.",
        hint="Try again; if it stays so, report it.",
    )


def _moved(url: str, endpoint: str | None) -> str:
    if endpoint is None:
        return url
    loopback = urlsplit(endpoint)
    return urlunsplit((loopback.scheme, loopback.netloc, urlsplit(url).path, "", ""))
