"""The clock, which never runs back: not within a process, and not behind what is on record."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far a machine's clock may stand before a time on record, as two machines' clocks do."""


class SystemClock:
    """Milliseconds and times in UTC; safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest_ms = 0

    def not_before(self, known: datetime | None) -> None:
        """Take a time that was on record already as passed."""
        if known is not None:
            with self._lock:
                self._latest_ms = max(self._latest_ms, round(known.timestamp() * 1000))

    def now_ms(self) -> int:
        """Milliseconds since 1970, at least the last answer."""
        with self._lock:
            self._latest_ms = max(self._latest_ms, _system_ms())
            return self._latest_ms

    def now(self) -> datetime:
        """The present time with its zone."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def behind_seconds(self) -> float:
        """How far the machine's clock stands before the latest time that is known."""
        with self._lock:
            return max(0.0, (self._latest_ms - _system_ms()) / 1000)


def _system_ms() -> int:
    return time.time_ns() // 1_000_000
