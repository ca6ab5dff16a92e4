"""What Braze answers, as our outcomes and errors. Pure; Braze's own text gets no further."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mayfly.connectors.http_replies import (
    json_object,
    refused,
    retry_after,
    try_json,
    whole_number,
)
from mayfly.connectors.row_parts import Told
from mayfly.domain.errors import ContractError, EngineError, RequestRefusedError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.http import HttpReply

VENDOR = "Braze"
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 3.0, 3_600.0
_TAKEN = ("success", "queued")


def answer(reply: HttpReply, *, now: float) -> Mapping[str, Any]:
    """The reply's JSON object, of a request that was taken, in part perhaps.

    Args:
        reply: of any status.
        now: seconds since 1970: Braze names the moment at which a limit begins anew.

    Raises:
        RequestRefusedError: the request, or something in it, is not as Braze takes it.
        EngineError: any other; the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise _failure(reply, now)
    found = json_object(reply, VENDOR)
    if found.get("message") not in _TAKEN:
        # A fatal error, whatever the status.
        raise RequestRefusedError("braze_refused", f"{VENDOR} refuses a request.")
    return found


def _failure(reply: HttpReply, now: float) -> EngineError:
    match reply.status:
        case 429:
            return TransientError(
                "rate_limited",
                f"{VENDOR} counts too many calls (HTTP 429).",
                retry_after_seconds=_pause_seconds(reply, now),
            )
        case 400 | 413 if isinstance(try_json(reply), dict) or reply.status == 413:
            return RequestRefusedError(
                f"braze_{reply.status}", f"{VENDOR} refuses a request (HTTP {reply.status})."
            )
        case 404:
            return ContractError(
                "not_found",
                f"{VENDOR} has nothing at a path that was asked for (HTTP 404).",
                hint="Check `cluster`: it is the one in the workspace's REST endpoint.",
            )
        case _:
            return refused(reply, VENDOR)


def _pause_seconds(reply: HttpReply, now: float) -> float:
    named = retry_after(reply)
    if named is not None:
        return named
    reset = reply.headers.get("x-ratelimit-reset", "")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", reset):
        return PAUSE_SECONDS
    return min(max(float(reset) - now, 1.0), PAUSE_SECONDS_MAX)


def tracked(reply: Mapping[str, Any], rows: Sequence[int]) -> dict[int, Told]:
    """Rows of a request that were not plainly taken. Pure.

    Args:
        reply: to `/users/track`.
        rows: numbers of those that were sent, in their order.

    Raises:
        ContractError: `unknown_answer`, it does not fit what was sent.
    """
    errors = reply.get("errors") or []
    if not isinstance(errors, list) or not all(isinstance(e, dict | str) for e in errors):
        raise unfit("has no errors that are known")
    told: dict[int, Told] = {}
    unnamed = False
    for error in errors:
        place = _place(error, len(rows))
        if place is None:
            unnamed = True
        else:
            told[rows[place]] = (OutcomeCode.REJECTED, Reason(code="row_refused"))
    processed = 0
    if len(told) < len(rows) or "attributes_processed" in reply:
        processed = whole_number(reply, "attributes_processed", VENDOR)
    if processed > len(rows):
        raise unfit("has more rows than were sent")
    left = [row for row in rows if row not in told]
    if unnamed or processed != len(left):
        # Some of them are there and some are not; nobody can tell which.
        code = "error_not_named" if unnamed else "counts_differ"
        told |= dict.fromkeys(left, (OutcomeCode.UNCONFIRMED, Reason(code=code)))
    return told


def _place(error: object, rows: int) -> int | None:
    """Where in the attributes an error is, None where it does not say."""
    if not isinstance(error, dict) or error.get("input_array") != "attributes":
        return None
    place = error.get("index")
    if not isinstance(place, int) or isinstance(place, bool):
        return None
    if not 0 <= place < rows:
        raise unfit("names a row that was not sent")
    return place


def profiles(reply: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Profiles of an export; those that are not there are left out.

    Raises:
        ContractError: `unknown_answer`.
    """
    users = reply.get("users")
    if not isinstance(users, list) or not all(isinstance(user, dict) for user in users):
        raise unfit("has no users")
    return users


def require_deleted(reply: Mapping[str, Any], sent: int) -> None:
    """Refuse an answer that deletes more than was asked.

    Raises:
        ContractError: `unknown_answer`.
    """
    if whole_number(reply, "deleted", VENDOR) > sent:
        raise unfit("has deleted more than was asked")


def unfit(what: str) -> ContractError:
    """An answer that is not as Braze documents it."""
    return ContractError("unknown_answer", f"{VENDOR}'s answer {what}.")
