"""Objects of a bucket, each made once: what S3 and Google Cloud Storage share.

An object is put by one request, and only where there is none of its name: both services keep that
themselves. So a repeat cannot write over anything, and no upload leaves parts behind that no
listing shows. A request that was cut off may still be carried out later; where `settled` finds
nothing, it puts an object without rows, and what comes late finds the name taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mayfly.connectors.destinations.batch_files import Written
from mayfly.domain.errors import TransientError

NOTHING = (
    "Where a crash left it open whether a file was written, and it is not there, an `append` puts "
    "a file without rows of that name before it sends the rows anew: the lost request then finds "
    "the name taken."
)
"""What the pages of both say."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object that is there.

    Args:
        tag: of this very content, as the service names it.
        rows: as they were written beside it; None where that is not known.
    """

    tag: str
    rows: int | None


class Bucket(Protocol):
    """The requests of one service. Errors are those of `Place`."""

    async def observe(self) -> None:
        """Whether the bucket can be reached and lies where it is said to lie."""

    async def head(self, name: str) -> Found | None:
        """An object, None where there is none."""

    async def create(self, name: str, content: bytes, *, rows: int, over: str | None) -> bool:
        """Put an object; False where the name is taken.

        Args:
            name: of it.
            content: whole.
            rows: written beside it.
            over: tag of the one object that may be replaced; None where none may.
        """

    async def names(self, start: str) -> Sequence[Written]:
        """Objects whose names begin so."""

    async def close(self) -> None:
        """Release connections. May be repeated."""


class Objects:
    """A `Place` in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._is_observed = False
        self._observing = asyncio.Lock()

    async def check(self) -> None:
        """See `Place.check`."""
        async with self._observing:
            if not self._is_observed:
                await self._bucket.observe()
                self._is_observed = True

    async def put(self, name: str, content: bytes, rows: int) -> None:
        """See `Place.put`."""
        if await self._bucket.create(name, content, rows=rows, over=None):
            return
        found = await self._bucket.head(name)
        if found is None:
            raise _moved()
        if found.rows == 0 and not await self._bucket.create(
            name, content, rows=rows, over=found.tag
        ):
            raise _moved()

    async def settled(self, name: str, nothing: bytes) -> bool:
        """See `Place.settled`."""
        found = await self._bucket.head(name)
        if found is None and await self._bucket.create(name, nothing, rows=0, over=None):
            return False
        found = found or await self._bucket.head(name)
        if found is None:
            raise _moved()
        return found.rows != 0

    async def written(self, start: str) -> Sequence[Written]:
        """See `Place.written`."""
        return await self._bucket.names(start)

    async def close(self) -> None:
        """See `Place.close`."""
        await self._bucket.close()


def _moved() -> TransientError:
    return TransientError(
        "object_changed", "An object of the bucket was there, and was not when it was looked at."
    )
