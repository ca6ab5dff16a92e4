"""What Meta's Graph API answers, as our errors. Pure; Meta's own text never gets further."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.http import HttpReply

LONG_PAUSE_SECONDS = 300.0


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object. Pure.

    Raises:
        EngineError: the kind says what to do; Meta's own text is never part of it.
    """
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        raise _refusal(reply, error)
    if not 200 <= reply.status < 300:
        raise _bare_refusal(reply, json=isinstance(body, dict))
    if not isinstance(body, dict):
        raise TransientError("garbage_answer", "Meta answered with something else than JSON.")
    return body


def _refusal(reply: HttpReply, error: Mapping[str, Any]) -> EngineError:
    code, subcode = _code(error.get("code")), _code(error.get("error_subcode"))
    vendor = f"meta_{code}" + (f"_{subcode}" if subcode else "")
    match code, subcode:
        case 190, _:
            return ConfigError(
                "reauthorise",
                f"Meta refuses the access token ({vendor}).",
                hint="Make a new system-user token with ads_management and store it.",
            )
        case 100, 1713230:
            return ContractError(
                "audience_blocked",
                "Meta has blocked uploads to this audience.",
                hint="A person must resolve the flag on the audience in Ads Manager.",
            )
        case ((341 | 368), _):
            pause = _pause_seconds(reply) or LONG_PAUSE_SECONDS
            return TransientError(
                "rate_limited", f"Meta asks for a long pause ({vendor}).", retry_after_seconds=pause
            )
        case ((4 | 17 | 32 | 613 | 80003), _):
            return TransientError(
                "rate_limited",
                f"Meta counts too many calls ({vendor}).",
                retry_after_seconds=_pause_seconds(reply),
            )
        case ((1 | 2), _):
            return _busy(reply, vendor)
        case _ if error.get("is_transient") is True:
            return _busy(reply, vendor)
        case ((3 | 10 | 100 | 105 | 200 | 294 | 2650 | 2655 | 1487301 | 1487366), _):
            return ContractError(
                vendor, f"Meta refuses the request for good ({vendor}).", hint=_HINTS.get(code, "")
            )
        case _:
            return _bare_refusal(reply, json=True)


def _bare_refusal(reply: HttpReply, *, json: bool) -> EngineError:
    match reply.status:
        case 401:
            return ConfigError("reauthorise", "Meta refuses the access token (HTTP 401).")
        case 429:
            return TransientError(
                "rate_limited",
                "Meta counts too many calls (HTTP 429).",
                retry_after_seconds=_pause_seconds(reply),
            )
        case status if status >= 500:
            return _busy(reply, f"HTTP {status}")
        case status if 300 <= status < 400:
            return ContractError("redirected", f"Meta answered with a redirect (HTTP {status}).")
        case status:
            name = "unknown_answer" if json else "garbage_answer"
            return ContractError(name, f"No documented answer (HTTP {status}).")


_HINTS = {
    3: "The app lacks the capability; see its permissions in the developer console.",
    10: "Give the system user access to the ad account, with ads_management.",
    200: "Give the system user access to the ad account, with ads_management.",
    294: "The token lacks ads_management.",
    1487301: "Share the audience with this ad account.",
    1487366: "The audience was deleted; the next run makes it again.",
    2655: "Accept the Custom Audience terms in Ads Manager.",
}


def _busy(reply: HttpReply, vendor: str) -> TransientError:
    return TransientError(
        "destination_busy",
        f"Meta cannot answer now ({vendor}).",
        retry_after_seconds=_pause_seconds(reply),
    )


def _pause_seconds(reply: HttpReply) -> float | None:
    """`Retry-After`, else the longest of the business use cases, which count whole minutes."""
    after = reply.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,6}", after):
        return float(after)
    try:
        usage = orjson.loads(reply.headers.get("x-business-use-case-usage", "{}"))
    except orjson.JSONDecodeError:
        return None
    pauses = [0.0]
    cases = usage.values() if isinstance(usage, dict) else ()
    for entry in (entry for case in cases if isinstance(case, list) for entry in case):
        minutes = entry.get("estimated_time_to_regain_access") if isinstance(entry, dict) else None
        if isinstance(minutes, int | float) and 0 < minutes < 100_000:
            pauses.append(minutes * 60.0)
    return max(pauses) or None


def _code(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10**12 else 0


def received(reply: Mapping[str, Any]) -> int:
    """`num_received` of an answer about people. Raises ContractError where it has none."""
    return _count(reply, "num_received")


def codes(reply: Mapping[str, Any], rows: int) -> Outcomes:
    """Meta's counts as outcomes, one per row sent. Pure.

    Rows named by position are rejected. Where more are counted than named, no other row is
    proved, and all others are unconfirmed.

    Raises:
        ContractError: `unknown_answer`.
    """
    invalid = _count(reply, "num_invalid_entries")
    if received(reply) != rows or invalid > rows:
        raise ContractError("unknown_answer", "Meta's counts do not fit the rows that were sent.")
    named = _positions(reply.get("invalid_entry_samples"), rows)
    rest = OutcomeCode.UNCONFIRMED if invalid > len(named) else OutcomeCode.ACCEPTED
    counted = Reason(code="invalid_count_only") if rest is OutcomeCode.UNCONFIRMED else None
    others = Outcomes.all_of(rest, rows, counted)
    entry = Reason(code="invalid_entry")
    rejected = Outcomes.all_of(OutcomeCode.REJECTED, len(named), entry)
    return others.replaced(named, rejected) if named else others


def _count(reply: Mapping[str, Any], name: str) -> int:
    value = reply.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractError("unknown_answer", f"Meta's answer has no {name}.")
    return value


def _positions(samples: object, rows: int) -> list[int]:
    """Positions of named rows; keys that are none are left out, so that they prove nothing."""
    if not isinstance(samples, dict):
        return []
    keys = (key for key in samples if re.fullmatch(r"[0-9]{1,6}", str(key)))
    return sorted({int(key) for key in keys if int(key) < rows})
