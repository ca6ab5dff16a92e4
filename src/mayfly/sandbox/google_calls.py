"""The paths of Google's Data Manager API: how calls are read, routed and answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.google_errors import ApiError, of_field
from mayfly.sandbox.google_lists import Google
from mayfly.sandbox.google_members import camel, read_destinations, read_members
from mayfly.sandbox.google_tokens import GoogleTokens
from mayfly.sandbox.vendor import as_json

TOKEN_PATH = "/token"  # noqa: S105, a path
BODY_BYTES_MAX = 64 * 1024 * 1024
_LISTS = re.compile(r"/v1/accountTypes/GOOGLE_ADS/accounts/([0-9]{10})/userLists(?:/([0-9]+))?")
_LOGIN = re.compile(r"accountTypes/GOOGLE_ADS/accounts/[0-9]{10}")
_STATUSES = ("REQUEST_STATUS_UNKNOWN", "SUCCESS", "PROCESSING", "FAILED", "PARTIAL_SUCCESS")
_NUMBERS: dict[str, tuple[str, ...]] = {
    "requestStatus": _STATUSES,
    "membershipStatus": ("MEMBERSHIP_STATUS_UNSPECIFIED", "OPEN", "CLOSED"),
    "accessReason": ("ACCESS_REASON_UNSPECIFIED", "OWNED"),
    "accountType": ("ACCOUNT_TYPE_UNSPECIFIED", "GOOGLE_ADS"),
    "uploadKeyTypes": ("UPLOAD_KEY_TYPE_UNSPECIFIED", "CONTACT_ID", "MOBILE_ID", "USER_ID"),
}
_REASONS = {"DENIED_CONSENT": 4, "INTERNAL_ERROR": 13, "INVALID_FORMAT": 18, "INVALID_EVENT": 15}
_REASON = "PROCESSING_ERROR_REASON_"


class GoogleVendor:
    """Google as one of the sandbox's platforms.

    Args:
        google: the lists behind it.
        tokens: the access tokens that work beside those that it gives; None takes any that is not
            empty.
    """

    name = "google_ads"

    def __init__(self, google: Google, *, tokens: frozenset[str] | None = None) -> None:
        self.google = google
        self.token_endpoint = GoogleTokens()
        self._tokens = tokens

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path == TOKEN_PATH or path.startswith(
            ("/v1/audienceMembers:", "/v1/requestStatus:", "/v1/accountTypes/")
        )

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        if request.url.path == TOKEN_PATH:
            form = dict(parse_qsl(body.decode("utf-8", "replace")))
            status, given = self.token_endpoint.answer(form)
            return as_json(given, status=status)
        try:
            found = self._answer(request, body, partial)
        except ApiError as error:
            return error.response()
        return as_json(_numbered(found) if _wants_numbers(request) else found)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        reads = path.startswith("/v1/requestStatus:")
        match kind:
            case "503":
                error = ApiError("INTERNAL_ERROR", status=503)
            case "429":
                quota = f"Ingestion{'Read' if reads else 'Mutate'}RequestsPerMinutePerProject"
                error = ApiError("RESOURCE_EXHAUSTED", status=429, quota=quota)
            case "401":
                error = ApiError("ACCESS_TOKEN_EXPIRED", status=401)
            case _:
                error = ApiError()
        return error.response(headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        return self.google.members(query.get("audience", ""))

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": x.list_id, "account": x.account, "name": x.name, "count": x.count}
            for x in self.google.lists.values()
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.google.reset()

    def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        self._authorise(request)
        method, path = request.method, request.url.path
        query = dict(request.query_params)
        if (found := _LISTS.fullmatch(path)) is not None:
            return self._lists(request, found[1], found[2], body)
        google = self.google
        match method, path:
            case "GET", "/v1/requestStatus:retrieve":
                return google.status(query.get("requestId", ""))
            case "POST", "/v1/audienceMembers:ingest":
                asked = read_members(_json(body), adds=True, named_most=google.named_most)
                warned, google.warns = google.warns, []
                given = google.take(asked, adds=True, partial=partial)
                warnings = [{"field": f, "reason": r, "description": ""} for f, r in warned]
                return {**given, **({"fieldWarnings": warnings} if warnings else {})}
            case "POST", "/v1/audienceMembers:remove":
                asked = read_members(_json(body), adds=False, named_most=google.named_most)
                return google.take(asked, adds=False, partial=partial)
            case "POST", "/v1/audienceMembers:removeAll":
                wanted, places = read_destinations(_json(body), frozenset({"removeAsOfTime"}))
                really = wanted.get("validateOnly") is not True
                return google.clear(places, _as_of(wanted.get("removeAsOfTime")), really=really)
            case _:
                raise ApiError("NOT_FOUND", status=404)

    def _lists(
        self, request: Request, account: str, list_id: str | None, body: bytes
    ) -> dict[str, Any]:
        login = request.headers.get("login-account")
        if login is not None and not _LOGIN.fullmatch(login):
            raise of_field("login-account", "INVALID_RESOURCE_NAME")
        match request.method, list_id:
            case "POST", None:
                return self.google.make(account, camel(_json(body))).to_dict()
            case "GET", None:
                return self.google.page(account, dict(request.query_params))
            case "GET", str():
                return self.google.list_of(account, list_id).to_dict()
            case "DELETE", str():
                del self.google.lists[self.google.list_of(account, list_id).list_id]
                return {}
            case _:
                raise ApiError("NOT_FOUND", status=404)

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        works = self._tokens is None or token in self._tokens or token in self.token_endpoint.given
        if scheme != "Bearer" or not token or not works:
            raise ApiError("ACCESS_TOKEN_EXPIRED", status=401)


def _json(body: bytes) -> Any:
    if len(body) > BODY_BYTES_MAX:
        raise ApiError()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ApiError() from None


def _as_of(given: Any) -> float | None:
    """Seconds since 1970."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        raise of_field("remove_as_of_time", "INVALID_FORMAT") from None
    if moment.tzinfo is None or moment > datetime.now(UTC):
        raise of_field("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME")
    return moment.timestamp()


def _wants_numbers(request: Request) -> bool:
    return "enum-encoding=int" in request.query_params.get("$alt", "")


def _numbered(value: Any) -> Any:
    """Enums as their numbers, as a client may ask for."""
    if isinstance(value, list):
        return [_numbered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _number(name, item) for name, item in value.items()}


def _number(name: str, item: Any) -> Any:
    if name == "reason" and str(item).startswith(_REASON):
        return _REASONS.get(str(item).removeprefix(_REASON), 0)
    names = _NUMBERS.get(name)
    if names is None:
        return _numbered(item)
    return [names.index(x) for x in item] if isinstance(item, list) else names.index(item)
