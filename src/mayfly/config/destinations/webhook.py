"""Addresses of your own, as destinations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mayfly.config.destinations.base import Limited, Owned
from mayfly.config.fields import Reference, WebhookUrl


class WebhookDestination(Owned, Limited):
    """An address of your own that is sent signed messages, after Standard Webhooks."""

    modes = ("upsert", "mirror", "append")
    takes = ("key",)
    keyed = ("upsert", "mirror")

    type: Literal["webhook"] = Field(description="Kind of destination.")
    url: WebhookUrl = Field(description="https://HOST/PATH, or http://127.0.0.1:PORT/PATH.")
    secret: Reference = Field(
        description="Reference to the secret that signs: whsec_ and base64.", examples=["env:HOOK"]
    )
    previous_secret: Reference | None = Field(
        default=None,
        description="Reference to the one before it, which signs, too, until the receiver has the "
        "new one.",
    )
