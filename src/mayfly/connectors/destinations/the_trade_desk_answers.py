"""What The Trade Desk's answers mean: statuses as our errors, failed lines as outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mayfly.connectors.http_replies import json_object, refused, try_json, vendor_code
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.http import HttpReply

VENDOR = "The Trade Desk"
# About the segment, the advertiser or the request: the same in every item.
_OF_ALL = frozenset({
    "BaseBidCPMMetadataTooLong", "DataNameTooLong", "InvalidBaseBidCPM", "InvalidBidFactor",
    "InvalidDataOwnerId", "InvalidTimestampUtc", "InvalidTtlInMinutes",
    "TargetingDataCountLimitExceeded", "TargetingDataCreationLimitExceeded",
    "TargetingDataDisabled", "TenantRestrictionsExternalData",
})  # fmt: skip
# No member can have such an identifier, so that whoever is removed by it is not there.
_NOBODY = frozenset({"InvalidUserId", "MissingUserId", "UserNotMapped"})
_OF_ONE = _NOBODY | {
    "Deprecated_MissingCookieMappingPartnerId",
    "InvalidParameterFormat",
    "ItemDeserializationError",
    "Uid2Error",
    "Unknown",
}
_LIMIT = "TargetingDataLimitReached"
_UNREADABLE = frozenset(
    {"IncorrectContent", "MissingData", "SerializationFailed", "UnknownRequest"}
)


class RequestTooLargeError(ContractError):
    """A body is larger than what is taken; the same in two halves may not be."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Items that were not taken.

    Args:
        codes: number of the item, from 0, to the vendor's code.
        unnamed: whether more were refused than are told by number.
    """

    codes: Mapping[int, str]
    unnamed: bool = False


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The body of a reply that carried items.

    Raises:
        RequestTooLargeError, EngineError: any other status than 2xx.
    """
    if 200 <= reply.status < 300:
        return json_object(reply, VENDOR)
    raise _refusal(reply)


def reached(reply: HttpReply) -> None:
    """Whether a reply to a request without items says that ours would be heard.

    Raises:
        EngineError: it would not.
    """
    code = _code(reply)
    if reply.status == 400 and (not code or code in _UNREADABLE):
        return
    answer(reply)


def _refusal(reply: HttpReply) -> EngineError:
    code = _code(reply)
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 413:
            return RequestTooLargeError(
                "request_too_large", f"{VENDOR} takes no request of that size ({shown})."
            )
        case 400 if code in _UNREADABLE:
            return ContractError("request_refused", f"{VENDOR} cannot read a request ({shown}).")
        case 403 if code == _LIMIT:
            return _segment_refused(code)
        case 400 | 404:
            return ConfigError(
                "request_refused",
                f"{VENDOR} refuses requests for this advertiser ({shown}).",
                hint="Check advertiser_id, data_provider_id and token, and ask the account manager "
                "whether the advertiser may upload first-party data.",
            )
        case _:
            return refused(reply, VENDOR, code)


def _code(reply: HttpReply) -> str:
    found = try_json(reply)
    return vendor_code(found.get("ErrorCode")) if isinstance(found, dict) else ""


def failures(reply: Mapping[str, Any], count: int) -> Failures:
    """`FailedLines` of an answer; numbers in it begin with 1. Pure.

    Args:
        reply: with status 2xx.
        count: of items that were sent.

    Raises:
        ConfigError: `segment_refused`, every item was, for what is the same in all.
        ContractError: `unknown_answer`.
    """
    lines = reply.get("FailedLines")
    if lines is None:
        return Failures(codes={})
    if not isinstance(lines, list):
        raise _unknown()
    codes: dict[int, str] = {}
    unnamed = False
    for line in lines:
        number, code = _line(line, count)
        if number is None:
            unnamed = True
        else:
            codes.setdefault(number, code)
    if count and len(codes) == count and _OF_ALL.issuperset(codes.values()):
        raise _segment_refused(Counter(codes.values()).most_common(1)[0][0])
    return Failures(codes=codes, unnamed=unnamed)


