"""What is found out before the first row goes, once for all batches of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FirstCheck(Generic[T]):
    """A question that is asked once; one that failed is asked again. Calls may run concurrently.

    Args:
        ask: gives the answer, or raises.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._answers: list[T] = []

    async def answer(self) -> T:
        """The answer, asked for where there is none yet.

        Raises:
            EngineError: as `ask`.
        """
        async with self._asking:
            if not self._answers:
                self._answers.append(await self._ask())
            return self._answers[0]
