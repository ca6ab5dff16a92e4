"""One person taken out of what waits sealed, while all others go on waiting for their destination.

Each batch is opened. One without the person stays as it is; one with the person is sealed again
without, under a new key and with its old deadline, and then destroyed; or it is destroyed whole
where it cannot be opened. A crash at any moment leaves one of the two, whose rows go once.
"""

from __future__ import annotations

import pyarrow.compute as pc

from mayfly.domain.errors import EngineError, TransientError
from mayfly.domain.held import HeldBatch
from mayfly.planning.spec import PlanSpec, PlanWorker
from mayfly.ports.subjects import PlannedSubject, Recognise, SubjectRows
from mayfly.services.hold import content_of_rows, rows_of
from mayfly.services.sealed_subject import persons_rows
from mayfly.services.waiting import WaitingRoom


def erase_sealed(
    room: WaitingRoom,
    *,
    spec: PlanSpec,
    subjects: SubjectRows,
    recognise: Recognise,
    worker: PlanWorker,
) -> None:
    """Take a person out of a sync's sealed batches. For the holder of the state's lease alone.

    Args:
        room: where they wait.
        spec: of the sync.
        subjects: its state.
        recognise: the person.
        worker: what needs a key.

    Raises:
        EngineError: the state, its source, the place of what is sealed or the key provider is away;
            a batch with the person is not gone yet.
    """
    sync, target = spec.identity.sync, spec.identity.target
    room.end_remains(sync, target)
    # Under the lease: who else erases seals again under other ids.
    held = [h for h in room.sealed() if (h.sync, h.target) == (sync, target)]
    if not held:
        return
    planned = subjects.planned(spec, recognise, worker)
    for batch in held:
        _take_out(room, batch, spec, recognise, worker, planned)


def _take_out(
    room: WaitingRoom,
    held: HeldBatch,
    spec: PlanSpec,
    recognise: Recognise,
    worker: PlanWorker,
    planned: PlannedSubject | None,
) -> None:
    try:
        rows, positions = rows_of(room.spool.open(held.id))
    except TransientError:
        # It opens for nobody else either; to wait loses none of the others.
        raise
    except EngineError:
        # Nobody can say who is in it. What of it is in the source still is planned anew.
        room.destroy(held)
        return
    mine = persons_rows(
        held,
        rows,
        positions,
        spec=spec,
        recognise=recognise,
        worker=worker,
        planned=planned,
    )
    if not mine.true_count:
        return
    others = pc.invert(mine)
    left = rows.filter(others)
    if not left.num_rows:
        room.destroy(held)
        return
    room.seal_again(held, content_of_rows(left, positions.filter(others)), left.num_rows)
