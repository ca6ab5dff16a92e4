"""The sandbox's routes: Meta's own paths, and `/_sandbox` to steer and look."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mayfly.sandbox.faults import Fault, Faults
from mayfly.sandbox.meta import Meta, shown
from mayfly.sandbox.meta_rows import GraphError
from mayfly.sandbox.recording import Recorder

URL_BYTES_MAX = 8_192
BODY_BYTES_MAX = 64 * 1024 * 1024
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_PATH = re.compile(r"/v2[0-9]\.0/(act_[0-9]{1,32}|[0-9]{1,32})(?:/([a-z]{1,32}))?/?")
_ABORT = "mayfly.transport"


class SandboxApp:
    """An ASGI application; all state is in memory and ends with it.

    Args:
        app_secret: where given, Meta's calls must carry `appsecret_proof`.
        tokens: the access tokens that work; None takes any that is not empty.
        record_bodies: whether `/_sandbox/requests` keeps bodies.
    """

    def __init__(
        self,
        *,
        app_secret: str | None = None,
        tokens: frozenset[str] | None = None,
        record_bodies: bool = True,
    ) -> None:
        self.meta = Meta(app_secret=app_secret, tokens=tokens)
        self.faults = Faults()
        self.recorder = Recorder(record_bodies=record_bodies)
        self._routes: ASGIApp = Starlette(
            routes=[
                Route("/_sandbox/members", self._members),
                Route("/_sandbox/requests", self._requests),
                Route("/_sandbox/audiences", self._audiences),
                Route("/_sandbox/faults", self._plan_fault, methods=["POST"]),
                Route("/_sandbox/faults", self._call_off, methods=["DELETE"]),
                Route("/_sandbox/reset", self._reset, methods=["POST"]),
                Route("/{path:path}", self._vendor, methods=_METHODS),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        # A reset must cut the connection itself; only the server's own sender knows it.
        scope[_ABORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._routes(scope, receive, send)

    async def _members(self, request: Request) -> Response:
        try:
            return _json(self.meta.members(request.query_params.get("audience", "")))
        except GraphError:
            return _json({"error": "unknown audience"}, status=404)

    async def _requests(self, request: Request) -> Response:
        del request
        return _json(self.recorder.requests())

    async def _audiences(self, request: Request) -> Response:
        del request
        found = self.meta.audiences.values()
        return _json(
            [
                {"id": a.audience_id, "account": a.account, "name": a.name, "count": a.count}
                for a in found
            ]
        )

    async def _plan_fault(self, request: Request) -> Response:
        try:
            wrong = self.faults.add(orjson.loads(await request.body()))
        except orjson.JSONDecodeError:
            wrong = "body"
        return _json({"error": f"wrong {wrong}"}, status=400) if wrong else _json({"planned": 1})

    async def _call_off(self, request: Request) -> Response:
        del request
        self.faults.planned.clear()
        return _json({"planned": 0})

    async def _reset(self, request: Request) -> Response:
        del request
        self.meta.reset()
        self.faults.planned.clear()
        self.recorder.clear()
        return _json({"reset": True})

    async def _vendor(self, request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        self.recorder.add(request.method, path, request.url.query, dict(request.headers), body)
        fault = self.faults.take(path)
        if fault is not None and (answer := await _played(fault, request)) is not None:
            return answer
        partial = fault is not None and fault.kind == "partial_failure"
        try:
            reply = _json(await self._answer(request, body, partial), headers=_usage(path))
        except GraphError as error:
            reply = _refusal(error, _usage(path))
        if fault is not None and fault.kind == "accept_then_hang":
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return reply

    async def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        query = dict(request.query_params)
        if len(request.url.query) > URL_BYTES_MAX:
            raise GraphError(1, "Please reduce the amount of data in the URL.", status=414)
        if len(body) > BODY_BYTES_MAX:
            raise GraphError(1, "Please reduce the amount of data.", status=413)
        given = query | await _parameters(request, body)
        self.meta.authorise(_token(request, given), given.get("appsecret_proof"))
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


async def _played(fault: Fault, request: Request) -> Response | None:
    """The fault's answer, or None where the request is served first."""
    wait = fault.retry_after_seconds
    headers = {} if wait is None else {"retry-after": str(wait)}
    match fault.kind:
        case "503":
            return _refusal(GraphError(2, "Service temporarily unavailable", status=503), headers)
        case "429":
            error = GraphError(80003, "(#80003) There have been too many calls.", status=429)
            return _refusal(error, headers | _usage(request.url.path, minutes=1))
        case "401":
            return _refusal(GraphError(190, "The access token expired.", status=401), headers)
        case "100":
            return _refusal(GraphError(100, "(#100) Invalid parameter", status=400), headers)
        case "garbage":
            return Response(b"<html>\x00\xff not what was asked for", media_type="text/html")
        case "redirect":
            return Response(status_code=302, headers={"location": "https://elsewhere.example/"})
        case "reset":
            return await _cut(request)
        case _:
            return None


async def _cut(request: Request) -> Response:
    """Cut the connection before any answer."""
    transport = request.scope[_ABORT]
    if transport is not None:
        transport.abort()
        while not await request.is_disconnected():
            await asyncio.sleep(0)
    return Response(status_code=500)


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
    return _json({"error": body}, status=error.status, headers=headers)


def _json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )
