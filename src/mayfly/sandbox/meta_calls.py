"""Meta's own paths of the Graph API: how calls are read, routed and answered."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.meta import Meta, shown
from mayfly.sandbox.meta_events import Datasets
from mayfly.sandbox.meta_rows import GraphError
from mayfly.sandbox.vendor import as_json

URL_BYTES_MAX = 8_192
BODY_BYTES_MAX = 64 * 1024 * 1024
_PATH = re.compile(r"/v2[0-9]\.0/(act_[0-9]{1,32}|[0-9]{1,32})(?:/([a-z]{1,32}))?/?")


class MetaVendor:
    """Meta as one of the sandbox's platforms.

    Args:
        meta: the ad accounts behind it.
    """

    name = "meta_ads"

    def __init__(self, meta: Meta) -> None:
        self.meta = meta

    def takes(self, path: str) -> bool:
        """Every path: who asks for an unknown one is answered as Meta answers."""
        del path
        return True

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        path = request.url.path
        try:
            return as_json(await self._answer(request, body, partial), headers=_usage(path))
        except GraphError as error:
            return _refusal(error, _usage(path))

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        return _refused(kind, path, headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        try:
            return self.meta.members(query.get("audience", ""))
        except GraphError:
            return None

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        found = self.meta.audiences.values()
        return [
            {"id": a.audience_id, "account": a.account, "name": a.name, "count": a.count}
            for a in found
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.meta.reset()

    async def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        given = await authorised(request, body, self.meta)
        match = _PATH.fullmatch(request.url.path)
        if match is None:
            raise GraphError(2500, "Unknown path components.", status=400)
        method = _method(request, given)
        return self._routed(method, match[1], match[2] or "", given, request, partial)

    def _routed(
        self,
        method: str,
        node: str,
        edge: str,
        given: dict[str, Any],
        request: Request,
        partial: bool,
    ) -> dict[str, Any]:
        meta = self.meta
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        account = node.startswith("act_")
        match method, edge:
            case "GET", "" if account:
                fields = {"id": node, "account_id": node[4:], "name": "Sandbox"}
                return shown(fields | {"account_status": 1, "currency": "EUR"}, texts)
            case "GET", "customaudiences" if account:
                link = str(request.url.replace(query=""))
                return meta.listing(node[4:], texts, link)
            case "POST", "customaudiences" if account:
                return meta.create(node[4:], given)
            case "GET", "" if not account:
                return shown(meta.audience(node).to_dict(), texts)
            case "DELETE", "" if not account:
                del meta.audiences[meta.audience(node).audience_id]
                return {"success": True}
            case "GET", "sessions" if not account:
                asked = texts.get("session_id")
                sessions = [s.to_dict() for s in meta.audience(node).sessions.values()]
                return {"data": [s for s in sessions if asked in (None, s["session_id"])]}
            case "POST", "users" if not account:
                return meta.users(node, "add", given, refuse_first=partial)
            case "DELETE", "users" if not account:
                return meta.users(node, "remove", given, refuse_first=partial)
            case "POST", "usersreplace" if not account:
                return meta.users(node, "replace", given, refuse_first=partial)
            case _:
                raise GraphError(100, f"Unsupported {method.lower()} request.")


class MetaEventsVendor:
    """Meta's datasets as one of the sandbox's platforms: the Conversions API.

    Args:
        meta: who knows tokens.
        datasets: with their events.
    """

    name = "meta_conversions"

    def __init__(self, meta: Meta, datasets: Datasets) -> None:
        self.meta = meta
        self.datasets = datasets

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        match = _PATH.fullmatch(path)
        return match is not None and match[2] == "events" and not match[1].startswith("act_")

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        match = _PATH.fullmatch(request.url.path)
        try:
            given = await authorised(request, body, self.meta)
            if match is None or request.method != "POST":
                raise GraphError(100, f"Unsupported {request.method.lower()} request.")
            return as_json(self.datasets.receive(match[1], given, refuse_first=partial))
        except GraphError as error:
            return _refusal(error, {})

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        return _refused(kind, path, headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: events of a dataset, in the order they came."""
        found = self.datasets.events.get(query.get("audience", ""))
        return None if found is None else list(found.values())

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [{"id": k, "count": len(v)} for k, v in self.datasets.events.items()]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.datasets.reset()


async def authorised(request: Request, body: bytes, meta: Meta) -> dict[str, Any]:
    """A call's parameters, once its size and its token are known to be right.

    Raises:
        GraphError: they are not.
    """
    query = dict(request.query_params)
    if len(request.url.query) > URL_BYTES_MAX:
        raise GraphError(1, "Please reduce the amount of data in the URL.", status=414)
    if len(body) > BODY_BYTES_MAX:
        raise GraphError(1, "Please reduce the amount of data.", status=413)
    given = query | await _parameters(request, body)
    meta.authorise(_token(request, given), given.get("appsecret_proof"))
    return given


async def _parameters(request: Request, body: bytes) -> dict[str, Any]:
    """The body's parameters; JSON text within a form or a query is decoded."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    given: dict[str, Any]
    if kind == "multipart/form-data":
        form = await request.form()
        given = {name: value for name, value in form.items() if isinstance(value, str)}
    elif kind == "application/x-www-form-urlencoded":
        given = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    elif body:
        given = _object(body, "body")
    else:
        given = {}
    for name in ("payload", "session"):
        value = given.get(name, request.query_params.get(name))
        if isinstance(value, str):
            given[name] = _object(value, name)
    return given


def _object(text: str | bytes, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise GraphError(100, f"(#100) Param {name} must be JSON.") from None
    if not isinstance(value, dict):
        raise GraphError(100, f"(#100) Param {name} must be a JSON object.")
    return value


def _token(request: Request, given: Mapping[str, Any]) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "oauth") and token:
        return token.strip()
    found = given.get("access_token")
    return found if isinstance(found, str) else None


def _method(request: Request, given: Mapping[str, Any]) -> str:
    asked = str(given.get("method", "")).upper()
    return asked if request.method == "POST" and asked in ("GET", "DELETE") else request.method


def _usage(path: str, *, minutes: int = 0) -> dict[str, str]:
    use = {
        "type": "custom_audience",
        "call_count": 100 if minutes else 1,
        "total_cputime": 1,
        "total_time": 1,
        "estimated_time_to_regain_access": minutes,
    }
    found = re.search(r"[0-9]{6,}", path)
    business = found.group() if found else "0"
    return {"x-business-use-case-usage": orjson.dumps({business: [use]}).decode()}


def _refused(kind: str, path: str, headers: Mapping[str, str]) -> Response:
    """See `Vendor.refused`."""
    match kind:
        case "503":
            error = GraphError(2, "Service temporarily unavailable", status=503)
        case "429":
            error = GraphError(80003, "(#80003) There have been too many calls.", status=429)
            return _refusal(error, {**headers, **_usage(path, minutes=1)})
        case "401":
            error = GraphError(190, "The access token expired.", status=401)
        case _:
            error = GraphError(100, "(#100) Invalid parameter", status=400)
    return _refusal(error, headers)


def _refusal(error: GraphError, headers: Mapping[str, str]) -> Response:
    body: dict[str, Any] = {
        "message": error.message,
        "type": "OAuthException",
        "code": error.code,
        "is_transient": error.code in (1, 2, 80003),
        "fbtrace_id": f"A{secrets.token_hex(10)}",
    }
    if error.subcode is not None:
        body["error_subcode"] = error.subcode
    return as_json({"error": body}, status=error.status, headers=headers)
