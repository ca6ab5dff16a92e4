"""Batches whose answer never came: what became of them."""

from __future__ import annotations

import pyarrow as pa

from mayfly.domain.batch import BatchHead, SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import BatchInfo, OpenPlan
from mayfly.ports.destination import JobRef, Submitted
from mayfly.services.deliver import spread
from mayfly.services.deliver_plan import require_one_each
from mayfly.services.run import Run, call, followed, sender_of


async def is_applied(run: Run, head: BatchHead) -> bool:
    """By the destination's own marker; where it keeps none, as whoever runs has chosen.

    Raises:
        PolicyError: `in_doubt`, the destination cannot tell and nobody has chosen.
    """
    found = await sender_of(run).applied(head)
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


async def settle(run: Run, left_open: OpenPlan, batch: BatchInfo) -> None:
    """Ask for a submitted job; for an append, ask the destination's own marker."""
    if batch.job is not None:
        sent = sorted(set(range(batch.rows)).difference(batch.unsent))
        job = JobRef(batch=batch.number, rows=len(sent), reference=batch.job)
        done = await followed(run, Submitted(job=job))
        require_one_each(done.outcomes, len(sent))
        laid_out = spread(done.outcomes, pa.array(sent, pa.int32()), batch.rows, {})
        await call(run.store.outcome, batch.number, laid_out)
        return
    if run.spec.mode is not SyncMode.APPEND:
        return
    found = await is_applied(run, head_of(run, left_open, batch))
    code = OutcomeCode.ACCEPTED if found else OutcomeCode.DEFERRED
    await call(run.store.outcome, batch.number, Outcomes.all_of(code, batch.rows))


def head_of(run: Run, left_open: OpenPlan, batch: BatchInfo) -> BatchHead:
    """What a batch of an open plan is told by."""
    return BatchHead(
        sync=run.spec.identity.sync,
        run=left_open.run,
        number=batch.number,
        of=len(left_open.batches),
        operation=batch.operation,
        rows=batch.rows,
        identifier=batch.identifier,
    )
