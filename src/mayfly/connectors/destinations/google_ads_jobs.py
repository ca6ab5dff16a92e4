"""Requests that Google has taken: what is kept of each, and when it is asked what became of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations.google_ads_answers import warned_members
from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason

REFERENCE_MAX = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_REFERENCE = re.compile(
    r"([A-Za-z0-9_-]{1,100})/([0-9]{1,12})(?:/([A-Za-z0-9_.-]{1,64})/(all|[0-9]+(?:\.[0-9]+)*))?"
)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What is kept of a request until its end; it fits into the reference of a job.

    Args:
        request_id: Google's own.
        taken_at: seconds since 1970.
        warning: reason of a warning, empty where there was none.
        warned: numbers of the job's rows that it is about; None where they are not known.
    """

    request_id: str
    taken_at: int
    warning: str = ""
    warned: tuple[int, ...] | None = ()

    @classmethod
    def of(cls, answered: Mapping[str, Any], taken_at: float) -> Receipt:
        """From the answer to a request.

        Raises:
            ContractError: `unknown_answer`, it has no id.
        """
        request_id = answered.get("requestId")
        if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id):
            raise ContractError("unknown_answer", "Google's answer names no request.")
        warning, warned = warned_members(answered)
        return cls(
            request_id=request_id, taken_at=int(taken_at), warning=warning[:64], warned=warned
        )

    @classmethod
    def read(cls, reference: str) -> Receipt:
        """From the reference of a job.

        Raises:
            ContractError: `bad_job_reference`.
        """
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise ContractError("bad_job_reference", "A job's reference is none of Google's.")
        rows = found[4] or ""
        return cls(
            request_id=found[1],
            taken_at=int(found[2]),
            warning=found[3] or "",
            warned=None if rows == "all" else tuple(int(n) for n in rows.split(".") if n),
        )

    def reference(self) -> str:
        """The reference of its job. Of more rows than fit it says that they are not known."""
        text = f"{self.request_id}/{self.taken_at}"
        if not self.warning:
            return text
        rows = "all" if self.warned is None else ".".join(map(str, self.warned))
        whole = f"{text}/{self.warning}/{rows}"
        return whole if len(whole) <= REFERENCE_MAX else f"{text}/{self.warning}/all"

    def with_warnings(self, outcomes: Outcomes) -> Outcomes:
        """Rows that Google has taken with a warning are not plainly accepted."""
        if not self.warning:
            return outcomes
        rows = range(len(outcomes)) if self.warned is None else self.warned
        taken = [r for r in rows if r < len(outcomes) and outcomes.codes[r].as_py() == 0]
        reason = Reason(code="field_warning", vendor_code=self.warning)
        warned = Outcomes.all_of(OutcomeCode.UNCONFIRMED, len(taken), reason)
        return outcomes.replaced(taken, warned) if taken else outcomes


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When Google is asked for a status, as its guide has it: not at once, and ever more seldom.

    Args:
        first_seconds: after the request was taken.
        least_seconds: between two questions, at least.
        share: of the time since it was taken, that is waited until the next.
        most_seconds: between two questions, at most.
    """

    first_seconds: float = 1_800.0
    least_seconds: float = 60.0
    share: float = 0.25
    most_seconds: float = 1_800.0

    def next_at(self, receipt: Receipt, asked_at: float | None) -> float:
        """Seconds since 1970 from which on it may be asked; `asked_at` is when it last was."""
        if asked_at is None:
            return receipt.taken_at + self.first_seconds
        waited = (asked_at - receipt.taken_at) * self.share
        return asked_at + min(max(self.least_seconds, waited), self.most_seconds)


AT_GOOGLE = Pace()
AT_ONCE = Pace(first_seconds=0.0, least_seconds=0.0, share=0.0)
"""For the sandbox, which has nothing to work on."""


def refused_rows(reasons: Mapping[int, Reason], rows: int) -> Outcomes:
    """Outcomes of a batch of which some rows are not in its job."""
    codes = [int(OutcomeCode.ACCEPTED)] * rows
    for row in reasons:
        codes[row] = int(OutcomeCode.REJECTED)
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=dict(reasons))
