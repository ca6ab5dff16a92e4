"""Who withdrew is taken out before anything goes that an earlier run has sealed.

The plan that run left open stays as it is until all of it went. What is taken out here is marked as
perhaps there, and as gone once the answer came: after a crash in between the next plan takes it out
once more, or sends it anew to who agreed again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from mayfly.domain.batch import Batch
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ledger.entry import EntryType
from mayfly.planning.spec import BatchInfo, OpenPlan
from mayfly.ports.destination import Submitted
from mayfly.privacy.gate import ProtectedBatch
from mayfly.privacy.gate.gate import pass_gate
from mayfly.services.check_plan import check_plan
from mayfly.services.deliver import Refused
from mayfly.services.run import Run, call, followed, sender_of, withdrawing
from mayfly.services.run_tally import RunTally


async def withdraw_first(run: Run, tally: RunTally, left_open: OpenPlan) -> None:
    """Take out who withdrew or is suppressed, beside a plan that is open.

    Args:
        run: that holds the lease.
        tally: counts it.
        left_open: the plan.

    Raises:
        TransientError: source or destination are away.
        PolicyError: it cannot be told who withdrew, or something stricter ends the run.
    """
    if not run.spec.removes:
        return
    # What is sent here has a name of its own: the plan of this run numbers its batches anew.
    spec = replace(withdrawing(run), run=f"{run.spec.run}.first")
    batches: list[Batch] = []
    plan = await call(
        run.store.withdrawals,
        spec,
        run.worker,
        check=partial(check_plan, spec=spec, accept_removals=0),
        inspect=batches.append,
    )
    tally.asked_withdrawals = True
    tally.withdrawn = dict(plan.withdrawn)
    past = 1 + max((b.number for b in left_open.batches), default=-1)
    for info in plan.batches:
        await _take_out(run, tally, info, batches.pop(0), left_open.run, past)


async def _take_out(
    run: Run, tally: RunTally, info: BatchInfo, batch: Batch, of_run: str, past: int
) -> None:
    read_ms = run.now_ms()
    stop = await call(run.look) if run.look is not None else None
    if stop is not None and stop.withdrawals:
        if stop.reason is not None:
            raise stop.reason
        return
    gated = await asyncio.to_thread(pass_gate, batch, run.policy)
    if not len(gated.positions):
        return
    # Renews the lease, and stops where it was taken over.
    await call(run.store.keep, 0.0)
    outcomes = await _answer(run, gated.batch)
    taken = outcomes.count(OutcomeCode.ACCEPTED) + outcomes.count(OutcomeCode.UNCONFIRMED)
    age_ms = run.now_ms() - read_ms
    if taken == info.rows:
        await call(run.store.taken_out, run.spec, info.number)
        tally.rows_planned += info.rows
        tally.acknowledged(info, outcomes, seconds=age_ms / 1000)
        tally.taken_out(info, outcomes, now_ms=run.now_ms())
    entry = run.entry(
        EntryType.DELIVERED,
        run=of_run,
        rows=taken,
        batch=past + batch.head.number,
        age_ms=age_ms,
        operation=batch.head.operation.value,
    )
    await call(run.ledger.append, [entry])


async def _answer(run: Run, batch: ProtectedBatch) -> Outcomes:
    """Of every row, once it is known."""
    renew = partial(call, run.store.keep, 0.0)
    answer = await sender_of(run).send(batch)
    if isinstance(answer, Refused):
        answer = await sender_of(run).narrow(batch, before=renew)
    if isinstance(answer, Submitted):
        return (await followed(run, answer)).outcomes
    return await sender_of(run).again(batch, answer, before=renew)
