"""Erasing one person at one sync: asked of its destination through the gate, then forgotten here.

What the state knows of the person stays until the destination has answered: without it nobody
could ask again. Each status is noted before what depends on it is done, so that a crash leaves
nothing that was asked without its record, and nothing forgotten that was not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.crypto.keyed import keyed_digests
from mayfly.domain.batch import Batch
from mayfly.domain.erasures import ANSWERED, ErasureStep, StepStatus
from mayfly.domain.errors import ConfigError, EngineError, PolicyError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import PlanSpec, PlanWorker
from mayfly.ports.destination import Destination, Erasure
from mayfly.ports.planstore import PlanStore
from mayfly.ports.subjects import FoundSubject, Recognise, SubjectRows
from mayfly.privacy.gate.gate import GatePolicy, pass_gate
from mayfly.services.deliver import Sender, Sleep
from mayfly.services.erase_sealed import erase_sealed
from mayfly.services.run import call
from mayfly.services.waiting import WaitingRoom

_CANNOT = ("no_erasure", "no_key")


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """One sync, as far as a person is erased from it.

    Args:
        spec, policy: of the compiled sync.
        store: whose lease keeps runs away meanwhile.
        subjects: what the state knows of people.
        worker: what needs a key.
        room: where batches wait sealed.
        erasure, confirms: what the destination can forget, and whether it answers for each person.
        destination: makes the connector, within what it may connect to.
        sleep: how to wait.
        holder, alive, now_ms: of the lease.
        now: for records.
    """

    spec: PlanSpec
    policy: GatePolicy
    store: PlanStore
    subjects: SubjectRows
    worker: PlanWorker
    room: WaitingRoom
    erasure: Erasure
    confirms: bool
    destination: Callable[[], AbstractContextManager[Callable[[], Destination]]]
    sleep: Sleep
    holder: str
    alive: Callable[[str], bool]
    now_ms: Callable[[], int]
    now: Callable[[], datetime]


def recogniser(key: bytes, entries: Collection[bytes]) -> Recognise:
    """Tells which digests are one person's, by keyed digests alone."""
    wanted = pa.array(sorted(entries), pa.binary(32))

    def recognise(digests: pa.Array) -> pa.Array:
        plain = digests.cast(pa.binary())
        whole = pc.equal(pc.binary_length(plain), 32)
        fitting = pc.if_else(pc.fill_null(whole, False), plain, pa.scalar(None, pa.binary()))
        keyed = keyed_digests(key, fitting.cast(pa.binary(32)))
        return pc.fill_null(pc.is_in(keyed, value_set=wanted), False)

    return recognise


def erase_at(
    eraser: Eraser, recognise: Recognise, step: ErasureStep, note: Callable[[ErasureStep], None]
) -> ErasureStep:
    """Do what is left of one step: what waits sealed first, then whoever was given something, then
    the state.

    Args:
        eraser: of the sync.
        recognise: the person.
        step: how far it is.
        note: records each change before what comes after it.

    Raises:
        EngineError: what is in the way of state or source; what was noted holds.
    """
    store = eraser.store
    store.acquire(eraser.spec, holder=eraser.holder, now_ms=eraser.now_ms(), alive=eraser.alive)
    try:
        if step.status not in ANSWERED:
            erase_sealed(
                eraser.room,
                spec=eraser.spec,
                subjects=eraser.subjects,
                recognise=recognise,
                worker=eraser.worker,
            )
            step = _asked(eraser, recognise, step, note)
        if step.status in ANSWERED:
            eraser.subjects.forget(eraser.spec, recognise, eraser.worker)
            step = replace(step, forgotten=True, changed_at=eraser.now())
            note(step)
        return step
    finally:
        # Where the store is away, the lease runs out by itself.
        with suppress(TransientError, ConfigError):
            store.release()


def _asked(
    eraser: Eraser, recognise: Recognise, step: ErasureStep, note: Callable[[ErasureStep], None]
) -> ErasureStep:
    found = eraser.subjects.find(eraser.spec, recognise, eraser.worker)
    if not found.rows and not found.batches:
        if step.rows:
            # Somebody dropped the state before the destination had answered.
            return _changed(eraser, step, StepStatus.FAILED, "state_gone", note)
        return _changed(eraser, step, StepStatus.NEVER_SENT, "", note)
    step = _changed(eraser, replace(step, rows=found.rows), StepStatus.REQUESTED, "", note)
    status, code = _answer(eraser, found)
    return _changed(eraser, step, status, code, note)


def _changed(
    eraser: Eraser,
    step: ErasureStep,
    status: StepStatus,
    code: str,
    note: Callable[[ErasureStep], None],
) -> ErasureStep:
    changed = replace(step, status=status, code=code, changed_at=eraser.now())
    note(changed)
    return changed


def _answer(eraser: Eraser, found: FoundSubject) -> tuple[StepStatus, str]:
    if eraser.erasure is Erasure.NONE:
        return StepStatus.UNSUPPORTED, "no_erasure"
    if not found.batches:
        if eraser.spec.by_identifier:
            return StepStatus.ACCEPTED, "taken_out_before"
        return StepStatus.UNSUPPORTED, "no_key"
    try:
        with eraser.destination() as make:
            return asyncio.run(_ask(eraser, make, found.batches))
    except TransientError as error:
        return StepStatus.REQUESTED, error.code
    except EngineError as error:
        if error.code in _CANNOT:
            return StepStatus.UNSUPPORTED, error.code
        return StepStatus.FAILED, error.code


async def _ask(
    eraser: Eraser, make: Callable[[], Destination], batches: Sequence[Batch]
) -> tuple[StepStatus, str]:
    destination = make()
    try:
        sender = Sender(destination=destination, sleep=eraser.sleep)
        # Of a list that is known by its id the connector is to ask no other of the same name.
        await sender.locate(await call(eraser.store.object_id))
        answers = []
        for batch in batches:
            gated = pass_gate(batch, eraser.policy)
            if gated.withheld:
                raise PolicyError("withheld_guard", "The gate withheld what names the person.")
            answers.append((await sender.erase(gated.batch)).outcomes)
        return status_of(answers, confirms=eraser.confirms)
    finally:
        await destination.close()


def status_of(answers: Sequence[Outcomes], *, confirms: bool) -> tuple[StepStatus, str]:
    """What several answers for one person come to: the least of them."""
    counts = {code: sum(a.count(code) for a in answers) for code in OutcomeCode}
    if counts[OutcomeCode.REJECTED] + counts[OutcomeCode.WITHHELD]:
        return StepStatus.FAILED, "rejected"
    if counts[OutcomeCode.DEFERRED]:
        return StepStatus.REQUESTED, "deferred"
    if counts[OutcomeCode.UNCONFIRMED] or not confirms:
        return StepStatus.ACCEPTED, ""
    return StepStatus.CONFIRMED, ""
