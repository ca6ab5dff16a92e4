"""Jobs of Zendesk, which answer for users row by row: what is kept of them, what they say. Pure.

Results come in the order of the request, one a user, as Zendesk's developer advocates confirm.
Texts of a refusal may hold a value: they are looked at, and go nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.http_replies import vendor_code
from mayfly.connectors.row_parts import Told
from mayfly.domain.errors import ContractError
from mayfly.domain.outcomes import OutcomeCode, Reason

VENDOR = "Zendesk"
ROWS_MAX = 100
_JOB = re.compile(r"[A-Za-z0-9_-]{1,48}")
_PART = re.compile(r"([A-Za-z0-9_-]{1,48})=([0-9]{1,3})")
# As in "Name: is too short (minimum is 1 characters)".
_NO_NAME = re.compile(r"\bName:?\s+(?:is|can)\b")
_KINDS = ("write", "leave")
_DONE = frozenset({"created", "updated", "deleted"})
_WAITING = frozenset({"queued", "working"})
_ENDED = frozenset({"failed", "killed"})


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The jobs of one batch; it fits into the reference of a job.

    Args:
        kind: `write`, or `leave`, where a user who is not there is as good as done.
        jobs: id of each, and how many rows it holds.
    """

    kind: str
    jobs: tuple[tuple[str, int], ...]

    @classmethod
    def read(cls, reference: str) -> Receipt:
        """From the reference of a job.

        Raises:
            ContractError: `bad_job_reference`.
        """
        kind, *parts = reference.split(":")
        found = [_PART.fullmatch(part) for part in parts]
        if kind not in _KINDS or not parts or None in found:
            raise ContractError("bad_job_reference", "A job's reference is none of Zendesk's.")
        return cls(kind=kind, jobs=tuple((f[1], int(f[2])) for f in found if f is not None))

    def reference(self) -> str:
        """The reference of its job."""
        return ":".join([self.kind, *(f"{job}={rows}" for job, rows in self.jobs)])


def job_id(answer: Mapping[str, Any]) -> str:
    """Of the job that an answer tells of.

    Raises:
        ContractError: `unknown_answer`.
    """
    status = answer.get("job_status")
    found = status.get("id") if isinstance(status, dict) else None
    if not isinstance(found, str) or not _JOB.fullmatch(found):
        raise unfit("names no job")
    return found


def statuses(answer: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Jobs of an answer, by their ids; one that Zendesk has forgotten is missing.

    Raises:
        ContractError: `unknown_answer`.
    """
    found = answer.get("job_statuses")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise unfit("has no job_statuses")
    return {str(entry.get("id")): entry for entry in found}


def is_waiting(status: Mapping[str, Any]) -> bool:
    """Whether a job has not ended.

    Raises:
        ContractError: `unknown_answer`, its status is none that is documented.
    """
    name = str(status.get("status", "")).lower()
    if name not in _WAITING | _ENDED | {"completed"}:
        raise unfit("has a job in no known state")
    return name in _WAITING


def results(status: Mapping[str, Any] | None, rows: int) -> list[Mapping[str, Any]] | None:
    """What a job that has ended says of each row; None where it did nothing, or is forgotten.

    Raises:
        ContractError: `unknown_answer`, it does not answer for every row.
    """
    if status is None or str(status.get("status", "")).lower() in _ENDED:
        return None
    found = status.get("results")
    if not isinstance(found, list) or len(found) != rows:
        raise unfit("does not answer for every row")
    for place, entry in enumerate(found):
        if not isinstance(entry, dict) or entry.get("index", place) != place:
            raise unfit("answers for a row that was not sent")
    return found


def told(result: Mapping[str, Any], *, leaving: bool) -> Told:
    """What became of one row.

    Args:
        result: of the row.
        leaving: whether it is as good as done where there is no such user.

    Raises:
        ContractError: `unknown_answer`, its status is none that is documented.
    """
    if is_done(result):
        return OutcomeCode.ACCEPTED, None
    if leaving and is_nobody(result):
        return OutcomeCode.ACCEPTED, None
    reason = Reason(code="row_refused", vendor_code=vendor_code(result.get("error")))
    return OutcomeCode.REJECTED, reason


def is_done(result: Mapping[str, Any]) -> bool:
    """Whether what was asked of one user was done.

    Raises:
        ContractError: `unknown_answer`.
    """
    name = str(result.get("status", "")).lower()
    if name not in _DONE | {"failed"}:
        raise unfit("has a result in no known state")
    return name in _DONE


def is_nobody(result: Mapping[str, Any]) -> bool:
    """Whether a user who was written to without a name is not there: a new one needs a name.

    Zendesk says what is wrong in words alone, by the names of fields.
    """
    return _NO_NAME.search(str(result.get("details", ""))) is not None


def user_id(result: Mapping[str, Any]) -> int:
    """Of a user who is there.

    Raises:
        ContractError: `unknown_answer`.
    """
    found = result.get("id")
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise unfit("has a user without an id")
    return found


def parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Rows of each request."""
    return [numbers[first : first + ROWS_MAX] for first in range(0, len(numbers), ROWS_MAX)]


def unfit(what: str) -> ContractError:
    """An answer that Zendesk's own documentation does not have."""
    return ContractError("unknown_answer", f"{VENDOR}'s answer {what}.")
