"""Microsoft Advertising's customer lists in memory: as strict as its documentation, and gone with
the process.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

ITEMS_MAX = 1_000
IDS_MAX = 100
NAME_MAX = 128
_BASE = "/CampaignManagement/v13/"
_LISTS, _QUERY = f"{_BASE}Audiences", f"{_BASE}Audiences/QueryByIds"
_APPLY = f"{_BASE}CustomerListUserData/Apply"
_DIGEST = re.compile("[0-9a-f]{64}")
_ID = re.compile("[1-9][0-9]{0,18}")
_USER_DATA = {
    *("AcceptCustomerMatchTerm", "ActionType", "AudienceId", "CustomerListItems"),
    "CustomerListItemSubType",
}
_AUDIENCE = {
    *("AudienceNetworkSize", "CustomerShare", "Description", "ForwardCompatibilityMap", "Id"),
    *("MembershipDuration", "Name", "ParentId", "Scope", "SearchSize", "SupportedCampaignTypes"),
    "Type",
}


class FaultError(Exception):
    """A refusal of a whole request.

    Args:
        status: of the answer.
        number, name: Microsoft's own.
        generic: whether it is about the call, and not about what it asks for.
    """

    def __init__(self, status: int, number: int, name: str, *, generic: bool = True) -> None:
        super().__init__(name)
        self.status = status
        error = {"Code": number, "ErrorCode": name, "Message": "The request is refused."}
        kind = {"Errors": [error], "Type": "AdApiFaultDetail"}
        if not generic:
            kind = {"OperationErrors": [error], "BatchErrors": [], "Type": "ApiFaultDetail"}
        self.body = {**kind, "TrackingId": secrets.token_hex(16)}


def _invalid() -> FaultError:
    return FaultError(400, 201, "ApiInputValidationError", generic=False)


@dataclass(kw_only=True)
class CustomerMatchList:
    """One customer list with the digests of its members."""

    list_id: str
    name: str
    owner: str
    scope: str
    days: int
    description: str | None = None
    members: set[str] = field(default_factory=set)

    def to_dict(self) -> dict[str, Any]:
        """As Microsoft shows it."""
        return {
            "AudienceNetworkSize": None,
            "CustomerShare": None,
            "Description": self.description,
            "ForwardCompatibilityMap": [],
            "Id": self.list_id,
            "MembershipDuration": self.days,
            "Name": self.name,
            "ParentId": self.owner,
            "Scope": self.scope,
            "SearchSize": None,
            "SupportedCampaignTypes": ["Audience", "DynamicSearchAds", "Search", "Shopping"],
            "Type": "CustomerList",
        }


class MicrosoftVendor:
    """Microsoft Advertising as one of the sandbox's platforms, with every account.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.

    Attributes:
        audiences: by id.
        terms_accepted: in the web interface; else each request has to say so.
        answers: errors that the next items are answered with, as number and name.
    """

    name = "microsoft_ads"

    def __init__(self, *, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.audiences: dict[str, CustomerMatchList] = {}
        self.terms_accepted = False
        self.answers: dict[int, tuple[int, str]] = {}
        self._next_id = 804_000_001

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith(_BASE)

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            return as_json(self._answer(request, body, partial))
        except FaultError as error:
            return as_json(error.body, status=error.status)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        error = {
            "503": FaultError(503, 0, "InternalError", generic=False),
            "429": FaultError(429, 117, "CallRateExceeded"),
            "401": FaultError(401, 109, "AuthenticationTokenExpired"),
            "100": _invalid(),
        }[kind]
        return as_json(error.body, status=error.status, headers=headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        found = self.audiences.get(query.get("audience", ""))
        if found is None:
            return None
        values = sorted(found.members)
        return {"audience": found.list_id, "count": len(values), "fields": {"Email": values}}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": x.list_id, "account": x.owner, "name": x.name, "count": len(x.members)}
            for x in self.audiences.values()
        ]

    def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        account = self._authorise(request.headers)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise _invalid()
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _invalid() from None
        if not isinstance(given, dict):
            raise _invalid()
        match request.method, request.url.path:
            case "POST", path if path == _LISTS:
                return self._made(given, account)
            case "POST", path if path == _QUERY:
                return self._queried(given, account)
            case "POST", path if path == _APPLY:
                return self._applied(given, account, partial)
            case _:
                raise FaultError(404, 204, "OperationNotSupported")

    def _authorise(self, headers: Mapping[str, str]) -> str:
        """The account of a call."""
        account, customer = headers.get("customeraccountid", ""), headers.get("customerid", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token or not headers.get("developertoken"):
            raise FaultError(401, 105, "InvalidCredentials")
        if self._tokens is not None and token not in self._tokens:
            raise FaultError(401, 109, "AuthenticationTokenExpired")
        if not _ID.fullmatch(account) or not _ID.fullmatch(customer):
            raise FaultError(400, 116, "RequestMissingHeaders")
        return account

    def _made(self, given: Mapping[str, Any], account: str) -> dict[str, Any]:
        wanted = given.get("Audiences")
        if set(given) != {"Audiences"} or not isinstance(wanted, list) or len(wanted) > IDS_MAX:
            raise _invalid()
        ids: list[str | None] = []
        errors = []
        for index, audience in enumerate(wanted):
            error = self._wrong(audience, account)
            if error is None:
                ids.append(self._add(audience))
            else:
                ids.append(None)
                errors.append(_batch_error(index, *error))
        return {"AudienceIds": ids, "PartialErrors": errors}

    def _wrong(self, audience: Any, account: str) -> tuple[int, str] | None:
        """What is wrong about an audience, as number and name."""
        if not isinstance(audience, dict) or set(audience) - _AUDIENCE:
            raise _invalid()
        if audience.get("Id") is not None or audience.get("Type") != "CustomerList":
            raise _invalid()
        name, days = audience.get("Name"), audience.get("MembershipDuration", 30)
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= NAME_MAX:
            return 4838, "InvalidAudienceName"
        if any(x.name == name and x.owner == account for x in self.audiences.values()):
            return 4853, "DuplicateAudienceName"
        if audience.get("Scope") != "Account" or audience.get("ParentId") != account:
            return 201, "ApiInputValidationError"
        if type(days) is not int or not (days == -1 or 1 <= days <= 390):
            return 201, "ApiInputValidationError"
        return None

    def _add(self, audience: Mapping[str, Any]) -> str:
        made = CustomerMatchList(
            list_id=str(self._next_id),
            name=audience["Name"],
            owner=audience["ParentId"],
            scope=audience["Scope"],
            days=audience.get("MembershipDuration", 30),
            description=audience.get("Description"),
        )
        self._next_id += 1
        self.audiences[made.list_id] = made
        return made.list_id

    def _queried(self, given: Mapping[str, Any], account: str) -> dict[str, Any]:
        if set(given) - {"AudienceIds", "ReturnAdditionalFields", "Type"}:
            raise _invalid()
        if "CustomerList" not in str(given.get("Type", "")):
            raise _invalid()
        seen = {x.list_id: x for x in self.audiences.values() if x.owner == account}
        ids = given.get("AudienceIds")
        if not ids:
            return {"Audiences": [x.to_dict() for x in seen.values()], "PartialErrors": []}
        if not isinstance(ids, list) or len(ids) > IDS_MAX or not all(map(_is_id, ids)):
            raise _invalid()
        return {
            "Audiences": [seen[x].to_dict() if x in seen else None for x in ids],
            "PartialErrors": [
                _batch_error(index, 4835, "InvalidAudienceId")
                for index, x in enumerate(ids)
                if x not in seen
            ],
        }

    def _applied(self, given: Mapping[str, Any], account: str, partial: bool) -> dict[str, Any]:
        data = given.get("CustomerListUserData")
        if set(given) != {"CustomerListUserData"} or not isinstance(data, dict):
            raise _invalid()
        items, action = data.get("CustomerListItems"), data.get("ActionType")
        if set(data) - _USER_DATA or not _is_id(data.get("AudienceId")):
            raise _invalid()
        if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_MAX:
            raise _invalid()
        if action not in ("Add", "Remove", "Replace"):
            return {"PartialErrors": [_batch_error(0, 8001, "InvalidCustomerListActionType")]}
        if data.get("CustomerListItemSubType") != "Email":
            return {"PartialErrors": [_batch_error(0, 8002, "CustomerListItemSubTypeNotSupported")]}
        accepted = data.get("AcceptCustomerMatchTerm")
        if accepted is False or (accepted is None and not self.terms_accepted):
            name = "CustomerListTermsAndConditionsNotAccepted"
            return {"PartialErrors": [_batch_error(0, 8003, name)]}
        found = self.audiences.get(data["AudienceId"])
        if found is None or found.owner != account:
            return {"PartialErrors": [_batch_error(0, 8000, "InvalidCustomerListId")]}
        return {"PartialErrors": self._take(found, action, items, partial)}

    def _take(
        self, found: CustomerMatchList, action: str, items: list[Any], partial: bool
    ) -> list[dict[str, Any]]:
        errors = []
        planned, self.answers = self.answers, {}
        if action == "Replace":
            found.members.clear()
        for index, item in enumerate(items):
            error = planned.get(index)
            wrong = not isinstance(item, str) or not _DIGEST.fullmatch(item)
            if error is None and (wrong or (partial and index == 0)):
                error = 8004, "EmailMustBeHashed"
            if error is not None:
                errors.append(_batch_error(index, *error))
            elif action == "Remove":
                found.members.discard(item)
            else:
                found.members.add(item)
        return errors


def _batch_error(index: int, number: int, name: str) -> dict[str, Any]:
    return {
        "Code": number,
        "Details": None,
        "ErrorCode": name,
        "FieldPath": None,
        "ForwardCompatibilityMap": [],
        "Index": index,
        "Message": "The item is refused.",
        "Type": "BatchError",
    }


def _is_id(value: object) -> bool:
    """Whether it is a long as Microsoft writes it in JSON."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None
