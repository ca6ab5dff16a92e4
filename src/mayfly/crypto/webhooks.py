"""Signatures of Standard Webhooks 1.0: HMAC-SHA256 over id, time and body, by some keys."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from mayfly.domain.errors import ConfigError

_PREFIX = "whsec_"


def webhook_key(secret: str, *, whose: str) -> bytes:
    """The key of a secret.

    Args:
        secret: `whsec_` and 24 to 64 bytes in base64.
        whose: for the message, such as `the webhook for checkpoints`.

    Raises:
        ConfigError: `bad_webhook_secret`.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ConfigError(
            "bad_webhook_secret",
            f"The secret of {whose} is not whsec_ and 24 to 64 bytes in base64.",
            hint="Make one with: echo whsec_$(openssl rand -base64 32)",
        )
    return key


def signed_headers(
    keys: Sequence[bytes], message_id: str, seconds: int, body: bytes
) -> Mapping[str, str]:
    """Headers over a body.

    Args:
        keys: the receiver accepts the message where it has one of them, so that a secret can be
            replaced without a moment in which nothing arrives.
        message_id: the same each time the message is sent.
        seconds: since 1970.
        body: as it is sent.
    """
    signed = f"{message_id}.{seconds}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
