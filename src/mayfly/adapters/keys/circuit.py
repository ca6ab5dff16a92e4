"""Limits around a service that may be away: a bound on each call, and a circuit.

A client's own time limits are not enough: they begin anew with each byte received, leave out the
look-up of names, and a C library has none. A call that is not back in time is left to its thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from mayfly.adapters.keys.refusals import unavailable
from mayfly.domain.errors import TransientError

FAILURES_MAX = 3
PAUSE_SECONDS = 30.0
T = TypeVar("T")


class Circuit:
    """Refuses at once, for a while, after several answers in a row failed to come.

    When the while is over one call goes through; if it fails too, the next while begins. Safe for
    several threads.
    """

    def __init__(
        self,
        monotonic_seconds: Callable[[], float],
        *,
        failures_max: int = FAILURES_MAX,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """A closed circuit: everything goes through.

        Args:
            monotonic_seconds: seconds from any point in time, that never go back.
            failures_max: so many in a row open it.
            pause_seconds: how long it stays open.
        """
        self._now = monotonic_seconds
        self._failures_max = failures_max
        self._pause_seconds = pause_seconds
        self._failures = 0
        self._closed_from = 0.0
        self._lock = threading.Lock()

    def call(self, function: Callable[[], T]) -> T:
        """What the function returns; only `keys_unavailable` counts as a failure.

        Raises:
            TransientError: `keys_unavailable`, with the seconds to wait where it is open.
            EngineError: what the function raises.
        """
        self._enter()
        try:
            result = function()
        except TransientError:
            self._failed()
            raise
        except BaseException:
            self._answered()
            raise
        self._answered()
        return result

    def _enter(self) -> None:
        with self._lock:
            if self._failures < self._failures_max:
                return
            left = self._closed_from - self._now()
            if left > 0:
                raise unavailable(retry_after_seconds=left)
            # this call is the one that tries; until it is back the others go on waiting
            self._closed_from = self._now() + self._pause_seconds

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._closed_from = self._now() + self._pause_seconds

    def _answered(self) -> None:
        with self._lock:
            self._failures = 0


def bounded(function: Callable[[], T], seconds: float) -> T:
    """What the function returns, if it does so in time.

    Raises:
        TransientError: `keys_unavailable`, it did not. Its thread goes on and is waited for by
            nobody, not even at the end of the process.
        BaseException: what the function raises.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="mayfly-keys", daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except FutureTimeoutError:
        raise unavailable() from None
