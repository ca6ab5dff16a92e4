"""TikTok's Events API in memory: it takes all events of a request, or none."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.tiktok import TiktokError, json_body, refused, reply, require_token

EVENTS_MAX = 1_000
PATH = "/open_api/v1.3/event/track/"
_AHEAD_SECONDS = 600
_DIGEST = re.compile("[0-9a-f]{64}")
_HEAD = {"event_source", "event_source_id", "data", "test_event_code", "partner_name"}
_EVENT = {
    *("event", "event_time", "event_id", "user", "properties", "page", "app", "ad", "lead"),
    "limited_data_use",
}
_HASHED = ("email", "phone", "external_id")
_CLEAR = ("ip", "user_agent", "ttclid", "ttp", "locale", "lead_id")


class TiktokEventsVendor:
    """TikTok's pixels and event sets as one of the sandbox's platforms.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.
        now: seconds since 1970.

    Attributes:
        events: by event source; one of the same name and id is taken once.
        tests: events that came with a `test_event_code`.
        bad: name and id of events that are refused though nothing is wrong with them.
    """

    name = "tiktok_events"

    def __init__(
        self, tokens: frozenset[str] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._now = now
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.events: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self.tests: dict[str, list[dict[str, Any]]] = {}
        self.bad: set[tuple[str, str]] = set()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path == PATH

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            require_token(request, self._tokens)
            self._take(json_body(body), partial=partial)
        except TiktokError as error:
            return reply(error.code, error.message, {})
        return reply(0, "OK", {})

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        return refused(kind, headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: events of an event source, in the order they came."""
        found = self.events.get(query.get("audience", ""))
        return None if found is None else list(found.values())

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [{"id": k, "count": len(v)} for k, v in self.events.items()]

    def _take(self, given: Mapping[str, Any], *, partial: bool) -> None:
        source, data = given.get("event_source_id"), given.get("data")
        if set(given) - _HEAD or given.get("event_source") not in ("web", "offline", "crm", "app"):
            raise _wrong("event_source")
        if not isinstance(source, str) or not source:
            raise _wrong("event_source_id")
        if not isinstance(data, list) or not data:
            raise _wrong("data")
        if len(data) > EVENTS_MAX:
            raise TiktokError(40061, "data: holds too many events.")
        for event in data:
            _check(event, self._now())
        names = [(event["event"], str(event.get("event_id"))) for event in data]
        self.bad.update(names[:1] if partial else ())
        if not self.bad.isdisjoint(names):
            raise _wrong("an event")
        if given.get("test_event_code"):
            self.tests.setdefault(source, []).extend(data)
            return
        kept = self.events.setdefault(source, {})
        for name, event in zip(names, data, strict=True):
            kept.setdefault(name if "event_id" in event else (name[0], f"{len(kept)}"), event)


def _check(event: Any, now: float) -> None:
    if not isinstance(event, dict) or set(event) - _EVENT:
        raise _wrong("an event has unknown members")
    if not isinstance(event.get("event"), str) or not event["event"].strip():
        raise _wrong("event")
    moment = event.get("event_time")
    if type(moment) is not int or not 10**9 <= moment <= now + _AHEAD_SECONDS:
        raise _wrong("event_time")
    if not isinstance(event.get("event_id", ""), str):
        raise _wrong("event_id")
    if not isinstance(event.get("limited_data_use", False), bool):
        raise _wrong("limited_data_use")
    _check_user(event.get("user"))
    properties, page = event.get("properties", {}), event.get("page", {})
    if not isinstance(properties, dict) or type(properties.get("value", 0)) not in (int, float):
        raise _wrong("properties")
    if not isinstance(page, dict) or not isinstance(page.get("url", ""), str):
        raise _wrong("page")


def _check_user(user: Any) -> None:
    if not isinstance(user, dict) or not user or set(user) - {*_HASHED, *_CLEAR}:
        raise _wrong("user")
    for name, value in user.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(v, str) and v for v in values):
            raise _wrong(name)
        digests = [bool(_DIGEST.fullmatch(v)) for v in values]
        if name in _HASHED and not all(digests):
            raise TiktokError(40062, f"{name}: is not hashed.")
        if name in _CLEAR and any(digests):
            raise _wrong(name)


def _wrong(what: str) -> TiktokError:
    return TiktokError(40002, f"{what}: is missing or has another form.")
