"""Alerts told to an address, after Standard Webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable

from mayfly.adapters.posting import post, reach
from mayfly.crypto.webhooks import signed_headers, webhook_key
from mayfly.ports.alerts import Message


class WebhookChannel:
    """Posts `{"type", "timestamp", "data": {…}}`, signed.

    Args:
        name: of the channel.
        url: HTTPS, or literal loopback over plain HTTP.
        secret: gives `whsec_` and the key in base64.
        type_: of what is told.
    """

    def __init__(
        self, name: str, url: str, *, secret: Callable[[], str], type_: str = "mayfly.alert"
    ) -> None:
        self._whose = f"channel {name}"
        self._url = url
        self._secret = secret
        self._type = type_

    def send(self, notice: Message) -> None:
        """See `AlertChannel.send`."""
        document = {
            "type": self._type,
            "timestamp": notice.at.isoformat(),
            "data": notice.to_dict(),
        }
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = signed_headers([self._key()], notice.id, int(notice.at.timestamp()), body)
        post(self._url, body, headers, whose=self._whose, code="alert")

    def check(self) -> None:
        """See `AlertChannel.check`."""
        self._key()
        reach(self._url, whose=self._whose, code="alert")

    def _key(self) -> bytes:
        return webhook_key(self._secret(), whose=self._whose)