def _line(line: object, count: int) -> tuple[int | None, str]:
    if not isinstance(line, dict):
        raise _unknown()
    code = vendor_code(line.get("ErrorCode")) or "Unknown"
    if code not in _OF_ONE and code not in _OF_ALL:
        raise _unknown()
    number = line.get("ItemNumber")
    if number is None:
        return None, code
    text = str(number)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= count:
        raise _unknown()
    return int(text[:9]) - 1, code


def _segment_refused(code: str) -> ConfigError:
    return ConfigError(
        "segment_refused",
        f"{VENDOR} takes nobody into the segment ({code}).",
        hint="The code is in the vendor's documentation of POST /data/advertiser; the account "
        "manager raises limits.",
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of the rows of a request before anything is answered, by row number.

    Args:
        rows: how many there are.
        opted_out: rows that the operator says have opted out.
        invalid: rows of which it does not take an identifier.
    """

    rows: int
    opted_out: Collection[int] = ()
    invalid: Collection[int] = ()


def added(standing: Standing, item_rows: Sequence[int], failed: Failures) -> Outcomes:
    """One outcome per row of people that were added. Pure.

    A row of which one identifier was taken and another was not is unconfirmed: it must be removed
    when it has to be.

    Args:
        standing: of the rows.
        item_rows: the row of each item that was sent.
        failed: of these.
    """
    sent, refusals = Counter(item_rows), _by_row(item_rows, failed)
    codes = [int(OutcomeCode.ACCEPTED)] * standing.rows
    reasons: dict[int, Reason] = {}
    odd = {*standing.opted_out, *standing.invalid, *refusals}
    if failed.unnamed or len(sent) < standing.rows:
        odd = set(range(standing.rows))
    for row in odd:
        outcome, reason = _of_added(row, standing, sent[row], refusals.get(row, []), failed.unnamed)
        codes[row] = int(outcome)
        if reason is not None:
            reasons[row] = reason
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def _of_added(
    row: int, standing: Standing, sent: int, refusals: Sequence[str], unnamed: bool
) -> tuple[OutcomeCode, Reason | None]:
    if row in standing.opted_out:
        return OutcomeCode.REJECTED, Reason(code="opted_out", vendor_code="optout")
    if not sent:
        code = "invalid_identifier" if row in standing.invalid else "no_identifier"
        return OutcomeCode.REJECTED, Reason(code=code)
    if len(refusals) == sent:
        return OutcomeCode.REJECTED, Reason(code="invalid_entry", vendor_code=refusals[0])
    if refusals:
        return OutcomeCode.UNCONFIRMED, Reason(code="partly_taken", vendor_code=refusals[0])
    if row in standing.invalid:
        return OutcomeCode.UNCONFIRMED, Reason(code="partly_taken")
    if unnamed:
        return OutcomeCode.UNCONFIRMED, Reason(code="invalid_count_only")
    return OutcomeCode.ACCEPTED, None


def removed(standing: Standing, item_rows: Sequence[int], failed: Failures) -> Outcomes:
    """One outcome per row of people that were removed or deleted. Pure.

    Who is not there is removed. Of who opted out nothing is known that could be removed; the
    vendor learns of it from the operator. What may have failed is asked again by the next run.
    """
    refusals = _by_row(item_rows, failed)
    codes = [int(OutcomeCode.ACCEPTED)] * standing.rows
    reasons: dict[int, Reason] = {}
    for row in standing.opted_out:
        codes[row] = int(OutcomeCode.UNCONFIRMED)
        reasons[row] = Reason(code="opted_out", vendor_code="optout")
    for row in set(item_rows) if failed.unnamed else refusals:
        told = [code for code in refusals.get(row, []) if code not in _NOBODY]
        if told or failed.unnamed:
            codes[row] = int(OutcomeCode.REJECTED)
            reasons[row] = (
                Reason(code="invalid_entry", vendor_code=told[0])
                if told
                else Reason(code="invalid_count_only")
            )
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def _by_row(item_rows: Sequence[int], failed: Failures) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for item, code in sorted(failed.codes.items()):
        found.setdefault(item_rows[item], []).append(code)
    return found


def _unknown() -> ContractError:
    return ContractError("unknown_answer", f"{VENDOR}'s answer does not fit what was sent.")
