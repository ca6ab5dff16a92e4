"""A way to reach an operator."""

from __future__ import annotations

from typing import Protocol

from mayfly.domain.alerts import Notice


class AlertChannel(Protocol):
    """Calls block for some seconds at most, and may come from any thread, one at a time.

    Raises, from each call: TransientError, it is away, and a repeat may succeed; ConfigError, a
    setting must change.
    """

    def send(self, notice: Notice) -> None:
        """Tell the notice. A repeat carries the same id."""

    def check(self) -> None:
        """Raise if nothing could be sent now; nothing is sent."""
