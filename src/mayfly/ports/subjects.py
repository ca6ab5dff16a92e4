"""The port through which one person is found in a state, and taken out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from mayfly.domain.batch import Batch
from mayfly.planning.spec import PlanSpec, PlanWorker

Recognise = Callable[[pa.Array], pa.Array]
"""Bool per digest, never null: whether it is one of the person's."""


@dataclass(frozen=True, kw_only=True, repr=False)
class FoundSubject:
    """What a state knows of a person.

    Args:
        rows: rows of the state that are the person's, also those that left the model.
        batches: by what the destination knows them, before the gate.
    """

    rows: int
    batches: Sequence[Batch]


class SubjectRows(Protocol):
    """One state, and what was rejected beside it. For the holder of the state's lease alone.

    Blocks as long as the warehouse takes; may be repeated. No value and no digest of the person
    enters the text of a statement.
    """

    def find(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> FoundSubject:
        """The person as the destination was told of him. Writes nothing that outlives the call.

        Of identifiers that were not asked for by themselves those are left out that another row
        has delivered, too.
        """

    def forget(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> int:
        """Take the person out: rows, delivered identifiers, rejections; how many rows went."""
