"""The sandbox's routes: the platforms' own paths, and `/_sandbox` to steer and look."""

from __future__ import annotations

import asyncio

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mayfly.sandbox.braze import BrazeVendor
from mayfly.sandbox.faults import Fault, Faults
from mayfly.sandbox.gcs import GcsVendor
from mayfly.sandbox.google_calls import GoogleVendor
from mayfly.sandbox.google_lists import Google
from mayfly.sandbox.hubspot import Hubspot
from mayfly.sandbox.hubspot_calls import HubspotVendor
from mayfly.sandbox.intercom import IntercomVendor
from mayfly.sandbox.linkedin import LinkedInVendor
from mayfly.sandbox.meta import Meta
from mayfly.sandbox.meta_calls import MetaEventsVendor, MetaVendor
from mayfly.sandbox.meta_events import Datasets
from mayfly.sandbox.microsoft import MicrosoftVendor
from mayfly.sandbox.pinterest import PinterestVendor
from mayfly.sandbox.recording import Recorder
from mayfly.sandbox.salesforce import Salesforce
from mayfly.sandbox.salesforce_calls import SalesforceVendor
from mayfly.sandbox.snap import SnapVendor
from mayfly.sandbox.tiktok import TiktokVendor
from mayfly.sandbox.tiktok_events import TiktokEventsVendor
from mayfly.sandbox.trade_desk import TradeDeskVendor
from mayfly.sandbox.vendor import Vendor, as_json
from mayfly.sandbox.webhook import WebhookReceiver
from mayfly.sandbox.zendesk import ZendeskVendor

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
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
        self.google = Google()
        self.google_vendor = GoogleVendor(self.google, tokens=tokens)
        self.meta = Meta(app_secret=app_secret, tokens=tokens)
        self.datasets = Datasets()
        self.tiktok = TiktokVendor(tokens)
        self.tiktok_events = TiktokEventsVendor(tokens)
        self.trade_desk = TradeDeskVendor(tokens=tokens)
        self.snap = SnapVendor(tokens=tokens)
        self.pinterest = PinterestVendor(tokens=tokens)
        # Who comes first is asked first; Meta takes what nobody else does.
        self.hubspot = Hubspot()
        self.linkedin = LinkedInVendor(tokens=tokens)
        self.microsoft = MicrosoftVendor(tokens=tokens)
        self.braze = BrazeVendor(tokens=tokens)
        self.salesforce = Salesforce()
        self.salesforce_vendor = SalesforceVendor(self.salesforce, tokens)
        self.webhook = WebhookReceiver()
        self.gcs = GcsVendor(tokens=tokens)
        self.zendesk = ZendeskVendor(tokens=tokens)
        self.intercom = IntercomVendor(tokens=tokens)
        self.vendors: tuple[Vendor, ...] = (
            self.google_vendor,
            HubspotVendor(self.hubspot, tokens),
            self.salesforce_vendor,
            self.braze,
            self.webhook,
            self.gcs,
            self.zendesk,
            self.intercom,
            self.trade_desk,
            self.linkedin,
            self.microsoft,
            self.snap,
            self.pinterest,
            self.tiktok_events,
            self.tiktok,
            MetaEventsVendor(self.meta, self.datasets),
            MetaVendor(self.meta),
        )
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
        vendor = self._named(request)
        found = None if vendor is None else vendor.members(request.query_params)
        if found is None:
            return as_json({"error": "unknown audience"}, status=404)
        return as_json(found)

    async def _requests(self, request: Request) -> Response:
        del request
        return as_json(self.recorder.requests())

    async def _audiences(self, request: Request) -> Response:
        vendor = self._named(request)
        return as_json([] if vendor is None else vendor.lists())

    def _named(self, request: Request) -> Vendor | None:
        """The platform that a query names; Meta by default."""
        name = request.query_params.get("vendor", MetaVendor.name)
        return next((v for v in self.vendors if v.name == name), None)

    async def _plan_fault(self, request: Request) -> Response:
        try:
            wrong = self.faults.add(orjson.loads(await request.body()))
        except orjson.JSONDecodeError:
            wrong = "body"
        return (
            as_json({"error": f"wrong {wrong}"}, status=400) if wrong else as_json({"planned": 1})
        )

    async def _call_off(self, request: Request) -> Response:
        del request
        self.faults.planned.clear()
        return as_json({"planned": 0})

    async def _reset(self, request: Request) -> Response:
        del request
        for vendor in self.vendors:
            vendor.reset()
        self.faults.planned.clear()
        self.recorder.clear()
        return as_json({"reset": True})

    async def _vendor(self, request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        self.recorder.add(request.method, path, request.url.query, dict(request.headers), body)
        vendor = next(v for v in self.vendors if v.takes(path))
        fault = self.faults.take(path)
        if fault is not None and (played := await _played(fault, request, vendor)) is not None:
            return played
        partial = fault is not None and fault.kind == "partial_failure"
        reply = await vendor.answer(request, body, partial=partial)
        if fault is not None and fault.kind == "accept_then_hang":
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return reply


async def _played(fault: Fault, request: Request, vendor: Vendor) -> Response | None:
    """The fault's answer, or None where the request is served first."""
    wait = fault.retry_after_seconds
    headers = {} if wait is None else {"retry-after": str(wait)}
    match fault.kind:
        case "503" | "429" | "401" | "100":
            return vendor.refused(fault.kind, request.url.path, headers)
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
