"""Zendesk connectors over HTTP against a sandbox."""

from __future__ import annotations

from typing import Any

from hubspot_world import Token
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.zendesk import Zendesk
from mayfly.connectors.destinations.zendesk_api import ZendeskSettings
from mayfly.ports.destination import DestinationContext


async def at_once(seconds: float) -> None:
    """Waits for nothing."""
    del seconds


def made(url: str, given: DestinationContext, **settings: Any) -> Zendesk:
    """A connector with an HTTP client of its own."""
    whole = {"subdomain": "shop", "access_token": Token(), "endpoint": url, **settings}
    return Zendesk(ZendeskSettings(**whole), HttpxClient(["127.0.0.1"]), given, sleep=at_once)
