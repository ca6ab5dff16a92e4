"""What Salesforce answers, as our outcomes and errors. Pure; its own text gets no further."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.http_replies import json_object, refused, retry_after, try_json
from mayfly.connectors.row_parts import Told
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    EngineError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.http import HttpReply

VENDOR = "Salesforce"
HOUR_SECONDS, CONCURRENT_SECONDS = 3600.0, 10.0
ALLOWANCE_SHARE = 0.95
"""Of the calls of a day: the rest is left to whatever else the organisation runs."""

# Of an answer only these codes are repeated: any other text might be a row's own value.
_PASSING = frozenset({
    "API_CURRENTLY_DISABLED", "INTERNAL_SERVER_ERROR", "LIMIT_EXCEEDED", "QUERY_TIMEOUT",
    "REQUEST_LIMIT_EXCEEDED", "REQUEST_RUNNING_TOO_LONG", "SERVER_UNAVAILABLE",
    "TXN_SECURITY_METERING_ERROR", "UNABLE_TO_LOCK_ROW", "UNKNOWN_EXCEPTION",
})  # fmt: skip
_LASTING = frozenset({
    "ALREADY_IN_PROCESS", "BAD_REQUEST", "CANNOT_EXECUTE_FLOW_TRIGGER",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CIRCULAR_DEPENDENCY", "DELETE_FAILED",
    "DELETE_REQUIRED_ON_CASCADE", "DEPENDENCY_EXISTS", "DUPLICATES_DETECTED",
    "DUPLICATE_EXTERNAL_ID", "DUPLICATE_VALUE", "ENTITY_IS_DELETED", "ENTITY_IS_LOCKED",
    "EXCEEDED_ID_LIMIT", "FIELD_CUSTOM_VALIDATION_EXCEPTION", "FIELD_FILTER_VALIDATION_EXCEPTION",
    "FIELD_INTEGRITY_EXCEPTION", "FUNCTIONALITY_NOT_ENABLED", "ID_NOT_SPECIFIED",
    "ILLEGAL_QUERY_PARAMETER_VALUE", "INSUFFICIENT_ACCESS",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "INSUFFICIENT_ACCESS_OR_READONLY",
    "INVALID_CROSS_REFERENCE_KEY", "INVALID_EMAIL_ADDRESS", "INVALID_FIELD",
    "INVALID_FIELD_FOR_INSERT_UPDATE", "INVALID_ID_FIELD", "INVALID_OPERATION",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "INVALID_QUERY_FILTER_OPERATOR", "INVALID_TYPE",
    "INVALID_TYPE_FOR_OPERATION", "INVALID_TYPE_ON_FIELD_IN_RECORD", "JSON_PARSER_ERROR",
    "MALFORMED_ID", "MALFORMED_QUERY", "MISSING_ARGUMENT", "NUMBER_OUTSIDE_VALID_RANGE",
    "PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "SELF_REFERENCE_FROM_TRIGGER",
    "STORAGE_LIMIT_EXCEEDED", "STRING_TOO_LONG", "TRANSFER_REQUIRES_READ", "NOT_FOUND",
    "NUM_HISTORY_FIELDS_BY_SOBJECT_EXCEEDED", "INACTIVE_OWNER_OR_USER", "INVALID_STATUS",
    "INVALID_SESSION_ID", "API_DISABLED_FOR_ORG", "FEATURENOTENABLED", "INVALIDJOB",
    "INVALIDJOBSTATE", "INVALIDENTITY", "INVALIDOPERATION", "INVALIDBATCH", "CLIENTINPUTERROR",
    "EXCEEDEDQUOTA", "TOOMANYLOCKFAILURE", "INVALIDUSER", "APEX_ERROR", "QUERY_TOO_COMPLICATED",
})  # fmt: skip
_LOCKED = "TOOMANYLOCKFAILURE"
_RECORD = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_USAGE = re.compile(r"(?:^|[;\s])api-usage=([0-9]{1,12})/([0-9]{1,12})")


@dataclass(kw_only=True)
class Allowance:
    """Calls that the organisation has made within 24 hours, as its answers tell.

    Args:
        used, most: of the last answer that told; none is 0 of 0.
    """

    used: int = 0
    most: int = 0

    def note(self, reply: HttpReply) -> None:
        """Read what a reply says."""
        found = _USAGE.search(reply.headers.get("sforce-limit-info", ""))
        if found is not None:
            self.used, self.most = int(found[1]), int(found[2])

    def require(self) -> None:
        """Refuse a call where few are left.

        Raises:
            TransientError: `rate_limited`.
        """
        if self.most and self.used >= self.most * ALLOWANCE_SHARE:
            # What was counted is old by the time of the next try, which asks anew.
            self.most = 0
            raise TransientError(
                "rate_limited",
                f"{VENDOR} counts {self.used} calls of the organisation within 24 hours, and "
                f"Mayfly leaves {1 - ALLOWANCE_SHARE:.0%} of them to others.",
                retry_after_seconds=HOUR_SECONDS,
            )


def object_of(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object, an empty one of 204.

    Raises:
        EngineError: as `failure`; TransientError `garbage_answer`.
    """
    if reply.status == 204:
        return {}
    if not 200 <= reply.status < 300:
        raise failure(reply)
    return json_object(reply, VENDOR)


