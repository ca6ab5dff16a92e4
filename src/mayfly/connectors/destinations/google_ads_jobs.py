"""Requests that Google has taken: what is kept of each, and when it is asked what became of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.destinations.google_ads_answers import warned_members
from mayfly.connectors.jobs import Pace
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


AT_GOOGLE = Pace(first_seconds=1_800.0, least_seconds=60.0)
"""As Google's guide has it."""
