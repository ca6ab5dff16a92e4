"""What Snap's Marketing API answers, as our errors. Pure; Snap's own text never gets further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mayfly.connectors.http_replies import (
    json_object,
    refused,
    try_json,
    vendor_code,
    whole_number,
)
from mayfly.domain.errors import ContractError, EngineError
from mayfly.ports.http import HttpReply

VENDOR = "Snap"
_NOT_THERE = "snap_not_there"


def answer(reply: HttpReply) -> Mapping[str, Any]:
    """The reply's object, where Snap says that the request succeeded. Pure.

    Raises:
        EngineError: the kind says what to do.
    """
    if not 200 <= reply.status < 300:
        raise _refusal(reply)
    found = json_object(reply, VENDOR)
    _require_success(found, "request_status")
    return found


def entries(found: Mapping[str, Any], many: str, one: str) -> list[Mapping[str, Any]]:
    """What an answer holds: a list whose members have a status of their own. Pure.

    Args:
        found: an answer.
        many: name of the list.
        one: name of what is within a member.

    Raises:
        ContractError: `unknown_answer`, `request_refused`.
    """
    members = found.get(many)
    if not isinstance(members, list):
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no {many}.")
    return [_inner(member, one) for member in members]


def single(found: Mapping[str, Any], many: str, one: str) -> Mapping[str, Any]:
    """The same, of exactly one.

    Raises:
        ContractError: as `entries`.
    """
    members = entries(found, many, one)
    if len(members) != 1:
        raise ContractError("unknown_answer", f"{VENDOR} answered for {len(members)} {many}.")
    return members[0]


def is_gone(error: EngineError) -> bool:
    """Whether it says that what was asked for is not there."""
    return error.code == _NOT_THERE


def uploaded(found: Mapping[str, Any], sent: int) -> bool:
    """Whether Snap has counted every digest that was sent. Pure.

    Raises:
        ContractError: `unknown_answer`: it counts none, or more than were sent.
    """
    count = whole_number(single(found, "users", "user"), "number_uploaded_users", VENDOR)
    if count > sent:
        raise ContractError("unknown_answer", f"{VENDOR} counts more people than were sent.")
    return count == sent


def _refusal(reply: HttpReply) -> EngineError:
    body = try_json(reply)
    code = vendor_code(body.get("error_code")) if isinstance(body, dict) else ""
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 404 | 410:
            return ContractError(_NOT_THERE, f"{VENDOR} has nothing at an address ({shown}).")
        case 400 | 405 | 406 | 413 | 418 if isinstance(body, dict):
            return ContractError(
                "request_refused",
                f"{VENDOR} refuses the request for good ({shown}).",
                hint="See the code in its documentation, and report it.",
            )
        case _:
            return refused(reply, VENDOR, code)


def _inner(member: object, one: str) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = member if isinstance(member, dict) else {}
    _require_success(fields, "sub_request_status")
    inner = fields.get(one)
    if not isinstance(inner, dict):
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no {one}.")
    return inner


def _require_success(fields: Mapping[str, Any], name: str) -> None:
    """Snap writes the word in either case."""
    status = fields.get(name)
    if not isinstance(status, str):
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no {name}.")
    if status.upper() != "SUCCESS":
        shown = ", ".join(
            filter(None, (vendor_code(status), vendor_code(fields.get("error_code"))))
        )
        raise ContractError("request_refused", f"{VENDOR} did not do what it was asked ({shown}).")
