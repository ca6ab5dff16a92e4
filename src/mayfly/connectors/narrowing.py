"""Finding the rows that a refusal of a whole request is about, where requests are small."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mayfly.domain.errors import ContractError, RequestRefusedError

T = TypeVar("T")
REFUSED_ALONE_MAX = 5


@dataclass(kw_only=True)
class Narrowing:
    """Halves refused requests until the refused rows stand alone.

    A request that is refused for what it is, and not for a row, is told by this: so many rows are
    refused one by one, and none was ever taken.

    Args:
        vendor: for messages.
        taken: whether any request was taken.
        alone: rows refused by themselves.
    """

    vendor: str
    taken: bool = False
    alone: int = 0

    async def send(
        self,
        rows: Sequence[T],
        ask: Callable[[Sequence[T]], Awaitable[None]],
        refuse: Callable[[T, RequestRefusedError], None],
    ) -> None:
        """Hand all rows to `ask`, in as many requests as it takes; each refused row to `refuse`.

        Raises:
            ContractError: it is the request that is refused.
            EngineError: as `ask`.
        """
        waiting = [rows] if rows else []
        while waiting:
            part = waiting.pop()
            try:
                await ask(part)
                self.taken = True
            except RequestRefusedError as error:
                if len(part) > 1:
                    half = len(part) // 2
                    waiting += [part[half:], part[:half]]
                    continue
                self._blame(error)
                refuse(part[0], error)

    def _blame(self, error: RequestRefusedError) -> None:
        self.alone += 1
        if not self.taken and self.alone >= REFUSED_ALONE_MAX:
            raise ContractError(
                error.code,
                error.message,
                hint=f"{self.alone} rows were sent alone, and each was refused: it is the request "
                f"that {self.vendor} refuses, and no row. Nothing was taken; see the code in its "
                "documentation, and report it.",
            )
