"""Connections of destinations: the credential behind each, opened as a connector is made."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mayfly.adapters.clock import SystemClock
from mayfly.adapters.http import HttpxClient
from mayfly.bootstrap.connectors import Opened
from mayfly.bootstrap.registry import SPECS
from mayfly.config.secrets import CONNECTION, Secret, resolve
from mayfly.domain.credentials import ConnectionKey
from mayfly.domain.errors import ConfigError, UsageError
from mayfly.domain.settings import DestinationSettings, Project, SecretRef
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed
from mayfly.services.credentials import AccessTokens, CredentialVault, Place
from mayfly.services.oauth import Login, OAuthClient, Tokens, exchange, refresh

_T = TypeVar("_T")


@dataclass(kw_only=True)
class Connections:
    """What the destinations of a project log in with.

    Args:
        project: under its target.
        vault: with the credentials.
        clock: of the project.
    """

    project: Project
    vault: CredentialVault
    clock: SystemClock
    _access: dict[Place, AccessTokens] = field(default_factory=dict)

    def opened(self, settings: DestinationSettings) -> DestinationSettings:
        """The destination with what opens its connection in place of each reference to one."""
        options = {k: self._opener(settings, v) for k, v in settings.options.items()}
        return replace(settings, options=options)

    def place(self, name: str) -> Place:
        """What `mayfly connect` stores for a destination.

        Raises:
            UsageError: `unknown_destination`, `no_connection`, it logs in by other means.
        """
        settings = self.project.destinations.get(name)
        if settings is None:
            raise UsageError(
                "unknown_destination",
                f"There is no destination {name!r}.",
                hint=f"The project has: {', '.join(sorted(self.project.destinations)) or 'none'}.",
            )
        own = SecretRef(kind=CONNECTION, name=name)
        if own not in settings.options.values():
            raise UsageError(
                "no_connection",
                f"Destination {name} does not log in by a connection of its own.",
                hint=f"Write `{CONNECTION}:{name}` where its secret's reference stands, for "
                "instance `access_token`.",
            )
        return self._place(settings, name)

    def client(self, settings: DestinationSettings) -> OAuthClient | None:
        """The client that logs in; None where the type has no log-in, or no client is named."""
        spec = SPECS[settings.type].oauth
        if spec is None or not settings.options.get(spec.client_id_option):
            return None
        secret = settings.options.get(spec.client_secret_option)
        redirect_uri = settings.options.get(spec.redirect_uri_option)
        return OAuthClient(
            spec=spec,
            client_id=str(settings.options[spec.client_id_option]),
            client_secret=resolve(secret, os.environ).reveal()
            if isinstance(secret, SecretRef)
            else None,
            endpoint=settings.endpoint,
            redirect_uri=None if redirect_uri is None else str(redirect_uri),
        )

    def exchange(self, client: OAuthClient, login: Login, code: str) -> Tokens:
        """See `mayfly.services.oauth.exchange`."""
        return _asked(client, lambda http: exchange(http, client, login, code))

    def _opener(self, settings: DestinationSettings, value: object) -> object:
        if not isinstance(value, SecretRef) or value.kind != CONNECTION:
            return value
        place = self._place(settings, value.name)
        return Opened(lambda: self._open(settings, place))

    def _place(self, settings: DestinationSettings, name: str) -> Place:
        key = ConnectionKey(target=self.project.target, name=name)
        return Place(key=key, where=f"{settings.type} {settings.endpoint or 'vendor'}")

    def _open(self, settings: DestinationSettings, place: Place) -> Revealed:
        credential = self.vault.get(place)
        if not credential.refreshes:
            return Secret(credential.secret)
        client = self.client(settings)
        if client is None:
            raise ConfigError(
                "oauth_client",
                f"Connection {place.key.name} was made by logging in, and destination "
                f"{settings.name} names no client to go on with.",
                hint="Put the client id back, or run `mayfly connect` again.",
            )

        def ask(token: str) -> Tokens | None:
            return _asked(client, lambda http: refresh(http, client, token))

        made = AccessTokens(
            lambda: self.vault.refreshed(place, ask),
            seconds=lambda: self.clock.now_ms() / 1000,
            jitter=secrets.SystemRandom().random,
        )
        return self._access.setdefault(place, made)


def token_hosts(settings: DestinationSettings) -> frozenset[str]:
    """Hosts that refreshing a destination's access tokens needs."""
    spec = SPECS[settings.type].oauth
    return frozenset() if spec is None or settings.endpoint else frozenset({spec.token_host})


def _asked(client: OAuthClient, ask: Callable[[HttpClient], Coroutine[Any, Any, _T]]) -> _T:
    """In a thread with a loop of its own: who needs a token may be on a loop already."""

    async def main() -> _T:
        http = HttpxClient({urlsplit(client.token_url).hostname or ""})
        try:
            return await ask(http)
        finally:
            await http.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()
