"""A plan whose batches several workers send.

The run that made it offers it, once who withdrew is answered for, and ends that before it does
anything but send: closes the plan, seals what waits, or leaves it open. Workers that have nothing
else to do help; each is given one of the lanes that the destination lets a run have. Of two that
begin a batch, the first whose intent is committed sends it. See decision 33.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from mayfly.domain.errors import TransientError
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.spec import BatchInfo, Plan
from mayfly.ports.destination import Locating
from mayfly.ports.planstore import SharedPlanStore
from mayfly.services.run import Run, Share, call, sender_of
from mayfly.services.run_tally import RunTally

PROVEN_MS = 20_000
"""A request goes out so long after its worker last wrote to the plan, at most. With the time that a
request takes it is less than a lease."""
LOOK_SECONDS = 0.5


@asynccontextmanager
async def offered(
    run: Run, plan: Plan, tally: RunTally, todo: Sequence[BatchInfo]
) -> AsyncGenerator[None, None]:
    """Let others send batches of these while the block lasts. At its end nobody does any more,
    and what they sent is counted.

    Raises:
        TransientError: whether they still send cannot be told; then `run.share` stays.
    """
    store = run.store
    if not isinstance(store, SharedPlanStore) or not await _is_worth_it(run, tally, todo):
        yield
        return
    await call(store.offer, row_bytes=plan.row_bytes, reads_at_once=plan.reads_at_once)
    share = take_part(run, store, helps=False)
    await _tell(run, on=True)
    try:
        yield
    finally:
        await _tell(run, on=False)
        while not await call(store.end_offer, run.alive):
            await run.sleep(LOOK_SECONDS)
        run.share = None
        sender_of(run).proven.clear()
        await _count(run, share, tally, todo)


def take_part(run: Run, store: SharedPlanStore, *, helps: bool) -> Share:
    """Send batches as one of several from now on."""
    run.share = Share(store=store, helps=helps, written_ms=run.now_ms())
    sender_of(run).proven.append(partial(_prove, run, run.share))
    return run.share


async def begin(run: Run, batch: int, unsent: Outcomes | None) -> bool:
    """Commit the intent of a batch; whether it is this run's to send."""
    share = run.share
    if share is None:
        await call(run.store.intent, batch, unsent)
        return True
    before_ms = run.now_ms()
    if await call(share.store.claim, batch, unsent):
        share.own.add(batch)
        share.written_ms = before_ms
        return True
    share.others = await call(share.store.begun) - share.own
    return False


async def gives_lane(run: Run, lanes: int) -> bool:
    """Whether one of so many lanes goes to a worker that waits for one."""
    share = run.share
    if share is None or share.helps or lanes < 2:
        return False
    for name in share.store.waiting():
        if await call(share.store.give_lane, name):
            return True
    return False


async def not_begun(run: Run, todo: Sequence[BatchInfo]) -> Sequence[BatchInfo]:
    """Those that nobody has begun, as far as is known. Helpers begin at the end."""
    share = run.share
    if share is None:
        return todo
    share.others = await call(share.store.begun) - share.own
    return [b for b in todo if b.number not in share.others | share.own]


async def makes_object(run: Run) -> bool:
    """Whether the first batch goes alone: what is not there yet two workers would each make."""
    if run.offered is None or run.concurrency < 2 or not isinstance(run.destination, Locating):
        return False
    return await call(run.store.object_id) is None


async def _is_worth_it(run: Run, tally: RunTally, todo: Sequence[BatchInfo]) -> bool:
    """Where a destination takes one batch at a time there is no lane to give."""
    if run.offered is None or run.concurrency < 2 or len(todo) <= run.concurrency:
        return False
    if run.stop.is_set() or tally.stopped is not None:
        return False
    return not await makes_object(run)


async def _tell(run: Run, *, on: bool) -> None:
    """Who does not hear of it does not help, or comes for nothing."""
    if run.offered is not None:
        with contextlib.suppress(TransientError):
            await call(run.offered, on)


async def _prove(run: Run, share: Share) -> None:
    """A process that hung may find its batches in doubt, and planned anew by another."""
    now_ms = run.now_ms()
    if now_ms - share.written_ms > PROVEN_MS:
        await call(share.store.keep, 0.0)
        share.written_ms = now_ms


async def _count(run: Run, share: Share, tally: RunTally, todo: Sequence[BatchInfo]) -> None:
    """Take the answers to what helpers sent; of what they began and had no answer to, note that the
    plan may not be closed as if all were well.
    """
    begun = await call(share.store.begun)
    if not begun - share.own:
        return
    answers = await call(share.store.answers)
    oldest = await call(share.store.oldest_seconds)
    for info in todo:
        if info.number in share.own or info.number not in begun:
            continue
        if info.number in answers:
            tally.acknowledged(info, answers[info.number], seconds=oldest)
            tally.taken_out(info, answers[info.number], now_ms=run.now_ms())
        else:
            tally.unanswered += 1
