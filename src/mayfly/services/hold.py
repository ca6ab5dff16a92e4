"""Batches that wait sealed while their destination is away, and their way out once it is back.

What was sealed is what was planned. Consent and suppression are applied as they are when it goes;
where they cannot be read nothing goes. Each batch passes the gate like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.batch import Batch, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    PolicyError,
    TransientError,
)
from mayfly.domain.held import HeldBatch, HoldException, latest_purge_ms
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.domain.retention import RetentionClass
from mayfly.ledger.entry import BYTES_REMOVED, KEY_DESTROYED, Entry, EntryType, identifier_of
from mayfly.planning.spec import BatchInfo, OpenPlan
from mayfly.ports.spool import keyless_of
from mayfly.services.deliver_plan import Job, acknowledge, deliver_one
from mayfly.services.doubt import head_of, is_applied, settle
from mayfly.services.run import Holding, Run, at_present, call, followed, is_stale
from mayfly.services.run_tally import RunTally
from mayfly.services.withdraw_first import withdraw_first

_POSITION = "mayfly position"  # no destination field has a blank in its name


def held_id(sid: str, run: str, number: int) -> str:
    """The one id of a batch of a run, 32 hexadecimal digits."""
    return hashlib.sha256(f"{sid}/{run}/{number}".encode()).hexdigest()[:32]


async def seal_waiting(run: Run, tally: RunTally) -> None:
    """Seal what the open plan has not delivered. What cannot be sealed is planned anew.

    Removals are not: the state knows of them for as long as it takes.
    """
    holding = run.holding
    plan = await call(run.store.open_plan)
    if holding is None or plan is None or plan.run != run.spec.run:
        return
    for info in plan.batches:
        if info.acknowledged or info.job is not None or info.operation is Operation.REMOVE:
            continue
        read_ms = run.now_ms()
        [batch] = await call(
            run.store.read, at_present(run), [info], run.worker, of=len(plan.batches)
        )
        if len(batch.positions):
            await _seal(run, holding, info, batch, read_ms)
            tally.sealed += len(batch.positions)


async def _seal(run: Run, holding: Holding, info: BatchInfo, batch: Batch, read_ms: int) -> None:
    """It is in the ledger before it is anywhere, with the version that wraps its key."""
    held = HeldBatch(
        id=held_id(run.spec.identity.sid, run.spec.run, info.number),
        workspace=holding.workspace,
        region=holding.region,
        target=run.spec.identity.target,
        sync=run.spec.identity.sync,
        run=run.spec.run,
        batch=info.number,
        operation=info.operation.value,
        identifier=info.identifier,
        rows=len(batch.positions),
        cls=RetentionClass.CUSTOMER_DATA,
        exception=HoldException.DESTINATION_OUTAGE,
        read_at_ms=read_ms,
        purge_by_ms=latest_purge_ms(
            read_ms, RetentionClass.CUSTOMER_DATA, HoldException.DESTINATION_OUTAGE
        ),
    )
    known = {"run": held.run, "batch": held.batch, "rows": held.rows}

    announced = []

    def announce(version: str) -> None:
        reason, name = HoldException.DESTINATION_OUTAGE.value, identifier_of(version)
        entry = run.entry(EntryType.HELD, reason=reason, kek_version=name, **known)
        run.ledger.append([entry])
        announced.append(version)

    try:
        await call(holding.spool.hold, held, content_of(batch), announce=announce)
    except EngineError:
        if announced and not await call(_may_be_left, holding, held.id):
            await call(run.ledger.append, [run.entry(EntryType.PURGED, reason="not_held", **known)])
        raise


def _may_be_left(holding: Holding, batch_id: str) -> bool:
    """Whether sealed bytes of a hold that failed may be there; who removes them records its end."""
    try:
        return batch_id in {h.id for h in holding.spool.remains()}
    except EngineError:
        return True


def content_of(batch: Batch) -> bytes:
    """The rows of a batch with their positions, as an Arrow IPC stream."""
    return content_of_rows(batch.rows, batch.positions)


def content_of_rows(table: pa.Table, positions: pa.Array) -> bytes:
    """As `content_of`, of rows and their positions."""
    rows = table.append_column(_POSITION, positions.cast(pa.int32()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def rows_of(content: bytes) -> tuple[pa.Table, pa.Array]:
    """The rows and positions that `content_of` wrote.

    Raises:
        IntegrityError: `held_rows_damaged`.
    """
    try:
        with pa.ipc.open_stream(content) as reader:
            table = reader.read_all()
        positions = table.column(_POSITION).combine_chunks().cast(pa.int32())
    except (pa.ArrowException, KeyError, OSError):
        raise IntegrityError(
            "held_rows_damaged", "The rows of a held batch are not what was sealed."
        ) from None
    return table.drop_columns([_POSITION]), positions


async def drain(run: Run, tally: RunTally, left_open: OpenPlan) -> None:
    """Send what waits of a plan that an earlier run left open, and purge it. Before that, who
    withdrew meanwhile is taken out.

    Nothing goes where mapping or rules are others now: what still holds is planned anew. So is what
    the gate refuses: it holds back nobody's withdrawal.

    Raises:
        TransientError: the destination, or the source that tells consent, is still away.
        PolicyError: nothing but withdrawals may go; it stays sealed.
    """
    holding = run.holding
    if holding is None:
        return
    waiting = await _waiting(run, holding, left_open.run)
    batches = {b.number: b for b in left_open.batches}
    todo = [(h, batches[h.batch]) for h in waiting if h.batch in batches]
    answered = [h for h, info in todo if info.acknowledged]
    await _purge(run, holding, answered, "delivered")
    open_ones = [(h, info) for h, info in todo if not info.acknowledged]
    if open_ones and run.options.refusal is not None:
        await withdraw_first(run, tally, left_open)
        raise run.options.refusal
    if open_ones and left_open.versions == run.spec.versions:
        try:
            await withdraw_first(run, tally, left_open)
            await _drain(run, holding, tally, left_open, open_ones)
        except PolicyError as error:
            if error.code != "withheld_threshold":
                raise
    left = await _waiting(run, holding, left_open.run)
    await _purge(run, holding, left, "planned_anew")


async def _drain(
    run: Run,
    holding: Holding,
    tally: RunTally,
    left_open: OpenPlan,
    waiting: Sequence[tuple[HeldBatch, BatchInfo]],
) -> None:
    """Send what waits; jobs are followed once all are on their way, as one may need the others."""
    infos = [info for _, info in waiting]
    asked_ms = run.now_ms()
    allowed = await call(run.store.allowed, at_present(run), infos, run.worker)
    tally.rows_planned += sum(info.rows for info in infos)
    jobs: list[tuple[HeldBatch, Job]] = []
    for held, info in waiting:
        if info.job is not None:
            continue
        if is_stale(run, asked_ms):
            asked_ms = run.now_ms()
            allowed = await call(run.store.allowed, at_present(run), infos, run.worker)
        await _require_no_stop(run)
        done = tally.rows_done
        end = await _drain_one(run, holding, tally, held, info, allowed, left_open)
        if isinstance(end, Job):
            jobs.append((held, end))
            continue
        if tally.rows_done == done:
            # It did not go by this run: it is there already, or is planned anew.
            tally.rows_planned -= info.rows
        await _purge(run, holding, [held], end)
    empty = await _send_empty(run, holding, tally, left_open, waiting, jobs)
    for job in empty:
        answer = await followed(run, job.submitted)
        await acknowledge(run, tally, job.sent, answer.outcomes)
    for held, job in jobs:
        answer = await followed(run, job.submitted)
        await acknowledge(run, tally, job.sent, answer.outcomes)
        taken = len(job.sent.positions) > answer.outcomes.count(OutcomeCode.DEFERRED)
        await _purge(run, holding, [held], "delivered" if taken else "planned_anew")
    for held, info in waiting:
        if info.job is not None:
            tally.rows_planned -= info.rows
            await settle(run, left_open, info)
            await _purge(run, holding, [held], "delivered")


async def _require_no_stop(run: Run) -> None:
    """Nothing that waits goes by what is stricter now; who cancels a run lets it drain, for what
    is sealed has a deadline.
    """
    stop = await call(run.look) if run.look is not None else None
    if stop is not None and stop.reason is not None:
        raise stop.reason


async def _send_empty(
    run: Run,
    holding: Holding,
    tally: RunTally,
    left_open: OpenPlan,
    waiting: Sequence[tuple[HeldBatch, BatchInfo]],
    jobs: Sequence[tuple[HeldBatch, Job]],
) -> list[Job]:
    """Batches of which nothing is sealed go without rows: a file is made of all parts of its plan.

    Only beside others that became jobs, and only what was never begun.
    """
    if not jobs:
        return []
    try:
        rows, positions = rows_of(await call(holding.spool.open, jobs[0][0].id))
    except IntegrityError as error:
        if error.code != "spool_gone":
            raise
        # Purged by whoever may, after it was sent: what the jobs do not take is planned anew.
        return []
    sealed = {info.number for _, info in waiting}
    found = []
    for info in left_open.batches:
        if info.number in sealed or info.acknowledged or info.intent:
            continue
        head = head_of(run, left_open, info)
        batch = Batch(head=head, rows=rows.slice(0, 0), positions=positions.slice(0, 0))
        tally.rows_planned += info.rows
        job = await deliver_one(run, tally, info, batch, run.now_ms(), of_run=left_open.run)
        found += [] if job is None else [job]
    return found


async def purge_others(run: Run, keep: str | None) -> None:
    """Purge what waits of this sync and target for plans that are not open any more."""
    if run.holding is not None:
        waiting = await _waiting(run, run.holding, None)
        await _purge(run, run.holding, [h for h in waiting if h.run != keep], "plan_gone")


async def note_gone(run: Run) -> None:
    """Batches that were announced and are not held: a process ended between ledger and spool, or
    their place did not answer when their keys were destroyed. They are ended in the ledger once
    nothing of them can be there: where the place is still away, by a later run or sweep.

    The lease is ours, so that no other run of this sync is between the two now.
    """
    holding, identity = run.holding, run.spec.identity
    if holding is None:
        return
    announced = [
        b
        for b in await call(run.ledger.open_batches)
        if (b.sync, b.target) == (identity.sync, identity.target)
    ]
    there = {(h.run, h.batch) for h in await call(holding.spool.held)} if announced else set()
    gone = [b for b in announced if (b.run, b.batch) not in there]
    if not gone:
        return
    left = await call(holding.spool.remains)
    remains = {(h.run, h.batch): h for h in left}
    ids = {(b.run, b.batch): held_id(identity.sid, b.run, b.batch) for b in gone}
    ids |= {key: remains[key].id for key in ids.keys() & remains.keys()}
    # One that was sealed again may have left more than one.
    more = [h.id for h in left if (h.run, h.batch) in ids]
    try:
        removed = await call(holding.spool.purge, [*ids.values(), *more])
    except (TransientError, ConfigError):
        return
    entries = []
    for b in gone:
        key = b.run, b.batch
        reason = BYTES_REMOVED if ids[key] in removed else "not_there"
        age_ms = max(0, run.now_ms() - remains[key].read_at_ms) if key in remains else None
        known = {"run": b.run, "batch": b.batch, "rows": b.rows, "age_ms": age_ms}
        entries.append(run.entry(EntryType.PURGED, reason=reason, **known))
    await call(run.ledger.append, entries)


def _keyless(run: Run, held: HeldBatch, version: str) -> Entry:
    return run.entry(
        EntryType.HELD,
        run=held.run,
        batch=held.batch,
        rows=held.rows,
        reason=KEY_DESTROYED,
        kek_version=identifier_of(version),
    )


async def _waiting(run: Run, holding: Holding, of_run: str | None) -> Sequence[HeldBatch]:
    identity, now = run.spec.identity, run.now_ms()
    found = await call(holding.spool.held)
    mine = [h for h in found if (h.sync, h.target) == (identity.sync, identity.target)]
    live = [h for h in mine if h.purge_by_ms > now and of_run in (None, h.run)]
    return sorted(live, key=lambda h: h.batch)


async def _drain_one(
    run: Run,
    holding: Holding,
    tally: RunTally,
    held: HeldBatch,
    info: BatchInfo,
    allowed: Mapping[int, pa.Array],
    left_open: OpenPlan,
) -> str | Job:
    """Send one batch; what became of it, as the ledger says it, or the job that it became."""
    try:
        content = await call(holding.spool.open, held.id)
    except IntegrityError as error:
        if error.code != "spool_gone":
            raise
        # Purged by whoever may, since this run asked what waits: planned anew like the rest.
        return "not_there"
    rows, positions = rows_of(content)
    del content
    head = head_of(run, left_open, info)
    may = pc.is_in(positions, value_set=allowed.get(info.number, pa.array([], pa.int32())))
    # What an earlier attempt left out is not in doubt, and stays with the new plan.
    unsent = pc.is_in(positions, value_set=pa.array(sorted(info.unsent), pa.int32()))
    whole = pc.all(pc.or_(may, unsent)).as_py() is not False
    may = pc.and_not(may, unsent)
    if info.intent and run.spec.mode is SyncMode.APPEND:
        if await is_applied(run, head):
            await call(
                run.store.outcome, info.number, Outcomes.all_of(OutcomeCode.ACCEPTED, info.rows)
            )
            return "delivered"
    elif info.intent and not whole:
        # Whoever may not be sent again is perhaps there: the close marks all of it so.
        return "in_doubt"
    batch = Batch(head=head, rows=rows.filter(may), positions=positions.filter(may))
    job = await deliver_one(run, tally, info, batch, held.read_at_ms, of_run=held.run)
    return job or "delivered"


async def _purge(run: Run, holding: Holding, batches: Sequence[HeldBatch], reason: str) -> None:
    if not batches:
        return
    versions = await call(holding.spool.key_versions, [h.id for h in batches])
    try:
        await call(holding.spool.purge, [h.id for h in batches])
    except EngineError as error:
        keyless = await call(keyless_of, holding.spool, batches, error)
        await call(run.ledger.append, [_keyless(run, h, versions.get(h.id, "")) for h in keyless])
        raise
    now = run.now_ms()
    await call(
        run.ledger.append,
        [
            run.entry(
                EntryType.PURGED,
                run=h.run,
                batch=h.batch,
                rows=h.rows,
                age_ms=max(0, now - h.read_at_ms),
                reason=reason,
                kek_version=identifier_of(versions.get(h.id, "")),
            )
            for h in batches
        ],
    )
