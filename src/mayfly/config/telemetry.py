"""The shapes of what a process tells of itself in the project files."""

from __future__ import annotations

from pydantic import Field

from mayfly.config.fields import Line, Part
from mayfly.domain import settings as s


class ServePart(Part):
    """What `mayfly serve` and `mayfly worker` listen on."""

    listen: Line | None = Field(
        default=None,
        description="ADDRESS:PORT for `/metrics`, `/healthz` and `/readyz`; nothing by default.",
        examples=["127.0.0.1:9464"],
    )
    public: bool = Field(
        default=False, description="Whether it may be an address that other machines reach."
    )


def serve_settings(file: ServePart) -> s.ServeSettings:
    """As the layers above read it."""
    return s.ServeSettings(listen=file.listen, public=file.public)
