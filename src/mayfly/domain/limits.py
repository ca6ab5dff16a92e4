"""How much of a destination's account may be used at a time, by all workers together."""

from __future__ import annotations

from dataclasses import dataclass, replace

SLICE_SECONDS = 2.0
"""What was drawn and is not used by then is not used any more."""
_WINDOW_SECONDS = 60.0 + SLICE_SECONDS + 1.0
_BURSTS = 20


@dataclass(frozen=True, kw_only=True)
class AccountLimits:
    """What the project says of one account; None is no limit.

    Args:
        requests_per_minute: in any 60 seconds.
        rows_per_minute: as their batches begin; a batch larger than what is left is waited for.
        concurrency: requests on their way at the same time.
    """

    requests_per_minute: int | None = None
    rows_per_minute: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Tokens of one limit: filled at a steady rate, up to a small part of the limit.

    In any 60 seconds no more than the limit is used, also where a slice is used as late as it may
    be: what is full at the beginning of a window, and what flows in over it, are together the
    limit at most.

    Args:
        per_minute: the limit, 1 or more.
        tokens: that are there; below 0 where more was owed than can be full.
        at: when that was, in seconds.
    """

    per_minute: int
    tokens: float
    at: float

    @classmethod
    def full(cls, per_minute: int, now: float) -> Bucket:
        """A bucket that nobody drew from."""
        return cls(per_minute=per_minute, tokens=float(burst(per_minute)), at=now)

    def drawn(self, wanted: int, now: float) -> tuple[Bucket, int, float]:
        """The bucket after a draw, how many were granted, and the seconds to wait where none was.

        A clock that went back fills nothing until it is where it was.
        """
        most = burst(self.per_minute)
        rate = (self.per_minute - most + 1) / _WINDOW_SECONDS
        filled = min(float(most), self.tokens + max(0.0, now - self.at) * rate)
        # So that rounding makes nobody wait for the last millionth of a token.
        granted = max(0, min(wanted, int(filled + 1e-6)))
        after = replace(self, tokens=filled - granted, at=max(now, self.at))
        wait = 0.0 if granted else (1.0 - filled) / rate + max(0.0, self.at - now)
        return after, granted, wait

    def owed(self, wanted: int, now: float) -> tuple[Bucket, bool, float]:
        """As `drawn`, all or nothing: more than there ever is at once is granted, and owed, when
        it is full.
        """
        most = burst(self.per_minute)
        rate = (self.per_minute - most + 1) / _WINDOW_SECONDS
        filled = min(float(most), self.tokens + max(0.0, now - self.at) * rate)
        needed = float(min(wanted, most))
        at = max(now, self.at)
        if filled + 1e-6 >= needed:
            return replace(self, tokens=filled - wanted, at=at), True, 0.0
        wait = (needed - filled) / rate + max(0.0, self.at - now)
        return replace(self, tokens=filled, at=at), False, wait


def burst(per_minute: int) -> int:
    """How many may be used at once."""
    return max(1, per_minute // _BURSTS)
