"""A way to reach an operator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class Message(Protocol):
    """What is told: of alerts, or of changes in the register of sub-processors."""

    @property
    def id(self) -> str:
        """The same each time it is sent."""

    @property
    def at(self) -> datetime:
        """When, in UTC."""

    def to_dict(self) -> Mapping[str, object]:
        """Its fields, as a webhook gets them."""

    def title(self) -> str:
        """One line for people."""

    def lines(self) -> list[str]:
        """What is known, one line each."""


class AlertChannel(Protocol):
    """Calls block for some seconds at most, and may come from any thread, one at a time.

    Raises, from each call: TransientError, it is away, and a repeat may succeed; ConfigError, a
    setting must change.
    """

    def send(self, notice: Message) -> None:
        """Tell the notice. A repeat carries the same id."""

    def check(self) -> None:
        """Raise if nothing could be sent now; nothing is sent."""
