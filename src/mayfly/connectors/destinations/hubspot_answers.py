"""What HubSpot answers, as our outcomes and errors. Pure; HubSpot's own text gets no further."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from mayfly.connectors.http_replies import (
    json_object,
    refused,
    retry_after,
    try_json,
    vendor_code,
)
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

VENDOR = "HubSpot"
LOCKED_SECONDS, MIGRATION_SECONDS, TEN_SECONDS, HOUR_SECONDS = 2.0, 60.0, 10.0, 3600.0

_TRACE = "objectWriteTraceId"
_SCOPE = re.compile(r"[a-z0-9][a-z0-9._-]{1,80}")
_RECORD = re.compile(r"[0-9]{1,20}")
_LIST_OF_FAULTS = re.compile(r"were not valid: (\[.*\])", re.S)
# Of the texts in a refusal only these are repeated: any other might be a row's own value.
_FAULTS = frozenset({
    "DATE_NOT_MIDNIGHT", "FAILED_CUSTOM_VALIDATION", "INVALID_BOOLEAN", "INVALID_DATE",
    "INVALID_DOUBLE", "INVALID_EMAIL", "INVALID_INTEGER", "INVALID_LONG", "INVALID_NUMBER",
    "INVALID_OPTION", "INVALID_OWNER", "INVALID_PHONE_NUMBER", "INVALID_STRING",
    "INVALID_TIMESTAMP", "PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE", "REQUIRED_FIELD",
    "UNIQUE_VALUE_ALREADY_EXISTS", "VALUE_TOO_LONG",
})  # fmt: skip
_CATEGORIES = frozenset({
    "CONFLICT", "DUPLICATE", "INVALID_INPUT", "LIMIT_EXCEEDED", "OBJECT_ALREADY_EXISTS",
    "OBJECT_NOT_FOUND", "VALIDATION_ERROR",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Records:
    """Which records some rows are.

    Args:
        ids: of records, by the row's number; of an answer that does not tie them to rows, none.
        loose: ids that no row is named for.
        told: outcome of each row that was not plainly accepted.
    """

    ids: Mapping[int, str] = field(default_factory=dict)
    loose: tuple[str, ...] = ()
    told: Mapping[int, Told] = field(default_factory=dict)


def answer(reply: HttpReply, *, zone: str = "") -> Mapping[str, Any]:
    """The reply's JSON object; an empty one of an empty reply. Pure.

    Args:
        reply: of any status.
        zone: the account's time zone, where it is known: a spent day ends by it.

    Raises:
        RequestRefusedError: the request, or something in it, is not as HubSpot takes it.
        EngineError: any other; the kind says what to do.
    """
    if reply.status == 204:
        return {}
    if 200 <= reply.status < 300:
        return json_object(reply, VENDOR)
    raise _refusal(reply, zone)


def _refusal(reply: HttpReply, zone: str) -> EngineError:
    body = try_json(reply)
    error = body if isinstance(body, dict) else {}
    category = _category(error)
    code = f"hubspot_{category.lower()}" if category else f"hubspot_{reply.status}"
    match reply.status:
        case 403 if error.get("category") == "MISSING_SCOPES":
            return _missing_scopes(error)
        case 429:
            return TransientError(
                "rate_limited",
                f"{VENDOR} counts too many calls ({_policy(error)}).",
                retry_after_seconds=_pause_seconds(reply, error, zone),
            )
        case 423:
            return TransientError(
                "destination_busy",
                f"{VENDOR} has locked the records for now (HTTP 423).",
                retry_after_seconds=LOCKED_SECONDS,
            )
        case 477:
            return TransientError(
                "destination_busy",
                f"{VENDOR} is moving the account to another data centre (HTTP 477).",
                retry_after_seconds=retry_after(reply) or MIGRATION_SECONDS,
            )
        case 400 | 409 | 413 if error.get("status") == "error" or category:
            return RequestRefusedError(
                code, f"{VENDOR} refuses a request ({fault(error, ()) or reply.status})."
            )
        case 404:
            return ContractError(
                "not_found",
                f"{VENDOR} has nothing at a path that was asked for (HTTP 404).",
                hint="Check the type of object, and `api_version`.",
            )
        case _:
            return refused(reply, VENDOR, category)


def _missing_scopes(error: Mapping[str, Any]) -> ConfigError:
    scopes = sorted(set(filter(_SCOPE.fullmatch, _texts(error))))[:10]
    return ConfigError(
        "missing_scopes",
        f"{VENDOR} says that the token lacks scopes.",
        hint=f"Give the app {', '.join(scopes)}."
        if scopes
        else "Give the app the scopes that the destination's page names.",
    )


def _texts(error: Mapping[str, Any]) -> Iterator[str]:
    """Texts in the contexts of an error and of its details."""
    details = error.get("errors")
    for entry in (error, *(details if isinstance(details, list) else ())):
        context = entry.get("context") if isinstance(entry, dict) else None
        for values in context.values() if isinstance(context, dict) else ():
            yield from (v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


def _policy(error: Mapping[str, Any]) -> str:
    return vendor_code(error.get("policyName")) or "HTTP 429"


def _pause_seconds(reply: HttpReply, error: Mapping[str, Any], zone: str) -> float | None:
    """What the reply asks for, else what the limit that was met is counted by."""
    named = retry_after(reply)
    if named is not None:
        return named
    match error.get("policyName"):
        case "DAILY":
            return _until_midnight(reply, zone)
        case "SECONDLY":
            return 1.0
    interval = reply.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    return int(interval) / 1000 if re.fullmatch("[0-9]{1,6}", interval) else TEN_SECONDS


def _until_midnight(reply: HttpReply, zone: str) -> float:
    """Seconds to the end of the account's day by HubSpot's own clock; an hour where neither is
    known.
    """
    try:
        now = parsedate_to_datetime(reply.headers.get("date", "")).astimezone(ZoneInfo(zone))
    except (ValueError, KeyError, OSError):
        return HOUR_SECONDS
    tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    return max(1.0, (tomorrow - now).total_seconds())


def upserted(reply: Mapping[str, Any], keys: Mapping[int, str], fields: Collection[str]) -> Records:
    """What became of the rows of an upsert. Pure.

    Args:
        reply: HubSpot's, of 200, 201 or 207.
        keys: of the rows that were sent, by number; their trace ids are the numbers.
        fields: of the mapping: only these are repeated in a reason.

    Raises:
        TransientError: `not_finished`.
        ContractError: `unknown_answer`, it does not fit what was sent.
    """
    ids, loose = _results(reply, keys)
    named, unnamed = _errors(reply, keys, fields)
    if named.keys() & ids.keys():
        raise _unfit("names a row among results and errors")
    told: dict[int, tuple[OutcomeCode, Reason | None]] = {
        row: (OutcomeCode.REJECTED, reason) for row, reason in named.items()
    }
    left = [row for row in keys if row not in ids and row not in named]
    if len(loose) > len(left):
        raise _unfit("has more results than rows")
    if len(loose) == len(left) and not unnamed:
        return Records(ids=ids, loose=tuple(loose), told=told)
    if not unnamed or not left:
        raise _unfit("does not answer for every row")
    if loose:
        # Some of them are there and some are not; nobody can tell which.
        reason = Reason(code="error_not_named", vendor_code=unnamed[0].vendor_code)
        told |= dict.fromkeys(left, (OutcomeCode.UNCONFIRMED, reason))
    else:
        told |= dict.fromkeys(left, (OutcomeCode.REJECTED, unnamed[0]))
    return Records(ids=ids, loose=tuple(loose), told=told)


def found(reply: Mapping[str, Any], keys: Mapping[int, str], key: str, fold: Any) -> Records:
    """Which records some keys name; a row without an id is not there. Pure.

    Args:
        reply: to a read, of 200 or 207.
        keys: that were asked for, by number of the row.
        key: the property they are of.
        fold: a key as HubSpot tells it from others.

    Raises:
        TransientError, ContractError: as `upserted`.
    """
    _require_complete(reply)
    rows_of: dict[str, list[int]] = {}
    for row, text in keys.items():
        rows_of.setdefault(fold(text), []).append(row)
    ids: dict[int, str] = {}
    loose: list[str] = []
    for entry in _entries(reply, "results"):
        properties = entry.get("properties")
        value = properties.get(key) if isinstance(properties, dict) else None
        rows = rows_of.get(fold(value), []) if isinstance(value, str) else []
        ids |= dict.fromkeys(rows, _record(entry))
        loose += [] if rows else [_record(entry)]
    absent = {row for name in _absent(reply) for row in rows_of.get(fold(name), ())}
    left = [row for row in keys if row not in ids and row not in absent]
    if len(left) <= len(loose):
        # A contact is found by a second address, too, and shows its first.
        return Records(ids=ids, loose=tuple(loose))
    reason = Reason(code="not_answered")
    told = dict.fromkeys(left, (OutcomeCode.DEFERRED, reason))
    return Records(ids=ids, loose=tuple(loose), told=told)


def _absent(reply: Mapping[str, Any]) -> Iterator[str]:
    for error in _entries(reply, "errors"):
        if error.get("category") != "OBJECT_NOT_FOUND":
            raise _unfit("has an error of another kind than a record that is not there")
        context = error.get("context")
        ids = context.get("ids") if isinstance(context, dict) else None
        yield from (x for x in ids if isinstance(x, str)) if isinstance(ids, list) else ()


def missing_members(reply: Mapping[str, Any]) -> frozenset[str]:
    """Records that a list does not take because they are not there.

    Raises:
        ContractError: `unknown_answer`.
    """
    named: dict[str, frozenset[str]] = {}
    # The odd spelling of the first is HubSpot's own.
    for name in ("recordsIdsAdded", "recordIdsRemoved", "recordIdsMissing"):
        values = reply.get(name, [] if name != "recordIdsMissing" else None)
        if not isinstance(values, list):
            raise _unfit(f"has no {name}")
        named[name] = frozenset(map(str, values))
    return named["recordIdsMissing"]


def fault(error: Mapping[str, Any], fields: Collection[str]) -> str:
    """HubSpot's own code for what is wrong, with the property it is about; empty where it has none
    that is known.
    """
    details = error.get("errors")
    for detail in details if isinstance(details, list) else ():
        code = detail.get("code") if isinstance(detail, dict) else None
        if code in _FAULTS:
            return _about(code, _first(detail.get("context"), "propertyName"), fields)
    listed = _LIST_OF_FAULTS.search(str(error.get("message", "")))
    try:
        entries = orjson.loads(listed[1]) if listed else []
    except orjson.JSONDecodeError:
        entries = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("error") in _FAULTS:
            return _about(str(entry["error"]), entry.get("name"), fields)
    return _category(error)


def _about(code: str, name: object, fields: Collection[str]) -> str:
    whole = f"{code}.{name}"
    return whole if name in fields and vendor_code(whole) else code


def _first(context: object, name: str) -> object:
    values = context.get(name) if isinstance(context, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _category(error: Mapping[str, Any]) -> str:
    category = error.get("category")
    return category if isinstance(category, str) and category in _CATEGORIES else ""


def _results(reply: Mapping[str, Any], keys: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    _require_complete(reply)
    ids: dict[int, str] = {}
    loose: list[str] = []
    rows = {str(row): row for row in keys}
    for entry in _entries(reply, "results"):
        trace = entry.get(_TRACE)
        if trace is None:
            loose.append(_record(entry))
        elif not isinstance(trace, str) or trace not in rows:
            raise _unfit("names a row that was not sent")
        elif rows[trace] in ids:
            raise _unfit("names a row twice")
        else:
            ids[rows[trace]] = _record(entry)
    return ids, loose


def _errors(
    reply: Mapping[str, Any], keys: Mapping[int, str], fields: Collection[str]
) -> tuple[dict[int, Reason], list[Reason]]:
    """Errors by the rows that they name, and those that name none."""
    named: dict[int, Reason] = {}
    unnamed: list[Reason] = []
    errors = _entries(reply, "errors")
    count = reply.get("numErrors", len(errors))
    if not isinstance(count, int) or (count > 0) != bool(errors):
        raise _unfit("counts errors that it does not have")
    for error in errors:
        reason = Reason(code="row_refused", vendor_code=fault(error, fields))
        rows = list(_rows_of(error.get("context"), keys))
        named |= dict.fromkeys(rows, reason)
        unnamed += [] if rows else [reason]
    return named, unnamed


def _rows_of(context: object, keys: Mapping[int, str]) -> Iterator[int]:
    if not isinstance(context, dict):
        return
    traced = context.get(_TRACE)
    if isinstance(traced, list) and traced:
        rows = {str(row): row for row in keys}
        if not all(isinstance(trace, str) and trace in rows for trace in traced):
            raise _unfit("names a row that was not sent")
        yield from (rows[trace] for trace in traced)
        return
    ids = context.get("ids")
    if isinstance(ids, list):
        wanted = {x.casefold() for x in ids if isinstance(x, str)}
        yield from (row for row, key in keys.items() if key.casefold() in wanted)


def _require_complete(reply: Mapping[str, Any]) -> None:
    match reply.get("status"):
        case "COMPLETE":
            return
        case "PENDING" | "PROCESSING" | "CANCELED" | "CANCELLED":
            raise TransientError("not_finished", f"{VENDOR} did not finish a request.")
        case _:
            raise _unfit("has no status that is known")


def _entries(reply: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    entries = reply.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _unfit(f"has no {name}")
    return entries


def _record(entry: Mapping[str, Any]) -> str:
    record = entry.get("id")
    if not isinstance(record, str) or not _RECORD.fullmatch(record):
        raise _unfit("has a record without an id")
    return record


def _unfit(what: str) -> ContractError:
    return ContractError("unknown_answer", f"{VENDOR}'s answer {what}.")
