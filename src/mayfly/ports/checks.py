"""What every implementation of the destination port checks at run time."""

from __future__ import annotations

from mayfly.domain.errors import IntegrityError
from mayfly.privacy.gate import ProtectedBatch


def require_protected(batch: object) -> None:
    """Refuse what did not pass the gate; the first line of every write and erase.

    Raises:
        IntegrityError: `not_through_the_gate`.
    """
    if not isinstance(batch, ProtectedBatch):
        raise IntegrityError(
            "not_through_the_gate",
            "A destination was handed rows that did not pass the gate.",
            hint="Rows reach a destination through mayfly.privacy.gate only.",
        )
