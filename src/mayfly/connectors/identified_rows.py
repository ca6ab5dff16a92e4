"""The rows of a batch as the requests of an audience take them: those that have an identifier, as
text, a part at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.audience_lists import AudienceList
from mayfly.domain.errors import ContractError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Done, FieldSpec, Progress
from mayfly.privacy.gate import ProtectedBatch

L = TypeVar("L")
# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_FALSE, _NO_BYTES = pa.scalar(False, pa.bool_()), pa.scalar(0, pa.int32())
_NOTHING = pa.scalar(None, pa.string())
_NO_IDENTIFIER = Reason(code="no_identifier")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Neighbouring rows of a batch.

    Args:
        rows: how many there are.
        sent: int64, numbers within the part of those that have an identifier.
        table: these as text; null where a row has no such identifier.
    """

    rows: int
    sent: pa.Array
    table: pa.Table

    def spread(self, answered: Outcomes) -> Outcomes:
        """Outcomes of all its rows, where `answered` has those of the rows that were sent; the
        others are rejected. Pure.

        Raises:
            ContractError: `outcome_count`.
        """
        if len(answered) == self.rows == len(self.sent):
            return answered
        nobody = Outcomes.all_of(OutcomeCode.REJECTED, self.rows, _NO_IDENTIFIER)
        return nobody.replaced(self.sent.to_pylist(), answered)


class IdentifiedRows:
    """A batch in parts.

    Args:
        batch: that passed the gate.
        fields: those that its rows have.
        specs: the destination's, by name.
        vendor: for messages.

    Raises:
        IntegrityError: `wrong_form`: a column is not in the form its field may leave in.
        ContractError: `columns_mismatch`.
    """

    def __init__(
        self,
        batch: ProtectedBatch,
        fields: Collection[str],
        specs: Mapping[str, FieldSpec],
        vendor: str,
    ) -> None:
        if set(batch.rows.column_names) != set(fields):
            raise ContractError("columns_mismatch", "A batch has other columns than its sync.")
        for name, form in batch.forms.items():
            spec = specs.get(name)
            if spec is None or spec.form is not form:
                raise IntegrityError(
                    "wrong_form", f"{name} is not in the form that {vendor} takes."
                )
        self._batch = batch
        self._identifiers = [n for n in batch.rows.column_names if specs[n].identifier]

    def __len__(self) -> int:
        return len(self._batch)

    def part(self, first: int, rows: int) -> Part:
        """The rows from `first` on. Pure."""
        table = _as_text(self._batch.rendered(first, rows))
        known = pa.repeat(_FALSE, table.num_rows)
        for name in self._identifiers:
            known = pc.or_(known, pc.is_valid(table.column(name)).combine_chunks())
        sent = pc.indices_nonzero(known).cast(pa.int64())
        whole = len(sent) == table.num_rows
        return Part(rows=table.num_rows, sent=sent, table=table if whole else table.take(sent))


class AudienceRows(Generic[L]):
    """Batches sent to the one list of an audience, a part after the other.

    Args:
        audience: the list.
        specs: fields of the destination, by name.
        vendor: for messages.
        rows_max: of a part.
        send: adds the people of a part to the list, or removes them; one outcome for each row that
            is sent.
    """

    def __init__(
        self,
        audience: AudienceList[L],
        *,
        specs: Mapping[str, FieldSpec],
        vendor: str,
        rows_max: int,
        send: Callable[[Part, L, bool], Awaitable[Outcomes]],
    ) -> None:
        self._audience, self._send = audience, send
        self._specs, self._vendor, self._rows_max = specs, vendor, rows_max

    async def send(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...], *, adds: bool
    ) -> Done:
        """The rows that are not answered yet.

        Raises:
            EngineError: as `send`; what was answered until then is in `progress`.
        """
        rows = IdentifiedRows(batch, fields, self._specs, self._vendor)
        while progress.next_row < len(rows):
            part = await asyncio.to_thread(rows.part, progress.next_row, self._rows_max)
            progress.rows_done(part.spread(await self._outcomes(part, adds=adds)))
        return progress.done()

    async def _outcomes(self, part: Part, *, adds: bool) -> Outcomes:
        """Of the rows of one request; a removal where no list is, is done."""
        found = await self._audience.found(create=adds) if len(part.sent) else None
        if found is None:
            return Outcomes.all_of(OutcomeCode.ACCEPTED, len(part.sent))
        return await self._send(part, found, adds)


def _as_text(rows: pa.Table) -> pa.Table:
    """What is empty is not there."""
    columns = {}
    for name in rows.column_names:
        column = rows.column(name).combine_chunks().cast(pa.string())
        is_empty = pc.equal(pc.binary_length(column), _NO_BYTES)
        columns[name] = pc.if_else(is_empty, _NOTHING, column)
    return pa.table(columns)
