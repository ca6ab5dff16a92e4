"""Checkpoints told to an address, after Standard Webhooks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime

import httpx

from mayfly.crypto.webhooks import signed_headers, webhook_key
from mayfly.domain.errors import ConfigError, TransientError

TIMEOUT_SECONDS = 10.0


class WebhookAnchor:
    """Posts `{"type": "mayfly.checkpoint", "timestamp", "data": {"entries", "note"}}`.

    The message's id is that of the checkpoint, so that a repeat is known as one.

    Args:
        url: HTTPS, or literal loopback over plain HTTP.
        secret: gives `whsec_` and the key in base64.
        transport: for tests; the real network when None.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: Callable[[], str],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._secret = secret
        self._transport = transport

    def publish(self, note: str, *, size: int, at: datetime) -> None:
        """See `Anchor.publish`."""
        message_id = f"msg_{hashlib.sha256(note.encode()).hexdigest()[:32]}"
        document = {
            "type": "mayfly.checkpoint",
            "timestamp": at.isoformat(),
            "data": {"entries": size, "note": note},
        }
        body = json.dumps(document, separators=(",", ":")).encode()
        key = webhook_key(self._secret(), whose="the webhook for checkpoints")
        headers = signed_headers([key], message_id, int(at.timestamp()), body)
        with httpx.Client(
            trust_env=False,
            follow_redirects=False,
            timeout=TIMEOUT_SECONDS,
            transport=self._transport,
        ) as client:
            try:
                reply = client.post(self._url, content=body, headers=headers)
            except httpx.HTTPError:
                raise _away("does not answer") from None
        if reply.status_code >= 500 or reply.status_code == 429:
            raise _away(f"answers {reply.status_code}")
        if not 200 <= reply.status_code < 300:
            raise ConfigError(
                "anchor_refused",
                f"The webhook for checkpoints answers {reply.status_code}.",
                hint="Check its address and secret.",
            )


def _away(what: str) -> TransientError:
    return TransientError("anchor_away", f"The webhook for checkpoints {what}.")
