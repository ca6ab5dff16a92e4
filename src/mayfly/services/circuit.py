"""Whether a destination is away, judged by what it answers and remembered between runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mayfly.domain.errors import TransientError
from mayfly.domain.runs import Outage

RETRY_AFTER_MAX_SECONDS = 60.0
PAUSE_MAX = timedelta(hours=1)
_PROBE_SECONDS, _PROBE_MAX_SECONDS = 5.0, 300.0
_AWAY = "destination_away"


@dataclass(kw_only=True)
class Circuit:
    """One run's word on its destination. Once it is away no lane asks it any more.

    Args:
        half_open: whether it was away when it was last asked: one failure says that it still is.
        failures: in a row, over runs.
        away: what says so; where it is given the destination is not asked at all.
        answered: whether this run had an answer of it, a refusal perhaps.
    """

    half_open: bool = False
    failures: int = 0
    away: TransientError | None = None
    answered: bool = False

    def require(self) -> None:
        """Refuse to ask a destination that is away.

        Raises:
            TransientError: `destination_away`.
        """
        if self.away is not None:
            raise TransientError(
                _AWAY,
                self.away.message,
                hint=self.away.hint,
                retry_after_seconds=self.away.retry_after_seconds,
            )

    def succeeded(self) -> None:
        """It answered."""
        self.answered, self.half_open, self.failures = True, False, 0

    def failed(self, error: TransientError) -> bool:
        """It did not answer, or asked for a pause; whether it is away by that alone."""
        self.failures += 1
        if self.half_open or (error.retry_after_seconds or 0.0) > RETRY_AFTER_MAX_SECONDS:
            self.opened(error)
        return self.away is not None

    def opened(self, error: TransientError) -> None:
        """It is away: all attempts of one request failed, say."""
        self.away = self.away or error

    def outage(
        self, known: Outage | None, destination: str, target: str, now: datetime
    ) -> Outage | None:
        """What the next run is to know, None where the destination is not away."""
        if self.away is None:
            return None if self.answered else known
        if self.away.code == _AWAY:
            return known
        pause = self.away.retry_after_seconds or 0.0
        long = timedelta(seconds=pause) if pause > RETRY_AFTER_MAX_SECONDS else None
        return Outage(
            destination=destination,
            target=target,
            since=now if known is None or self.answered else known.since,
            failures=self.failures,
            code=self.away.code,
            asked_again_at=None if long is None else now + min(long, PAUSE_MAX),
        )


def circuit_of(known: Outage | None, now: datetime) -> Circuit:
    """The circuit a run begins with.

    A pause that the destination named is kept, for an hour at most: asking earlier makes many a
    platform's pause longer. Without one, every run asks once.
    """
    if known is None:
        return Circuit()
    away = None
    if known.asked_again_at is not None and now < known.asked_again_at:
        away = TransientError(
            _AWAY,
            f"The destination asked for a pause ({known.code}); it is asked again from "
            f"{known.asked_again_at.astimezone(UTC):%H:%M} UTC.",
            hint="Run again then, or with `--wait`; `mayfly status` shows what waits.",
            retry_after_seconds=(known.asked_again_at - now).total_seconds(),
        )
    return Circuit(half_open=True, failures=known.failures, away=away)


def probe_seconds(attempt: int, named: float | None) -> float:
    """How long to wait before the n-th probe, from 1: what the destination named, else doubling."""
    doubling = min(_PROBE_SECONDS * 2.0 ** min(attempt - 1, 16), _PROBE_MAX_SECONDS)
    return max(doubling, named or 0.0)
