"""Keeping to the limits of a destination's account, together with all other workers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from mayfly.domain.errors import EngineError, TransientError
from mayfly.domain.limits import SLICE_SECONDS, AccountLimits, burst
from mayfly.ports.limits import Limits

WAIT_MAX_SECONDS = 600.0
PLACE_SECONDS = 120.0
"""A place of a process that died is free after so long."""
_RENEW_SECONDS = PLACE_SECONDS / 4
_PAUSE_SECONDS, _PAUSE_MAX_SECONDS = 0.05, 1.0
_LONGEST_PAUSE_SECONDS = 5.0
Sleep = Callable[[float], Awaitable[None]]


@dataclass(kw_only=True)
class _Slice:
    """Requests that were drawn and may be made until then."""

    left: int = 0
    until: float = 0.0
    size: int = 1


@dataclass(kw_only=True)
class AccountGate:
    """One run's share of an account. Of one loop; lanes may pass at the same time.

    Args:
        limits: of all workers.
        account: digest of the account's identity.
        of: what the project says of it.
        sleep: how to wait; tests give one that does not.
        clock: seconds that never run back.
    """

    limits: Limits
    account: str
    of: AccountLimits
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    _slice: _Slice = field(default_factory=_Slice)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Around one request: within, it may be made.

        Raises:
            TransientError: `limit_wait`, none was free for ten minutes; `store_unavailable`.
        """
        async with self._place():
            await self._drawn()
            yield

    async def rows(self, count: int) -> None:
        """Before so many rows are handed over. Raises as `request`."""
        most = self.of.rows_per_minute
        if most is None or count < 1:
            return
        waited = 0.0
        while True:
            found = await asyncio.to_thread(
                self.limits.draw,
                self.account,
                "rows",
                per_minute=most,
                wanted=count,
                whole=True,
            )
            if found.granted:
                return
            waited = await self._wait(found.wait_seconds, waited)

    async def _drawn(self) -> None:
        """One request of the slice, which is drawn anew where it is used up or too old.

        A slice that was used up in time is followed by one of twice its size, one that was not by
        a smaller one: a busy worker asks the store seldom, an idle one keeps nothing from others.
        """
        most = self.of.requests_per_minute
        if most is None:
            return
        async with self._turn:
            share, waited = self._slice, 0.0
            while share.left < 1 or self.clock() >= share.until:
                used_up = share.left < 1
                doubled = share.size * 2 if used_up else max(1, share.size // 2)
                share.size = min(doubled, burst(most)) if share.until else 1
                asked = self.clock()
                found = await asyncio.to_thread(
                    self.limits.draw,
                    self.account,
                    "requests",
                    per_minute=most,
                    wanted=share.size,
                )
                # From before it was drawn on: the answer may have taken its time.
                share.left, share.until = found.granted, asked + SLICE_SECONDS
                if not found.granted:
                    waited = await self._wait(found.wait_seconds, waited)
            share.left -= 1

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the account's places, renewed for as long as the request takes."""
        most = self.of.concurrency
        if most is None:
            yield
            return
        holder = secrets.token_hex(16)
        await self._entered(holder, most)
        renewing = asyncio.ensure_future(self._renew(holder, most))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError, EngineError):
                await renewing
            # Where the store is away it runs out by itself.
            with suppress(EngineError):
                await asyncio.to_thread(self.limits.leave, self.account, holder)

    async def _entered(self, holder: str, most: int) -> None:
        waited, pause = 0.0, _PAUSE_SECONDS
        while not await self._enter(holder, most):
            waited = await self._wait(pause, waited)
            pause = min(pause * 2, _PAUSE_MAX_SECONDS)

    async def _enter(self, holder: str, most: int) -> bool:
        return await asyncio.to_thread(
            self.limits.enter, self.account, holder, most=most, seconds=PLACE_SECONDS
        )

    async def _renew(self, holder: str, most: int) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._enter(holder, most)

    async def _wait(self, seconds: float, waited: float) -> float:
        """Wait, and say how long that was in all."""
        if waited >= WAIT_MAX_SECONDS:
            raise TransientError(
                "limit_wait",
                f"Nothing of the account's limits was free for {WAIT_MAX_SECONDS:.0f} s.",
                hint="Other workers use them up; raise `limits` of the destination where its "
                "vendor allows more, or run fewer syncs to it at a time.",
            )
        pause = min(max(seconds, 0.001), _LONGEST_PAUSE_SECONDS)
        await self.sleep(pause)
        return waited + pause
