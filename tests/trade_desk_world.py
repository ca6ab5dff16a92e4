"""The Trade Desk connector for tests, with the keys that the sandbox knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mayfly.connectors.destinations.the_trade_desk import TheTradeDesk
from mayfly.connectors.destinations.the_trade_desk_settings import TradeDeskSettings
from mayfly.connectors.uid2 import Scope, Uid2Operator, Uid2Settings, operator_host
from mayfly.ports.destination import DestinationContext
from mayfly.ports.http import HttpClient
from mayfly.sandbox.uid2_operator import API_KEYS, CLIENT_SECRET

TOKEN = "token-1"


@dataclass(frozen=True)
class Secret:
    """A secret of a test, whose own `repr` shows it."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


def api_key(scope: Scope) -> str:
    """The sandbox's key of a scope."""
    return next(key for key, of in API_KEYS.items() if of == scope)


def phone_digest(subject: int) -> bytes:
    """SHA-256 of a number of a range that is nobody's."""
    return hashlib.sha256(f"+1555{subject:07d}".encode()).digest()


def operator(
    http: HttpClient,
    *,
    url: str,
    scope: Scope = "euid",
    key: str | None = None,
    secret: str = CLIENT_SECRET,
) -> Uid2Operator:
    """The operator that the sandbox plays."""
    settings = Uid2Settings(
        scope=scope,
        host=operator_host(scope, "global"),
        api_key=Secret(key or api_key(scope)),
        client_secret=Secret(secret),
        endpoint=url,
    )
    return Uid2Operator(settings, http)


def desk(
    http: HttpClient,
    context: DestinationContext,
    *,
    url: str,
    scope: Scope = "euid",
    token: str = TOKEN,
    api_key: str | None = None,
    segment: str = "Contract",
    ttl_days: int = 90,
) -> TheTradeDesk:
    """A connector to advertiser abc123."""
    settings = TradeDeskSettings(
        advertiser_id="abc123",
        token=Secret(token),
        segment=segment,
        ttl_days=ttl_days,
        endpoint=url,
    )
    mapping = operator(http, url=url, scope=scope, key=api_key)
    return TheTradeDesk(settings, http, context, scope=scope, operator=mapping)
