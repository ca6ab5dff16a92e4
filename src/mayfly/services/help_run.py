"""Helping with a run of another worker: its batches are sent here as they would be there."""

from __future__ import annotations

from contextlib import suppress

from mayfly.domain.errors import ConfigError, IntegrityError, TransientError
from mayfly.planning.spec import Plan, PlanCounts
from mayfly.ports.destination import Locating
from mayfly.ports.planstore import Joined, SharedPlanStore
from mayfly.services.deliver_plan import acknowledge, deliver_these
from mayfly.services.run import Run, call, followed, sender_of
from mayfly.services.run_tally import RunTally
from mayfly.services.share_run import LOOK_SECONDS, take_part

LOOKS_MAX = 120


async def help_out(run: Run, tally: RunTally) -> None:
    """Send batches of the open plan of `run.spec.run`, as long as there are any and its owner lets
    others send.

    Args:
        run: as the owner has it: the same sync, rules, approvals and suppression list.
        tally: counts what was sent here.

    Raises:
        EngineError: what kept this worker from going on; the owner sees to what it began.
    """
    store = run.store
    if not isinstance(store, SharedPlanStore):
        return
    try:
        joined = await call(store.join, run.spec, run=run.spec.run, name=run.holder)
        if await _is_the_same_object(run) and await _lane(run, store):
            await _send(run, store, joined, tally)
    except TransientError as error:
        if error.code != "sharing_over":
            raise
    except IntegrityError as error:
        if error.code != "fenced":
            raise
    finally:
        # Where the warehouse is away, this worker's time runs out by itself.
        with suppress(TransientError, ConfigError):
            await call(store.leave, oldest_seconds=tally.ages()["max"])


async def _send(run: Run, store: SharedPlanStore, joined: Joined, tally: RunTally) -> None:
    take_part(run, store, helps=True)
    plan = Plan(
        counts=PlanCounts(),
        batches=joined.plan.batches,
        row_bytes=joined.row_bytes,
        reads_at_once=joined.reads_at_once,
    )
    todo = [b for b in plan.batches if not b.intent]
    for job in await deliver_these(run, plan, tally, todo):
        done = await followed(run, job.submitted)
        await acknowledge(run, tally, job.sent, done.outcomes)


async def _lane(run: Run, store: SharedPlanStore) -> bool:
    """Wait for a lane; false where this worker is asked to stop before it has one, or its owner has
    come to no further batch.
    """
    for _ in range(LOOKS_MAX):
        if run.stop.is_set():
            break
        if await call(store.has_lane):
            return True
        await run.sleep(LOOK_SECONDS)
    return False


async def _is_the_same_object(run: Run) -> bool:
    """Whether this worker finds what the owner's state speaks of."""
    if not isinstance(run.destination, Locating):
        return True
    known = await call(run.store.object_id)
    return known is not None and await sender_of(run).locate(known) == known
