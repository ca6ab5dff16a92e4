"""HubSpot's own paths, in both styles: how calls are read, routed and answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.hubspot import Hubspot
from mayfly.sandbox.hubspot_records import HubspotError
from mayfly.sandbox.vendor import as_json

_BEGINNINGS = ("/crm/", "/account-info/", "/communication-preferences/")
_STYLE = re.compile(r"/crm/(?:v3/([a-z]+)|([a-z]+)/20[0-9]{2}-(?:03|09))(/.*)?")
_ACCOUNT = re.compile(r"/account-info/(?:v3|20[0-9]{2}-(?:03|09))/details")
_PREFERENCES = re.compile(r"/communication-preferences/(v3|v4|20[0-9]{2}-(?:03|09))/(.*)")
_LIMITS = {
    "x-hubspot-ratelimit-max": "190",
    "x-hubspot-ratelimit-remaining": "189",
    "x-hubspot-ratelimit-interval-milliseconds": "10000",
    "x-hubspot-ratelimit-daily": "650000",
    "x-hubspot-ratelimit-daily-remaining": "649999",
}
_Answer = tuple[int, Any]


class HubspotVendor:
    """HubSpot as one of the sandbox's platforms.

    Args:
        hubspot: the account behind it.
        tokens: those that work; None takes any.
    """

    name = "hubspot"

    def __init__(self, hubspot: Hubspot, tokens: frozenset[str] | None) -> None:
        self.hubspot = hubspot
        self._tokens = tokens

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith(_BEGINNINGS)

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            self._authorise(request)
            status, found = self._routed(request, _json(request, body), partial)
        except HubspotError as error:
            return as_json(error.to_dict(), status=error.status, headers=_LIMITS)
        if status == 204:
            return Response(status_code=204, headers=_LIMITS)
        return as_json(found, status=status, headers=_LIMITS)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        match kind:
            case "503":
                error = HubspotError("Service unavailable", status=503, category="INTERNAL_ERROR")
            case "429":
                error = HubspotError(
                    "You have reached your ten_secondly_rolling limit.",
                    status=429,
                    category="RATE_LIMITS",
                    more={"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"},
                )
            case "401":
                error = _expired()
            case _:
                error = HubspotError("Invalid request")
        return as_json(error.to_dict(), status=error.status, headers={**headers, **_LIMITS})

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: records of a type by its name, members of a list by its id."""
        asked = query.get("audience", "contacts")
        if asked in self.hubspot.lists:
            return sorted(self.hubspot.lists[asked].members)
        objects = self.hubspot.objects.get(asked)
        return None if objects is None else [r.to_dict() for r in objects.records.values()]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        found = self.hubspot.lists.values()
        return [{"id": x.list_id, "name": x.name, "count": len(x.members)} for x in found]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.hubspot.reset()

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = self._tokens is None or token in self._tokens
        if scheme != "Bearer" or not token or not known:
            raise _expired()

    def _routed(self, request: Request, body: Any, partial: bool) -> _Answer:
        path, method = request.url.path, request.method
        if _ACCOUNT.fullmatch(path) and method == "GET":
            return 200, self.hubspot.details()
        if preferences := _PREFERENCES.fullmatch(path):
            return self._preferences(method, preferences[1], preferences[2], request, body)
        style = _STYLE.fullmatch(path)
        api, rest = (style[1] or style[2], (style[3] or "").strip("/")) if style else ("", "")
        match api:
            case "properties" if method == "GET":
                found = self.hubspot.of(rest).properties.values()
                return 200, {"results": [p.to_dict() for p in found]}
            case "objects":
                return self._objects(method, rest, request, body, partial)
            case "lists":
                return self._lists(method, rest, body)
        raise _nowhere()

    def _objects(
        self, method: str, rest: str, request: Request, body: Any, partial: bool
    ) -> _Answer:
        kind, _, what = rest.partition("/")
        archived = request.query_params.get("archived", "").lower() == "true"
        match method, what:
            case "POST", "batch/upsert":
                return self.hubspot.upsert(kind, body, refuse_first=partial)
            case "POST", "batch/read":
                return self.hubspot.read(kind, body, archived=archived)
            case "POST", "batch/archive":
                self.hubspot.archive(kind, body)
                return 204, None
            case "POST", "gdpr-delete":
                self.hubspot.purge(kind, body)
                return 204, None
            case "GET", record if record and "/" not in record:
                key = request.query_params.get("idProperty", "")
                return 200, self.hubspot.one(kind, unquote(record), key, archived=archived)
        raise _nowhere()

    def _lists(self, method: str, rest: str, body: Any) -> _Answer:
        hubspot = self.hubspot
        if method == "POST" and not rest:
            return 200, hubspot.make_list(body)
        if named := re.fullmatch(r"object-type-id/([0-9-]+)/name/(.+)", rest):
            return 200, hubspot.list_named(named[1], unquote(named[2]))
        list_id, _, what = rest.partition("/")
        match method, what:
            case "GET", "":
                return 200, {"list": hubspot.list_of(list_id).to_dict()}
            case "DELETE", "":
                del hubspot.lists[hubspot.list_of(list_id).list_id]
                return 204, None
            case "GET", "memberships":
                members = sorted(hubspot.list_of(list_id).members)
                results = [
                    {"recordId": m, "membershipTimestamp": "2026-11-29T00:00:00Z"} for m in members
                ]
                return 200, {"results": results, "total": len(results)}
            case "PUT", "memberships/add":
                return 200, hubspot.change_members(list_id, body, [])
            case "PUT", "memberships/remove":
                return 200, hubspot.change_members(list_id, [], body)
            case "PUT", "memberships/add-and-remove" if isinstance(body, dict):
                add, remove = body.get("recordIdsToAdd"), body.get("recordIdsToRemove")
                return 200, hubspot.change_members(list_id, add, remove)
        raise _nowhere()

    def _preferences(
        self, method: str, version: str, rest: str, request: Request, body: Any
    ) -> _Answer:
        hubspot = self.hubspot
        if rest == "definitions" and method == "GET":
            found = hubspot.definitions()
            # The older form is what HubSpot's Python client of 2025 reads.
            v3 = {"subscriptionDefinitions": found["results"]}
            return 200, v3 if version == "v3" else found
        if version == "v3":
            return self._preferences_v3(method, rest, body)
        if rest != "statuses/batch/write" and request.query_params.get("channel") != "EMAIL":
            raise HubspotError("channel must be EMAIL.")
        match method, rest:
            case "POST", "statuses/batch/read":
                return 200, hubspot.statuses_of(body)
            case "POST", "statuses/batch/unsubscribe-all/read":
                return 200, hubspot.wide_statuses_of(body)
            case "POST", "statuses/batch/write":
                return 200, hubspot.write_statuses(body)
            case "POST", "statuses/batch/unsubscribe-all":
                return 200, hubspot.unsubscribe_all(body)
        raise _nowhere()

    def _preferences_v3(self, method: str, rest: str, body: Any) -> _Answer:
        if method == "POST" and rest in ("subscribe", "unsubscribe") and isinstance(body, dict):
            state = "SUBSCRIBED" if rest == "subscribe" else "UNSUBSCRIBED"
            entry = {
                "channel": "EMAIL",
                "subscriberIdString": body.get("emailAddress"),
                "subscriptionId": int(str(body.get("subscriptionId"))),
                "statusState": state,
                "legalBasis": body.get("legalBasis"),
                "legalBasisExplanation": body.get("legalBasisExplanation"),
            }
            [done] = self.hubspot.write_statuses({"inputs": [entry]})["results"]
            return 200, _shown_v3(done)
        if method == "GET" and rest.startswith("status/email/"):
            address = unquote(rest.removeprefix("status/email/"))
            [found] = self.hubspot.statuses_of({"inputs": [address]})["results"]
            statuses = [_shown_v3(status) for status in found["statuses"]]
            return 200, {"recipient": address, "subscriptionStatuses": statuses}
        raise _nowhere()


def _shown_v3(status: Mapping[str, Any]) -> dict[str, Any]:
    known = {"SUBSCRIBED": "SUBSCRIBED", "UNSUBSCRIBED": "NOT_SUBSCRIBED"}
    return {
        "id": str(status["subscriptionId"]),
        "name": "",
        "description": "",
        "status": known.get(status["status"], "NOT_SUBSCRIBED"),
        "sourceOfStatus": "SUBSCRIPTION_STATUS",
        "legalBasis": None,
        "legalBasisExplanation": "",
    }


def _json(request: Request, body: bytes) -> Any:
    if not body:
        return None
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HubspotError("Unsupported media type", status=415)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise HubspotError("Invalid input JSON") from None


def _expired() -> HubspotError:
    return HubspotError(
        "Authentication credentials not found, or expired.",
        status=401,
        category="EXPIRED_AUTHENTICATION",
    )


def _nowhere() -> HubspotError:
    return HubspotError("resource not found", status=404, category="OBJECT_NOT_FOUND")
