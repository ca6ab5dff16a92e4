"""A batch in parts that are sent by themselves, and outcomes of rows as they come to be known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from mayfly.domain.errors import RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason

Told = tuple[OutcomeCode, Reason | None]
"""What became of one row, and why where it was not plainly accepted."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RowPart:
    """Neighbouring rows of one request.

    Args:
        first: number of its first row in the batch.
        rows: how many rows it answers for.
        sent: numbers in the batch of those that can be sent.
        unsent: numbers of the others, with what is wrong with them.
    """

    first: int
    rows: int
    sent: tuple[int, ...]
    unsent: Mapping[int, Reason]

    @classmethod
    def of(cls, first: int, rows: int, wrong: Mapping[int, Reason]) -> RowPart:
        """The rows from `first` on, of which those that are `wrong` are not sent."""
        numbers = range(first, first + rows)
        unsent = {n: wrong[n] for n in numbers if n in wrong}
        sent = tuple(n for n in numbers if n not in unsent)
        return cls(first=first, rows=rows, sent=sent, unsent=unsent)

    def outcomes(self, told: Mapping[int, Told]) -> Outcomes:
        """Of all its rows: as `told`, else rejected where unsent, else accepted.

        Args:
            told: by number in the batch.
        """
        codes = [int(OutcomeCode.ACCEPTED)] * self.rows
        reasons: dict[int, Reason] = {}
        unsent = {n: (OutcomeCode.REJECTED, why) for n, why in self.unsent.items()}
        for number, (code, why) in {**unsent, **told}.items():
            codes[number - self.first] = int(code)
            if why is not None:
                reasons[number - self.first] = why
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def note_worse(told: dict[int, Told], others: Mapping[int, Told]) -> None:
    """Of two outcomes of a row the one stands that asks for more; the first, where both do."""
    for row, outcome in others.items():
        if row not in told or outcome[0] > told[row][0]:
            told[row] = outcome


def refused_row(error: RequestRefusedError) -> Told:
    """The outcome of a row that was refused by itself, with the vendor's code."""
    return OutcomeCode.REJECTED, Reason(code="row_refused", vendor_code=error.code)


def noting_refused(told: dict[int, Told]) -> Callable[[int, RequestRefusedError], None]:
    """For `Narrowing.send`: rows that were refused by themselves are told so."""

    def refuse(row: int, error: RequestRefusedError) -> None:
        told[row] = refused_row(error)

    return refuse
