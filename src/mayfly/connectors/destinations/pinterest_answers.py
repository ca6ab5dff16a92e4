"""What Pinterest's API answers, as our errors. Pure; Pinterest's own text never gets further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mayfly.connectors.http_replies import json_object, refused, try_json, vendor_code
from mayfly.connectors.jobs import worked_off
from mayfly.domain.errors import ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.http import HttpReply

VENDOR = "Pinterest"
_NOT_THERE = "pinterest_not_there"


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The object of a 2xx reply. Pure.

    Raises:
        EngineError: the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise _refusal(reply)
    return json_object(reply, VENDOR)


def is_gone(error: EngineError) -> bool:
    """Whether it says that what was asked for is not there."""
    return error.code == _NOT_THERE


def exception_of(found: Mapping[str, Any]) -> str | None:
    """Code of what a list says went wrong with it; empty where it has none, None where all is well.

    Raises:
        ContractError: `unknown_answer`.
    """
    exceptions = found.get("exceptions")
    if not exceptions:
        return None
    if isinstance(exceptions, dict):
        return vendor_code(exceptions.get("code"))
    raise ContractError("unknown_answer", f"{VENDOR}'s exceptions of a list are no object.")


def outcomes(rows: int, *, counted: bool, exception: str | None, is_late: bool = False) -> Outcomes:
    """Of the rows of a job. Pure.

    Pinterest names nobody: where it has counted fewer than were sent, says that something was wrong
    with the list, or never that it has worked them off, who is there is not known.

    Args:
        rows: how many.
        counted: whether the list's counter has come to where it has to be.
        exception: as `exception_of`.
        is_late: whether nobody waits any more.
    """
    if exception is not None and not is_late:
        reason = Reason(code="list_exception", vendor_code=exception)
        return Outcomes.all_of(OutcomeCode.UNCONFIRMED, rows, reason)
    return worked_off(rows, all_counted=counted, is_late=is_late)


def _refusal(reply: HttpReply) -> EngineError:
    body = try_json(reply)
    code = vendor_code(body.get("code")) if isinstance(body, dict) else ""
    shown = f"HTTP {reply.status}" + (f", code {code}" if code else "")
    match reply.status:
        case 404:
            return ContractError(_NOT_THERE, f"{VENDOR} has nothing at an address ({shown}).")
        case 413:
            return ContractError(
                "request_too_large",
                f"{VENDOR} takes no request of that size ({shown}).",
                hint="Set `batch_rows` of the sync to half as much.",
            )
        case 400 | 405 | 409 | 422 if isinstance(body, dict):
            return ContractError(
                "request_refused",
                f"{VENDOR} refuses the request for good ({shown}).",
                hint="See the code in its documentation, and report it.",
            )
        case _:
            return refused(reply, VENDOR, code)
