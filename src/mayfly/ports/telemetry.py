"""A receiver of spans and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mayfly.domain.telemetry import Point, Span, Sum


class TelemetryReceiver(Protocol):
    """Calls block for some seconds at most, and come from one thread at a time.

    Raises, from each call: TransientError, it is away, and a repeat may succeed; ConfigError, a
    setting must change.
    """

    def traces(self, spans: Sequence[Span]) -> None:
        """Tell of spans."""

    def metrics(
        self, sums: Sequence[Sum], points: Sequence[Point], *, since_ns: int, now_ns: int
    ) -> None:
        """Tell what was counted between two times, and what was found at the second."""

    def check(self) -> None:
        """Raise if nothing could be sent now; nothing is sent."""
