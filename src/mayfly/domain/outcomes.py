"""What became of each row of a batch, as a column of codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.errors import ContractError

_VENDOR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class OutcomeCode(IntEnum):
    """Row outcomes; the numbers are stored in working copies and never change."""

    ACCEPTED = 0
    UNCONFIRMED = 1
    REJECTED = 2
    DEFERRED = 3
    WITHHELD = 4


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a row was not plainly accepted: our closed code and the vendor's own beside it."""

    code: str
    vendor_code: str = ""

    def __post_init__(self) -> None:
        for text in (self.code, self.vendor_code or "none"):
            if not _VENDOR_CODE.fullmatch(text):
                raise ContractError("bad_reason_code", "A reason code is not an identifier.")


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Codes of a whole batch, one per row, and reasons for the rows that need one.

    Args:
        codes: uint8 array of `OutcomeCode`, as long as the batch.
        reasons: row number to reason, only for rows not plainly accepted.
    """

    codes: pa.Array
    reasons: Mapping[int, Reason] = field(default_factory=dict)

    @classmethod
    def all_of(cls, code: OutcomeCode, rows: int, reason: Reason | None = None) -> Outcomes:
        """The same outcome for every row."""
        reasons = {} if reason is None else dict.fromkeys(range(rows), reason)
        return cls(codes=pa.repeat(pa.scalar(int(code), pa.uint8()), rows), reasons=reasons)

    def __len__(self) -> int:
        return len(self.codes)

    def count(self, code: OutcomeCode) -> int:
        """Number of rows with this outcome."""
        return int(pc.sum(pc.equal(self.codes, pa.scalar(int(code), pa.uint8()))).as_py() or 0)

    def not_accepted(self) -> list[int]:
        """Row numbers whose outcome is not plainly accepted, ascending."""
        return [int(i) for i in pc.indices_nonzero(self.codes).to_pylist()]

    def rows_of(self, code: OutcomeCode) -> list[int]:
        """Row numbers with this outcome, ascending."""
        found = pc.indices_nonzero(pc.equal(self.codes, pa.scalar(int(code), pa.uint8())))
        return [int(i) for i in found.to_pylist()]

    def replaced(self, rows: Sequence[int], others: Outcomes) -> Outcomes:
        """With new outcomes for some rows, in their order."""
        if len(rows) != len(others):
            raise ContractError("outcome_count", "There must be one outcome for each row.")
        codes = self.codes.to_pylist()
        reasons = dict(self.reasons)
        for place, (row, code) in enumerate(zip(rows, others.codes.to_pylist(), strict=True)):
            codes[row] = code
            reasons.pop(row, None)
            if place in others.reasons:
                reasons[row] = others.reasons[place]
        return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)
