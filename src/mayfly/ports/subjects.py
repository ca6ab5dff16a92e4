"""The port through which one person is found in a state, and taken out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, kw_only=True)
class PlannedSubject:
    """Where a person stands in the open plan: `rows` are positions, by number of the batch."""

    run: str
    rows: Mapping[int, Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class SubjectStanding:
    """How a sync stands to a person, in counts and times.

    Args:
        consent: rows of the model that are the person's now, by `granted`, `refused`, `unknown`.
        present: rows of the state that count as at the destination.
        absent: those that were there once.
        identifiers: delivered identifiers, by field of the destination.
        rejected: rows that are kept back because they were refused.
        first_ms, last_ms: of the deliveries of these rows, ms since 1970; None where there is none.
    """

    consent: Mapping[str, int] = field(default_factory=dict)
    present: int = 0
    absent: int = 0
    identifiers: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


class SubjectRows(Protocol):
    """One state, and what was rejected beside it. What changes it is for the holder of the state's
    lease alone.

    Blocks as long as the warehouse takes; may be repeated. No value and no digest of the person
    enters the text of a statement.
    """

    def find(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> FoundSubject:
        """The person as the destination was told of him, by state and open plan. Writes nothing
        that outlives the call.

        Of identifiers that were not asked for by themselves those are left out that another row
        has delivered, too.
        """

    def forget(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> int:
        """Take the person out: rows, delivered identifiers, rejections, and what is planned; how
        many rows of the state went.
        """

    def planned(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker
    ) -> PlannedSubject | None:
        """Where the person stands in the open plan; None where none is open. Writes nothing that
        outlives the call.
        """

    def standing(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker, *, kept: bool
    ) -> SubjectStanding:
        """How the sync stands to the person now. Writes nothing that outlives the call.

        Args:
            spec: of the sync.
            recognise: the person.
            worker: what needs a key.
            kept: whether there is a state; else the model is asked alone.
        """
