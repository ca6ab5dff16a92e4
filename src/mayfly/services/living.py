"""Which processes still do what they began: by the machine's word, and by what workers tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mayfly.domain.runs import WorkerBeat
from mayfly.ports.engine import Engine
from mayfly.ports.store import Store
from mayfly.services.events import Tell, WorkerGivenUp

SILENT_MS = 120_000
"""Who told of itself longer ago is not counted as there."""


def alive_by_beats(store: Store, here: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a holder may still go on: not where its machine says that it is gone, nor where
    the workers have given it up, wherever it is.

    Args:
        store: where workers tell of themselves.
        here: what this machine knows; true of a process of another one.
    """

    def alive(holder: str) -> bool:
        if not here(holder):
            return False
        return not any(w.executor == holder and w.ended for w in store.workers())

    return alive


@dataclass(kw_only=True)
class Undertaker:
    """Gives up workers that are silent, and lets others go on with what they began.

    Args:
        store, engine: ports, with connections that nothing else uses.
        executor: this worker.
        lease_ms: who is silent for longer is given up.
        here: as `alive_by_beats` has it: a dead process of this machine is not waited for.
        tell: who hears of it.
    """

    store: Store
    engine: Engine
    executor: str
    lease_ms: int
    here: Callable[[str], bool]
    tell: Tell

    def look(self) -> None:
        """Once. What was left undone by a look that failed is done by the next one.

        Raises:
            TransientError: of store or engine.
        """
        living = {self.executor}
        for worker in self.store.workers():
            if worker.ended or worker.executor == self.executor:
                continue
            if not self._silent(worker) or not self.store.end_worker(worker):
                living.add(worker.executor)
                continue
            self.tell(WorkerGivenUp(executor=worker.executor, silent_ms=worker.age_ms))
        for owner in self.engine.owners():
            if owner not in living:
                self.engine.take_over(owner)

    def _silent(self, worker: WorkerBeat) -> bool:
        return worker.age_ms > self.lease_ms or not self.here(worker.executor)
