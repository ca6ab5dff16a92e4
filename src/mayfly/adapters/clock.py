"""The clock, which never runs back within a process."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SystemClock:
    """Milliseconds and times in UTC; safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970, at least the last answer."""
        with self._lock:
            self._latest_ms = max(self._latest_ms, time.time_ns() // 1_000_000)
            return self._latest_ms

    def now(self) -> datetime:
        """The present time with its zone."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)
