"""Intercom connectors over HTTP against a sandbox."""

from __future__ import annotations

from typing import Any

from hubspot_world import Token
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.intercom import Intercom
from mayfly.connectors.destinations.intercom_api import IntercomSettings
from mayfly.ports.destination import DestinationContext
from mayfly.sandbox.intercom import APP_ID


def made(url: str, given: DestinationContext, **settings: Any) -> Intercom:
    """A connector with an HTTP client of its own."""
    whole = {"app_id": APP_ID, "access_token": Token(), "endpoint": url, **settings}
    return Intercom(IntercomSettings(**whole), HttpxClient(["127.0.0.1"]), given)
