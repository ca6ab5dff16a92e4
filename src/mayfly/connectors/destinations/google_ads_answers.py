"""What Google's Data Manager API answers, as our errors and outcomes. Pure; Google's own text,
which may repeat what was sent, never gets further.

A request is taken or refused as a whole. Where it is refused for members, their places are named;
what becomes of members that were taken is told later, as counts by reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.http_replies import (
    json_object,
    refused,
    retry_after,
    try_json,
    vendor_code,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.http import HttpReply

VENDOR = "Google"
DAILY_PAUSE_SECONDS = 3_600.0
MINUTE_PAUSE_SECONDS = 15.0
_PLACE = re.compile(r"(?:^|\.)audience_?members\[([0-9]{1,6})\]", re.IGNORECASE)
_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")

OF_A_MEMBER = frozenset(
    (
        *("REQUIRED_FIELD_MISSING", "INVALID_FORMAT", "INVALID_HEX_ENCODING"),
        *("INVALID_BASE64_ENCODING", "INVALID_SHA256_FORMAT", "INVALID_POSTAL_CODE"),
        *("INVALID_COUNTRY_CODE", "INVALID_REGION_CODE", "INVALID_AUDIENCE_MEMBER"),
        *("TOO_MANY_USER_IDENTIFIERS", "INVALID_MOBILE_ID_FORMAT", "NO_IDENTIFIERS_PROVIDED"),
        *("FIELD_VALUE_TOO_LONG", "FIELD_VALUE_TOO_SHORT", "TOO_MANY_ELEMENTS"),
        *("TOO_FEW_ELEMENTS", "INVALID_NUMBER_FORMAT"),
    )
)
"""Reasons that are about the value of a member. Others may name a member, too, and are about the
list: a list of another type is told by the place of its first member."""
_GONE = frozenset({"INVALID_USER_LIST_ID", "NOT_FOUND"})
_LOST = frozenset({"INVALID_REQUEST_ID", "REQUEST_TOO_OLD", "NOT_FOUND"})
_BUSY = frozenset({"INTERNAL_ERROR", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "ABORTED"})
_SETTINGS = {
    "PERMISSION_DENIED": "Give the login the right to manage the Google Ads account; where it "
    "comes from a manager account, say which with login_account_id.",
    "SERVICE_DISABLED": "Enable the Data Manager API in the Google Cloud project.",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "Log in again with the right "
    "https://www.googleapis.com/auth/datamanager.",
    "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION": "The Google Cloud project needs a higher access "
    "level of Google Ads.",
    "NOT_ALLOWLISTED": "Google has not opened this feature to the account.",
    "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA": "Google has not opened Customer Match to the "
    "account; see the Customer Match policy.",
    "TERMS_AND_CONDITIONS_NOT_SIGNED": "Accept the Customer Match terms in the Google Ads account.",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": "Declare in Google Ads whether the account "
    "runs EU political ads.",
    "INVALID_USER_LIST_TYPE": "The audience is of a type that does not take these fields; use one "
    "that was made for them.",
    "MULTIPLE_DATA_TYPES_NOT_ALLOWED": "Map contact information, mobileIds and userId in syncs of "
    "their own.",
    "INVALID_DESTINATION": "Check account_id, login_account_id and audience.",
    "DESTINATION_ACCOUNT_TYPE_MISMATCH": "account_id is not that of a Google Ads account.",
    "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH": "Check login_account_id.",
    "DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED": "The login may not change this audience.",
    "USER_LIST_MUTATION_NOT_SUPPORTED": "The audience cannot be changed; use another.",
    "SENSITIVE_USER_LIST_IMMUTABLE": "Google has closed the audience; see it in Google Ads.",
    "OWNERSHIP_REQUIRED_FOR_UPDATE": "The audience belongs to another account.",
    "MEMBERSHIP_DURATION_TOO_LONG": "Give membership_days a lower number.",
    "INVALID_DISPLAY_NAME": "Give the audience another name.",
    "DISPLAY_NAME_ALREADY_USED": "Another list of the account has the audience's name.",
    "USER_LIST_NAME_RESERVED": "Give the audience another name.",
    "USER_LIST_TYPE_NOT_SUPPORTED_FOR_ACCOUNT": "The account cannot have such an audience.",
    "UNSUPPORTED_ACCOUNT_TYPES_FOR_USER_LIST_TYPE": "The account cannot have such an audience.",
}
"""What a person must change, and how."""


@dataclass(frozen=True)
class _Refusal:
    """What a body of an error says.

    Args:
        reason: the most particular that it gives.
        violations: path and reason of each field that is named.
        delay: seconds that it asks to wait.
        quota: name of the limit that was reached.
    """

    reason: str
    violations: Sequence[tuple[str, str]]
    delay: float | None
    quota: str


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object.

    Raises:
        EngineError: the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise failure(reply)
    return json_object(reply, VENDOR)


def failure(reply: HttpReply) -> EngineError:
    """A status other than 2xx as our error."""
    told = _told(reply)
    if told is None:
        return refused(reply, VENDOR)
    code = vendor_code(told.reason)
    match reply.status:
        case 401:
            return refused(reply, VENDOR, code)
        case 429:
            return TransientError(
                "rate_limited",
                f"Google counts too many requests ({told.quota or code}).",
                retry_after_seconds=_pause(reply, told),
            )
        case status if status in (408, 409, 425) or status >= 500 or told.reason in _BUSY:
            return TransientError(
                "destination_busy",
                f"Google cannot answer now (HTTP {status}, {code}).",
                retry_after_seconds=told.delay or retry_after(reply),
            )
        case 403 if told.reason not in _SETTINGS:
            return refused(reply, VENDOR, code)
        case _ if told.reason in _SETTINGS:
            return ConfigError(_ours(code), _said(code), hint=_SETTINGS[told.reason])
        case 400 | 404 if code:
            return ContractError(_ours(code), _said(code))
        case _:
            return refused(reply, VENDOR, code)


def is_gone(error: EngineError) -> bool:
    """Whether a refusal says that there is no such list."""
    return error.code in {_ours(reason) for reason in _GONE}


def is_lost(error: EngineError) -> bool:
    """Whether a refusal says that nothing is known of a request."""
    return error.code in {_ours(reason) for reason in _LOST}


def named_members(reply: HttpReply) -> Mapping[int, Reason]:
    """Place in the request to reason, where a refusal is about members and nothing else.

    Empty for any other reply: what it says is then for `answer` to tell.
    """
    told = _told(reply) if reply.status == 400 else None
    found: dict[int, Reason] = {}
    for path, reason in told.violations if told else ():
        place = _PLACE.search(path)
        if place is None or reason not in OF_A_MEMBER:
            return {}
        found.setdefault(int(place[1]), Reason(code="invalid_entry", vendor_code=reason))
    return found


def warned_members(answered: Mapping[str, Any]) -> tuple[str, tuple[int, ...] | None]:
    """Reason and places of members of which a value was not understood; places are None where a
    warning names no member. The reason is empty without any warning.
    """
    warnings = answered.get("fieldWarnings")
    entries = [w for w in warnings if isinstance(w, dict)] if isinstance(warnings, list) else []
    if not entries:
        return "", ()
    reason = vendor_code(str(entries[0].get("reason", "")).removeprefix("WARNING_REASON_"))
    places = [_PLACE.search(str(entry.get("field", ""))) for entry in entries]
    known = sorted({int(place[1]) for place in places if place is not None})
    return reason or "WARNING", None if None in places else tuple(known)


def outcomes(answered: Mapping[str, Any], rows: int) -> Outcomes | None:
    """What became of the members of a request, None while Google works on it.

    Only counts come back: where some failed no other is proved, and all are unconfirmed.

    Args:
        answered: by `requestStatus:retrieve`.
        rows: members that the request held.

    Raises:
        ContractError: `unknown_answer`.
    """
    found = answered.get("requestStatusPerDestination") or []
    if not isinstance(found, list) or len(found) > 1 or not all(isinstance(x, dict) for x in found):
        raise ContractError("unknown_answer", "Google's status is not that of one destination.")
    status: Mapping[str, Any] = found[0] if found else {}
    failed = _counts(status.get("errorInfo"), "errorCounts")
    match status.get("requestStatus", "REQUEST_STATUS_UNKNOWN"):
        case "PROCESSING" | "REQUEST_STATUS_UNKNOWN":
            return None
        case "SUCCESS" if not failed:
            return _succeeded(_record_count(status), rows)
        case "SUCCESS" | "PARTIAL_SUCCESS":
            reason = Reason(code="invalid_count_only", vendor_code=_commonest(failed))
            return Outcomes.all_of(OutcomeCode.UNCONFIRMED, rows, reason)
        case "FAILED" | "FAILURE":
            return _failed(failed, rows)
        case _:
            raise ContractError("unknown_answer", "Google's status is none that is documented.")


def _succeeded(count: int | None, rows: int) -> Outcomes:
    if count == rows:
        return Outcomes.all_of(OutcomeCode.ACCEPTED, rows)
    reason = Reason(code="counts_differ" if count is not None else "not_counted")
    return Outcomes.all_of(OutcomeCode.UNCONFIRMED, rows, reason)


def _failed(counts: Mapping[str, int], rows: int) -> Outcomes:
    """Nothing was taken. Without a reason, or for Google's own, another run may try again."""
    reason = Reason(code="processing_failed", vendor_code=_commonest(counts))
    passing = not set(counts) - {"INTERNAL_ERROR"}
    return Outcomes.all_of(OutcomeCode.DEFERRED if passing else OutcomeCode.REJECTED, rows, reason)


