"""Whether an append is there whose answer never came."""

from __future__ import annotations

from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import PolicyError
from mayfly.services.run import Run


async def is_applied(run: Run, head: BatchHead) -> bool:
    """By the destination's own marker; where it keeps none, as whoever runs has chosen.

    Raises:
        PolicyError: `in_doubt`, the destination cannot tell and nobody has chosen.
    """
    found = await run.destination.applied(head)
    if found is not None:
        return found
    choice = run.options.in_doubt
    if choice is None:
        raise PolicyError(
            "in_doubt",
            f"Batch {head.number} of sync {head.sync} may have been appended already, and the "
            "destination cannot tell.",
            hint="Run again with --resend (rows may double) or --skip (rows may be missing).",
        )
    return choice == "skip"
