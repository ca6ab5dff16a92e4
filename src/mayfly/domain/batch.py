"""Batches: the unit of plan, acknowledgement and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class SyncMode(StrEnum):
    """What a sync does with rows that are new, changed or gone."""

    UPSERT = "upsert"
    MIRROR = "mirror"
    APPEND = "append"
    AUDIENCE = "audience"


class Operation(StrEnum):
    """The one kind of change that a batch holds."""

    ADD = "add"  # audience: union of members
    WRITE = "write"  # upsert, mirror: insert or replace by key
    INSERT = "insert"  # append
    REMOVE = "remove"  # audience: one identifier per row; mirror: one key per row


@dataclass(frozen=True, kw_only=True)
class BatchHead:
    """What is known of a batch without its rows: ids and counts, fit for ledger and logs.

    Args:
        sync: id of the sync.
        run: id of the run.
        number: from 0, unique in the run.
        of: how many batches the run has.
        operation: the kind of change of every row.
        identifier: for removals from an audience, the identifier field of every row.
        rows: number of rows.
    """

    sync: str
    run: str
    number: int
    of: int
    operation: Operation
    rows: int
    identifier: str | None = None

    @property
    def last(self) -> bool:
        """Whether this is the run's last batch."""
        return self.number == self.of - 1


@dataclass(frozen=True, kw_only=True, repr=False)
class Batch:
    """Rows as they were read, before the gate. Columns are named by destination field.

    Args:
        head: ids and counts; `head.rows` rows were planned.
        rows: the rows that could still be read. A planned row is missing here where it left the
            model or lost its consent after planning.
        positions: int32, one per row of `rows`: its number in the planned batch, ascending.
    """

    head: BatchHead
    rows: pa.Table
    positions: pa.Array

    def __repr__(self) -> str:
        return (
            f"Batch(run={self.head.run}, number={self.head.number}, "
            f"operation={self.head.operation}, rows={self.head.rows})"
        )
