"""What LinkedIn answers, as our errors and outcomes. Pure; LinkedIn's own text, which may repeat
what was sent, never gets further.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pyarrow as pa

from mayfly.connectors.http_replies import (
    json_object,
    refused,
    retry_after,
    try_json,
    vendor_code,
)
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.http import HttpReply

VENDOR = "LinkedIn"
MINUTE_SECONDS = 60.0
DAY_PAUSE_SECONDS = 3_600.0
SEGMENT_GONE, REFUSED = "linkedin_not_found", "linkedin_request_refused"
_DONE = range(200, 300)
_LATER = frozenset((404, 408, 425, 429, *range(500, 600)))
_NEVER = frozenset((400, 409, 422))


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object.

    Raises:
        EngineError: as `require_done`.
    """
    require_done(reply)
    return json_object(reply, VENDOR)


def require_done(reply: HttpReply) -> None:
    """Refuse any status but 2xx.

    Raises:
        ContractError: `linkedin_not_found`: 404; `linkedin_request_refused`: 400, 413 and 422.
        EngineError: the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise _failure(reply)


def people_answer(reply: HttpReply) -> Mapping[str, Any]:
    """The JSON object of an answer to a request that carried people.

    Raises:
        RequestRefusedError: `linkedin_request_refused`; one of the people may be to blame.
        EngineError: as `require_done`.
    """
    try:
        return answer(reply)
    except ContractError as error:
        if error.code != REFUSED:
            raise
        raise RequestRefusedError(error.code, error.message, hint=error.hint) from None


def _failure(reply: HttpReply) -> EngineError:
    found = try_json(reply)
    told: Mapping[str, Any] = found if isinstance(found, dict) else {}
    code = _code(told)
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 400 | 413 | 422 if told or reply.status == 413:
            return ContractError(
                REFUSED,
                f"{VENDOR} refuses a request, or something in it ({shown}).",
                hint="The code is in LinkedIn's documentation of DMP segments.",
            )
        case 404:
            return ContractError(SEGMENT_GONE, f"{VENDOR} knows no such segment ({shown}).")
        case 426:
            return ConfigError(
                "version_ended",
                f"{VENDOR} does not answer to this version of its API any more ({shown}).",
                hint="Write a later one, such as the month before last, as `api_version` of the "
                "destination; LinkedIn ends each about a year after it came.",
            )
        case 429:
            return TransientError(
                "rate_limited",
                f"{VENDOR} counts too many calls ({shown}).",
                hint="The app's limits are under Analytics in LinkedIn's developer portal.",
                retry_after_seconds=_pause(reply, told),
            )
        case _:
            return refused(reply, VENDOR, code)


def _code(told: Mapping[str, Any]) -> str:
    """LinkedIn's name of an error, else its number."""
    return vendor_code(told.get("code")) or vendor_code(told.get("serviceErrorCode"))


def _pause(reply: HttpReply, told: Mapping[str, Any]) -> float:
    """Seconds until it may be tried again: limits are per minute, and per day in UTC.

    Which of the two was reached is only in LinkedIn's text, which is read for that one word.
    """
    asked = retry_after(reply)
    if asked is not None:
        return asked
    if " DAY " not in f" {told.get('message', '')} ":
        return MINUTE_SECONDS
    try:
        now = parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return DAY_PAUSE_SECONDS
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return (midnight - now).total_seconds() + MINUTE_SECONDS


def outcomes(answered: Mapping[str, Any], count: int) -> Outcomes:
    """What became of each element of a BATCH_CREATE, in the order in which they were sent. Pure.

    Args:
        answered: with status 2xx.
        count: of elements that were sent.

    Raises:
        ConfigError: `reauthorise`, an element is refused for want of a right.
        ContractError: `counts_differ`, `unknown_answer`.
    """
    elements = answered.get("elements")
    if not isinstance(elements, list):
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no elements.")
    if len(elements) != count:
        raise ContractError(
            "counts_differ", f"{VENDOR} answers for {len(elements)} elements of {count}."
        )
    codes, reasons = [int(OutcomeCode.ACCEPTED)] * count, {}
    for place, element in enumerate(elements):
        status = element.get("status") if isinstance(element, dict) else None
        if status == 201:
            continue
        found = _outcome(element, status)
        if found is not None:
            codes[place], reasons[place] = int(found[0]), found[1]
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def _outcome(element: Mapping[str, Any], status: object) -> tuple[OutcomeCode, Reason] | None:
    """None where it was taken."""
    if not isinstance(status, int) or isinstance(status, bool):
        raise ContractError("unknown_answer", f"An element of {VENDOR}'s answer has no status.")
    error = element.get("error")
    code = _code(error) if isinstance(error, dict) else ""
    shown = code or str(status)
    if status in _DONE:
        return None
    if status in _LATER:
        return OutcomeCode.DEFERRED, Reason(code="not_answered", vendor_code=shown)
    if status in _NEVER:
        return OutcomeCode.REJECTED, Reason(code="row_refused", vendor_code=shown)
    if status in (401, 403):
        raise ConfigError(
            "reauthorise",
            f"{VENDOR} refuses the credentials for a row (HTTP {status}).",
            hint="The login needs rw_dmp_segments, and a role above VIEWER in the ad account.",
        )
    raise ContractError("unknown_answer", f"An element of {VENDOR}'s answer has status {status}.")
