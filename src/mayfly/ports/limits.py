"""The port of limits that all workers of a workspace share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a draw gave.

    Args:
        granted: how many; 0 where it is to be waited for.
        wait_seconds: until it is worth asking again, where none was granted.
    """

    granted: int
    wait_seconds: float = 0.0


class Limits(Protocol):
    """Accounts are told apart by a digest of their destinations' identities.

    Calls block, each is one transaction, and any may come from several threads, processes and
    machines. Times are those of the database, so that machines' clocks need not agree.

    Every call may raise:
        TransientError: `store_unavailable`.
    """

    def draw(
        self, account: str, name: str, *, per_minute: int, wanted: int, whole: bool = False
    ) -> Drawn:
        """Take up to so many of a limit per minute, to be used within `SLICE_SECONDS`.

        Args:
            account: whose limit.
            name: of the limit.
            per_minute: how many there are; another number counts from the next draw on.
            wanted: 1 or more.
            whole: all or none; more than is ever there at once is granted, and owed, when all is.
        """
        ...

    def enter(self, account: str, holder: str, *, most: int, seconds: float) -> bool:
        """Take one of so many places for so long, or keep the one that the holder has."""
        ...

    def leave(self, account: str, holder: str) -> None:
        """Give a place back; nothing is done where the holder has none."""
        ...
