"""What a connector declares of its vendor's OAuth 2 log-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class OAuthSpec:
    """Authorisation code with PKCE, then refresh tokens. Data: nothing of it comes in a reply.

    Args:
        authorise_url: where a person consents, in a browser; `https`.
        token_url: where codes and refresh tokens are exchanged; `https`.
        scopes: all are needed.
        life_seconds: of an access token, where the reply does not say.
        parameters: further ones of the authorise URL, such as `access_type`.
        redirect_host, redirect_port: of the address that the browser comes back to; any port of
            `127.0.0.1` where the vendor takes it, else `localhost` and one that is registered.
        client_id_option, client_secret_option: options that name the registered client; the
            second may be left out of a destination, for a public client.
        redirect_uri_option: option that may name another registered address, where the vendor
            takes no loopback one: who logs in then gives the address that the browser ended at.
        scope_separator: between scopes in the authorise URL, and in replies beside a space.
        client_in_header: whether client id and secret go as HTTP Basic, and not in the body.
        unlisted_scopes: those of `scopes` that the vendor's replies do not tell, though granted.
        pkce: whether a code is bound to its attempt by a verifier; False only where the vendor
            refuses requests with one. Then the client must have a secret.
    """

    authorise_url: str
    token_url: str
    scopes: tuple[str, ...]
    life_seconds: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    redirect_host: Literal["127.0.0.1", "localhost"] = "127.0.0.1"
    redirect_port: int = 0
    client_id_option: str = "client_id"
    client_secret_option: str = "client_secret"  # noqa: S105, the name of an option
    redirect_uri_option: str = ""
    scope_separator: str = " "
    client_in_header: bool = False
    unlisted_scopes: frozenset[str] = frozenset()
    pkce: bool = True

    def __post_init__(self) -> None:
        for url in (self.authorise_url, self.token_url):
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("an OAuth endpoint is an https address without a query")
        if self.life_seconds <= 0:
            raise ValueError("an access token lives for some time")

    @property
    def token_host(self) -> str:
        """The one host that the program itself connects to."""
        return urlsplit(self.token_url).hostname or ""
