"""The port of a place that keeps checkpoints where the ledger's owner cannot change them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Anchor(Protocol):
    """One place. Calls block, may be repeated, and may come from several processes."""

    def publish(self, note: str, *, size: int, at: datetime) -> None:
        """Leave a signed checkpoint there; an earlier one is never replaced.

        Args:
            note: the signed checkpoint, which holds no value of a row.
            size: number of entries that it covers.
            at: the present time.

        Raises:
            TransientError: `anchor_away`.
            ConfigError: `anchor_refused`, with what is wrong there.
            IntegrityError: `anchor_conflict`, something else is kept there in its place.
        """
        ...