def list_of(reply: HttpReply, entries: int) -> Sequence[Mapping[str, Any]]:
    """The reply's list, one object for each that was sent.

    Raises:
        EngineError: as `failure`; ContractError `unknown_answer`; TransientError `garbage_answer`.
    """
    if not 200 <= reply.status < 300:
        raise failure(reply)
    body = try_json(reply)
    if body is None:
        raise TransientError("garbage_answer", f"{VENDOR} answered with something else than JSON.")
    return entries_of(body, entries)


def entries_of(body: object, entries: int) -> Sequence[Mapping[str, Any]]:
    """A list of so many objects.

    Raises:
        ContractError: `unknown_answer`.
    """
    if not isinstance(body, list) or len(body) != entries:
        raise unfit("does not have an entry for each row")
    if not all(isinstance(entry, dict | None) for entry in body):
        raise unfit("has an entry that is no object")
    return [entry or {} for entry in body]


def failure(reply: HttpReply) -> EngineError:
    """A status other than 2xx as our error; the kind says what to do."""
    code, text = _first(try_json(reply))
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 401:
            return refused(reply, VENDOR, code)
        case 403 | 429 if code in ("REQUEST_LIMIT_EXCEEDED", "EXCEEDEDQUOTA"):
            # Its own words tell the two limits apart; they go no further.
            spent = "TotalRequests" in text or code == "EXCEEDEDQUOTA"
            return TransientError(
                "rate_limited",
                f"{VENDOR} counts too many calls ({shown}).",
                retry_after_seconds=retry_after(reply)
                or (HOUR_SECONDS if spent else CONCURRENT_SECONDS),
            )
        case 403 if code in ("API_DISABLED_FOR_ORG", "FUNCTIONALITY_NOT_ENABLED"):
            return _not_enabled(shown)
        case 400 if code in ("FEATURENOTENABLED", "INVALIDUSER"):
            return _not_enabled(shown)
        case status if code in _PASSING and status < 500:
            return TransientError(
                "destination_busy",
                f"{VENDOR} cannot answer now ({shown}).",
                retry_after_seconds=retry_after(reply),
            )
        case 404:
            return ContractError(
                "not_found",
                f"{VENDOR} has nothing at a path that was asked for ({shown}).",
                hint="Check the object's name in `table`, that the integration user may see it, "
                "and `api_version`.",
            )
        case 400 | 413 | 414 if reply.status != 400 or isinstance(try_json(reply), list):
            return RequestRefusedError(
                f"salesforce_{(code or str(reply.status)).lower()}",
                f"{VENDOR} refuses a request ({shown}).",
            )
        case _:
            return refused(reply, VENDOR, code)


def _not_enabled(shown: str) -> ConfigError:
    return ConfigError(
        "not_enabled",
        f"{VENDOR} does not let the integration user do this ({shown}).",
        hint="Give it the permissions that the destination's page names.",
    )


def record_of(entry: Mapping[str, Any]) -> str:
    """The id of a record that a row was written to.

    Raises:
        ContractError: `unknown_answer`.
    """
    return record_id(entry.get("id"))


def record_id(value: object) -> str:
    """An id, checked.

    Raises:
        ContractError: `unknown_answer`.
    """
    if not isinstance(value, str) or not _RECORD.fullmatch(value):
        raise unfit("has a record without an id")
    return value


def row_outcome(entry: Mapping[str, Any], fields: Collection[str]) -> Told | None:
    """What became of one row of a collection, None where it was plainly taken. Pure.

    Args:
        entry: of the answer.
        fields: of the mapping: only these are repeated in a reason.

    Raises:
        ContractError: `unknown_answer`, it says neither.
    """
    errors = entry.get("errors", [])
    if not isinstance(errors, list) or not all(isinstance(e, dict) for e in errors):
        raise unfit("has an entry without errors")
    match entry.get("success"):
        case True if not errors:
            return None
        case False if errors:
            return told_of(*_of_error(errors[0], fields))
    raise unfit("has an entry that is neither taken nor refused")


def told_of(code: str, name: str = "") -> Told:
    """The outcome of a row that Salesforce refused with a code; what may pass is deferred."""
    whole = f"{code}.{name}"
    shown = whole if name and len(whole) <= 64 else code
    if code in _PASSING or code == _LOCKED:
        return OutcomeCode.DEFERRED, Reason(code="row_busy", vendor_code=shown)
    return OutcomeCode.REJECTED, Reason(code="row_refused", vendor_code=shown)


def code_of_line(text: str) -> str:
    """The code that a line of a file of failed rows begins with; `OTHER` where none is known."""
    return _known(text.partition(":")[0])


def first_code(body: object) -> str:
    """The code of a list of errors, `OTHER` where none is known."""
    return _first(body)[0] or "OTHER"


def _of_error(error: Mapping[str, Any], fields: Collection[str]) -> tuple[str, str]:
    names = error.get("fields")
    first = names[0] if isinstance(names, list) and names else ""
    return _known(error.get("statusCode")), str(first) if first in fields else ""


def _known(code: object) -> str:
    return code if isinstance(code, str) and code in _PASSING | _LASTING else "OTHER"


def _first(body: object) -> tuple[str, str]:
    """Code and text of the first error; empty where there is none that is known."""
    entry = body[0] if isinstance(body, list) and body else None
    if not isinstance(entry, dict):
        return "", ""
    code = _known(entry.get("errorCode"))
    return "" if code == "OTHER" else code, str(entry.get("message", ""))


def unfit(what: str) -> ContractError:
    """An answer that is not as Salesforce documents it."""
    return ContractError("unknown_answer", f"{VENDOR}'s answer {what}.")
