"""Whether a destination's object is still the one that a sync's state speaks of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mayfly.domain.errors import EngineError, TransientError
from mayfly.ports.destination import Destination, Locating
from mayfly.ports.planstore import PlanStore


@dataclass(frozen=True, kw_only=True)
class ObjectFound:
    """What a run would find out about the object it fills.

    Args:
        forgotten: delivered rows that a run forgets, because the object they are in is gone.
        unasked: code of why the destination could not be asked, None where it could.
    """

    forgotten: int = 0
    unasked: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As the commands print it."""
        return {"forgotten": self.forgotten, "unasked": self.unasked}


async def find_object(store: PlanStore, destination: Destination) -> ObjectFound:
    """Ask the destination once; nothing is written, here or there.

    Raises:
        ConfigError, ContractError: a run would stop at it.
    """
    if not isinstance(destination, Locating):
        return ObjectFound()
    known = await asyncio.to_thread(store.object_id)
    if known is None and not await asyncio.to_thread(store.forgets, None):
        return ObjectFound()
    try:
        found = await destination.locate(known)
    except TransientError as error:
        return unasked(error)
    return ObjectFound(forgotten=await asyncio.to_thread(store.forgets, found))


def unasked(error: EngineError) -> ObjectFound:
    """The destination could not be asked."""
    return ObjectFound(unasked=error.code)
