"""A strict OAuth 2 server on loopback: codes once, PKCE, refresh tokens that rotate.

It plays the person, too: an authorise request that is right is consented to at once, or refused
where `refuses` says so. Tokens are random and in memory only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

AUTHORISE_PATH, TOKEN_PATH = "/oauth/authorize", "/oauth/token"
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost):[0-9]{1,5}/[A-Za-z0-9/_-]{0,64}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, kw_only=True)
class _Code:
    redirect_uri: str
    challenge: str
    scope: str


@dataclass(kw_only=True)
class _Grant:
    """One consent: its scope, and the one refresh token that works now."""

    scope: str
    current: str
    is_over: bool = False


@dataclass(kw_only=True, eq=False)
class OAuthSandbox:
    """An ASGI application; all state is in memory and ends with it.

    Args:
        client_id, client_secret: of the one client; without a secret it is a public one.
        scopes: that may be asked for.
        life_seconds: of access tokens, as replies say.
        refuses: the person says no.
        rotates: each refresh gives a new refresh token, and using an earlier one again ends the
            grant.
        fault: status that the next token requests are answered with, before anything is done.
        pkce: whether a code needs its verifier; else a verifier is refused, as LinkedIn does.
        loses_answers: the next token requests are carried out, and answered with 503.
        authorise_path, token_path: where it is.
        redirect_uris: that are registered beside those of loopback.
        scope_separator: between scopes of a request.
        wants_header: takes client id and secret as HTTP Basic, and nowhere else.

    After requests, `token_requests` has their grant types in order, and `used` every refresh token
    that came, by its SHA-256.
    """

    client_id: str
    client_secret: str | None = None
    scopes: frozenset[str] = frozenset({"write"})
    life_seconds: int = 1800
    refuses: bool = False
    rotates: bool = True
    pkce: bool = True
    fault: int | None = None
    loses_answers: bool = False
    authorise_path: str = AUTHORISE_PATH
    token_path: str = TOKEN_PATH
    redirect_uris: frozenset[str] = frozenset()
    scope_separator: str = " "
    wants_header: bool = False
    token_requests: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    access_tokens: set[str] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        self._codes: dict[str, _Code] = {}
        self._grants: dict[str, _Grant] = {}
        self._spent: dict[str, _Grant] = {}
        self._lock = threading.Lock()
        self._routes = Starlette(
            routes=[
                Route(self.authorise_path, self._authorise, methods=["GET"]),
                Route(self.token_path, self._token, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        await self._routes(scope, receive, send)

    def revoke_all(self) -> None:
        """End every grant, as a person would in the vendor's settings."""
        with self._lock:
            for grant in [*self._grants.values(), *self._spent.values()]:
                grant.is_over = True

    async def _authorise(self, request: Request) -> Response:
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        given = dict(pairs)
        redirect_uri = given.get("redirect_uri", "")
        known = given.get("client_id") == self.client_id and len(given) == len(pairs)
        # Nobody is sent on to an address that is not the client's.
        ours = redirect_uri in self.redirect_uris or _LOOPBACK.fullmatch(redirect_uri)
        if not known or not ours:
            return PlainTextResponse("Unknown client or address.", status_code=400)
        state = {"state": given["state"]} if given.get("state") else {}
        if error := self._refusal(given):
            return _back(redirect_uri, {"error": error, **state})
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = _Code(
                redirect_uri=redirect_uri,
                challenge=given.get("code_challenge", ""),
                scope=given["scope"],
            )
        return _back(redirect_uri, {"code": code, **state})

    def _refusal(self, given: Mapping[str, str]) -> str | None:
        asked = {s for s in given.get("scope", "").split(self.scope_separator) if s}
        if given.get("response_type") != "code":
            return "unsupported_response_type"
        challenge = _CHALLENGE.fullmatch(given.get("code_challenge", ""))
        bound = challenge and given.get("code_challenge_method") == "S256"
        if (self.pkce and not bound) or not given.get("state"):
            return "invalid_request"
        if not asked or not asked <= self.scopes:
            return "invalid_scope"
        return "access_denied" if self.refuses else None

    async def _token(self, request: Request) -> Response:
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if self.wants_header:
            form = _without_client(form) | _basic(request.headers.get("authorization", ""))
        with self._lock:
            self.token_requests.append(form.get("grant_type", ""))
            if self.fault is not None:
                return JSONResponse({"error": "temporarily_unavailable"}, status_code=self.fault)
            reply = self._answer(form)
            return JSONResponse({}, status_code=503) if self.loses_answers else reply

    def _answer(self, form: Mapping[str, str]) -> Response:
        secret = form.get("client_secret", "")
        right = hmac.compare_digest(secret.encode(), (self.client_secret or "").encode())
        verified = "code_verifier" in form and not self.pkce
        if form.get("client_id") != self.client_id or not right or verified:
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._by_code(form)
            case "refresh_token":
                return self._by_refresh(form)
            case _:
                return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)

    def _by_code(self, form: Mapping[str, str]) -> Response:
        code = self._codes.pop(form.get("code", ""), None)  # taken, right or wrong
        verifier = form.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if code is None or form.get("redirect_uri") != code.redirect_uri:
            return _invalid_grant()
        bound = _VERIFIER.fullmatch(verifier) and challenge == code.challenge
        if self.pkce and not bound:
            return _invalid_grant()
        return self._given(_Grant(scope=code.scope, current=""), rotate=True)

    def _by_refresh(self, form: Mapping[str, str]) -> Response:
        token = form.get("refresh_token", "")
        self.used.append(hashlib.sha256(token.encode()).hexdigest())
        spent = self._spent.get(token)
        if spent is not None:
            spent.is_over = True
        grant = self._grants.get(token)
        if grant is None or grant.is_over:
            return _invalid_grant()
        return self._given(grant, rotate=self.rotates)

    def _given(self, grant: _Grant, *, rotate: bool) -> Response:
        if rotate:
            if grant.current:
                self._spent[grant.current] = self._grants.pop(grant.current)
            grant.current = secrets.token_urlsafe(32)
            self._grants[grant.current] = grant
        access = secrets.token_urlsafe(32)
        self.access_tokens.add(access)
        reply = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.life_seconds,
            "scope": grant.scope,
            **({"refresh_token": grant.current} if rotate else {}),
        }
        return JSONResponse(reply, headers={"cache-control": "no-store"})


def _without_client(form: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in form.items() if k not in ("client_id", "client_secret")}


def _basic(header: str) -> dict[str, str]:
    """Client id and secret of HTTP Basic; nothing where it is something else."""
    scheme, _, text = header.partition(" ")
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return {}
    name, _, secret = pair.partition(":")
    if scheme.lower() != "basic":
        return {}
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}


def _back(redirect_uri: str, query: Mapping[str, str]) -> Response:
    return RedirectResponse(f"{redirect_uri}?{urlencode(query)}", status_code=302)


def _invalid_grant() -> Response:
    return JSONResponse({"error": "invalid_grant"}, status_code=400)
