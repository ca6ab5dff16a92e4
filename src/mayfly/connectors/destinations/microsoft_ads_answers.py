"""What Microsoft Advertising answers, as our errors and outcomes. Pure; its own text, which may
repeat what was sent, never gets further.

A fault may come with status 500 whatever it is about, so that its code is read first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

VENDOR = "Microsoft Advertising"
MINUTE_SECONDS = 60.0
LIST_GONE = frozenset({"InvalidCustomerListId", "InvalidAudienceId"})
TERMS = "CustomerListTermsAndConditionsNotAccepted"
_TOKEN_ENDED = 109
_LOGIN = frozenset((105, 106, 108, 109, 120, 122, 123, 124, 125, 126))
_SETTINGS = {
    TERMS: "Accept the Customer Match terms: make a customer list once in Microsoft Advertising.",
    "CustomerListItemSubTypeNotSupported": "The list does not take e-mail digests; use another.",
    "InvalidAccount": "Check account_id and customer_id.",
    "CampaignServiceInvalidAccountId": "Check account_id and customer_id.",
    "CampaignServiceInvalidCustomerId": "Check account_id and customer_id.",
    "ApiVersionNoLongerSupported": "Use a later release of Mayfly.",
    "DuplicateAudienceName": "Another audience of the account, of another kind, has the name: give "
    "the audience another one.",
    "InvalidAudienceName": "Give the audience another name, of at most 128 characters.",
}
"""What a person must change, and how."""
_LATER = frozenset({"InternalError", "CallRateExceeded"})
_NAMES = {
    0: "InternalError",
    117: "CallRateExceeded",
    208: "InvalidAccount",
    303: "ApiVersionNoLongerSupported",
    4835: "InvalidAudienceId",
    4838: "InvalidAudienceName",
    4853: "DuplicateAudienceName",
    8000: "InvalidCustomerListId",
    8002: "CustomerListItemSubTypeNotSupported",
    8003: TERMS,
    8004: "EmailMustBeHashed",
}
"""Of numbers, where an error has no name."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One error of an answer.

    Args:
        number: Microsoft's; None where it gives none.
        name: Microsoft's; empty where it gives none.
        index: of the item that it is about, None where it is about none.
    """

    number: int | None
    name: str
    index: int | None = None

    @classmethod
    def of(cls, found: object) -> Fault:
        """From Microsoft's own object."""
        fields: Mapping[str, Any] = found if isinstance(found, dict) else {}
        number = _whole(fields.get("Code"))
        name = vendor_code(fields.get("ErrorCode")) or _NAMES.get(-1 if number is None else number)
        return cls(number=number, name=name or "", index=_whole(fields.get("Index")))

    @property
    def code(self) -> str:
        """As it may stand in a message or an outcome."""
        return self.name or ("unknown" if self.number is None else str(self.number))


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's JSON object.

    Raises:
        EngineError: the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise _failure(reply)
    return json_object(reply, VENDOR)


def people_answer(reply: HttpReply) -> Mapping[str, Any]:
    """The JSON object of an answer to a request that carried people.

    Raises:
        RequestRefusedError: `microsoft_request_refused`; one of the people may be to blame.
        EngineError: as `answer`.
    """
    try:
        return answer(reply)
    except ContractError as error:
        if error.code != "microsoft_request_refused":
            raise
        raise RequestRefusedError(error.code, error.message, hint=error.hint) from None


def partial_errors(answered: Mapping[str, Any]) -> list[Fault]:
    """The errors of an answer with status 2xx.

    Raises:
        ContractError: `unknown_answer`.
    """
    entries = answered.get("PartialErrors")
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise ContractError("unknown_answer", f"{VENDOR}'s errors are no list.")
    return [Fault.of(entry) for entry in entries if entry is not None]


def outcomes(answered: Mapping[str, Any], count: int) -> Outcomes:
    """What became of each item; who is not named was taken. Pure.

    Args:
        answered: with status 2xx.
        count: of items that were sent.

    Raises:
        ConfigError: the list takes nobody, and why.
        ContractError: `microsoft_list_gone`; `unknown_answer`: an error that names no item.
    """
    codes, reasons = [int(OutcomeCode.ACCEPTED)] * count, {}
    for fault in partial_errors(answered):
        require_no_setting(fault)
        if fault.index is None or not 0 <= fault.index < count:
            raise ContractError(
                "unknown_answer",
                f"An error of {VENDOR} names no item that was sent ({fault.code}).",
            )
        later = fault.name in _LATER
        codes[fault.index] = int(OutcomeCode.DEFERRED if later else OutcomeCode.REJECTED)
        reasons[fault.index] = Reason(
            code="not_answered" if later else "row_refused", vendor_code=fault.code
        )
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)


def require_no_setting(fault: Fault) -> None:
    """Refuse what is about the list, or the account, and not about an item.

    Raises:
        ConfigError: a person must change something.
        ContractError: `microsoft_list_gone`.
    """
    if fault.name in LIST_GONE:
        raise ContractError("microsoft_list_gone", f"{VENDOR} knows no such list ({fault.code}).")
    if fault.name in _SETTINGS:
        raise ConfigError(
            "microsoft_refused", f"{VENDOR} refuses ({fault.code}).", hint=_SETTINGS[fault.name]
        )


def _failure(reply: HttpReply) -> EngineError:
    """By the most telling of its errors, else by its status."""
    told = try_json(reply)
    faults = list(_faults(told)) if isinstance(told, dict) else []
    for fault in faults:
        if (error := _known(fault, reply)) is not None:
            return error
    code = faults[0].code if faults else ""
    if faults and reply.status in (400, 500):
        return ContractError(
            "microsoft_request_refused",
            f"{VENDOR} refuses a request, or something in it (HTTP {reply.status}, {code}).",
            hint="The code is in Microsoft's list of operation error codes.",
        )
    return refused(reply, VENDOR, code)


def _faults(told: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("Errors", "OperationErrors", "BatchErrors"):
        entries = told.get(name)
        yield from (Fault.of(x) for x in (entries if isinstance(entries, list) else ()) if x)


def _known(fault: Fault, reply: HttpReply) -> EngineError | None:
    shown = f"HTTP {reply.status}, {fault.code}"
    if fault.number in _LOGIN:
        hint = "Give a new token, or run `mayfly connect` again."
        if fault.number != _TOKEN_ENDED:
            hint = (
                "Check access_token and developer_token, and that the login may manage the account "
                "of account_id and customer_id."
            )
        return ConfigError("reauthorise", f"{VENDOR} refuses the credentials ({shown}).", hint=hint)
    if fault.name == "CallRateExceeded":
        pause = retry_after(reply)
        return TransientError(
            "rate_limited",
            f"{VENDOR} counts too many calls ({shown}).",
            retry_after_seconds=MINUTE_SECONDS if pause is None else pause,
        )
    if fault.name == "InternalError":
        return TransientError(
            "destination_busy",
            f"{VENDOR} cannot answer now ({shown}).",
            retry_after_seconds=retry_after(reply),
        )
    try:
        require_no_setting(fault)
    except EngineError as error:
        return error
    return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