def _counts(info: object, name: str) -> dict[str, int]:
    """Reason to number of members, without those that are none."""
    entries = info.get(name) if isinstance(info, dict) else None
    found: dict[str, int] = {}
    for entry in entries if isinstance(entries, list) else ():
        count = _number(entry.get("recordCount", 0)) if isinstance(entry, dict) else None
        if count is None:
            raise ContractError("unknown_answer", "Google's counts of errors are no numbers.")
        reason = str(entry.get("reason", "")).removeprefix("PROCESSING_ERROR_REASON_")
        if count:
            key = vendor_code(reason) or "UNSPECIFIED"
            found[key] = found.get(key, 0) + count
    return found


def _commonest(counts: Mapping[str, int]) -> str:
    return max(counts, key=lambda reason: counts[reason], default="")


def _record_count(status: Mapping[str, Any]) -> int | None:
    """Members that Google says the request held, whatever their kind."""
    for of in ("audienceMembersIngestionStatus", "audienceMembersRemovalStatus"):
        kinds = status.get(of)
        for kind in kinds.values() if isinstance(kinds, dict) else ():
            if isinstance(kind, dict):
                return _number(kind.get("recordCount", 0))
    return None


def _number(value: object) -> int | None:
    """A count: 64 bits, which JSON has as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _told(reply: HttpReply) -> _Refusal | None:
    body = try_json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    info = next(_details(error, "ErrorInfo"), {})
    metadata = info.get("metadata")
    quota = metadata.get("quota_limit") if isinstance(metadata, dict) else None
    violations = list(_violations(error))
    reasons = [r for path, r in violations if not (_PLACE.search(path) and r in OF_A_MEMBER)]
    particular = next(filter(None, [*reasons, *(r for _, r in violations)]), "")
    return _Refusal(
        reason=particular or vendor_code(info.get("reason")) or vendor_code(error.get("status")),
        violations=violations,
        delay=_delay(next(_details(error, "RetryInfo"), {})),
        quota=vendor_code(quota),
    )


def _violations(error: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for detail in _details(error, "BadRequest"):
        fields = detail.get("fieldViolations")
        for entry in fields if isinstance(fields, list) else ():
            if isinstance(entry, dict):
                yield str(entry.get("field", "")), vendor_code(entry.get("reason"))


def _details(error: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(f".rpc.{kind}"):
            yield detail


def _delay(info: Mapping[str, Any]) -> float | None:
    found = _DELAY.fullmatch(str(info.get("retryDelay", "")))
    return float(found[1]) if found else None


def _pause(reply: HttpReply, told: _Refusal) -> float:
    """What Google asks for, else until the limit may be another."""
    asked = told.delay or retry_after(reply)
    if asked is not None:
        return asked
    return DAILY_PAUSE_SECONDS if "PerDay" in told.quota else MINUTE_PAUSE_SECONDS


def _ours(code: str) -> str:
    return f"google_{code.lower()}"


def _said(code: str) -> str:
    return f"Google refuses the request for good ({code})."
