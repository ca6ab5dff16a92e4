"""LinkedIn's DMP segments in memory: as strict as its documentation, and gone with the process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

ELEMENTS_MAX = 5_000
OLDEST_VERSION = "202511"
_PATH = re.compile(r"/rest/dmpSegments(?:/([0-9]{1,19})(/users)?)?")
_ACCOUNT = re.compile(r"urn:li:sponsoredAccount:[0-9]{1,19}")
_HEX = {"SHA256_EMAIL": re.compile("[0-9a-f]{64}"), "SHA512_EMAIL": re.compile("[0-9a-f]{128}")}
_ID_TYPES = {**_HEX, "GOOGLE_AID": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")}
_ELEMENT = {"action", "userIds", "firstName", "lastName", "title", "company", "country"}
_SEGMENT = {
    *("name", "account", "accessPolicy", "type", "sourcePlatform", "sourceSegmentId"),
    "destinations",
}
_NEEDED = {"name", "account", "type", "destinations"}


class RestliError(Exception):
    """A refusal in Rest.li's form; `message` never holds a value that was sent."""

    def __init__(self, status: int, code: str, message: str, *, number: int | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.body: dict[str, Any] = {"status": status, "code": code, "message": message}
        if number is not None:
            self.body["serviceErrorCode"] = number


@dataclass(kw_only=True)
class DmpSegment:
    """One segment with the identifiers of its members, per type.

    Args:
        unknown_for: to so many requests with people it is not there yet.
    """

    segment_id: int
    given: Mapping[str, Any]
    status: str = "BUILDING"
    unknown_for: int = 0
    members: dict[str, set[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The size of the largest type."""
        return max(map(len, self.members.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As LinkedIn shows it."""
        told = {"status": self.status, "audienceSize": 0, "matchedCount": 0}
        return {
            **self.given,
            "id": self.segment_id,
            "destinations": [{**entry, **told} for entry in self.given["destinations"]],
        }


class LinkedInVendor:
    """LinkedIn as one of the sandbox's platforms, with every ad account.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.

    Attributes:
        segments: by id.
        new_is_unknown_for: what segments that are made begin with.
        answers: statuses that the next elements are answered with, whatever they are.
    """

    name = "linkedin_ads"

    def __init__(self, *, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.segments: dict[int, DmpSegment] = {}
        self.new_is_unknown_for = 0
        self.answers: list[int] = []
        self._next_id = 10_804

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return _PATH.fullmatch(path) is not None

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            return self._answer(request, body, partial)
        except RestliError as error:
            return as_json(error.body, status=error.status)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        error = {
            "503": RestliError(503, "SERVICE_UNAVAILABLE", "Try later."),
            "429": RestliError(
                429,
                "TOO_MANY_REQUESTS",
                "Resource level throttle APPLICATION_AND_MEMBER MINUTE limit for calls to this "
                "resource is reached.",
                number=101,
            ),
            "401": _unauthorised("EXPIRED_ACCESS_TOKEN", 65602),
            "100": RestliError(400, "ILLEGAL_ARGUMENT", "A parameter is not valid."),
        }[kind]
        return as_json(error.body, status=error.status, headers=headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        text = query.get("audience", "")
        found = self.segments.get(int(text)) if text.isascii() and text.isdigit() else None
        if found is None:
            return None
        fields = {name: sorted(values) for name, values in found.members.items()}
        return {"audience": text, "count": found.count, "fields": fields}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {
                "id": str(x.segment_id),
                "account": x.given["account"],
                "name": x.given["name"],
                "count": x.count,
            }
            for x in self.segments.values()
        ]

    def _answer(self, request: Request, body: bytes, partial: bool) -> Response:
        self._authorise(request.headers)
        path = _PATH.fullmatch(request.url.path)
        assert path is not None
        match request.method, path[1], path[2]:
            case "POST", None, None:
                return self._made(_json(request, body))
            case "GET", None, None:
                return as_json(self._page(dict(request.query_params)))
            case "GET", str(text), None:
                return as_json(self._segment(text).to_dict())
            case "POST", str(text), str():
                if request.headers.get("x-restli-method", "").upper() != "BATCH_CREATE":
                    raise RestliError(400, "ILLEGAL_ARGUMENT", "BATCH_CREATE is expected.")
                return as_json(self._streamed(text, _json(request, body), partial))
            case _:
                raise RestliError(404, "RESOURCE_NOT_FOUND", "No such resource.", number=0)

    def _authorise(self, headers: Mapping[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise _unauthorised("INVALID_ACCESS_TOKEN", 65600)
        if self._tokens is not None and token not in self._tokens:
            raise _unauthorised("EXPIRED_ACCESS_TOKEN", 65602)
        version = headers.get("linkedin-version")
        if version is None:
            raise RestliError(400, "VERSION_MISSING", "A version must be present.")
        if not re.fullmatch("20[0-9]{2}(0[1-9]|1[0-2])", version) or version < OLDEST_VERSION:
            raise RestliError(426, "NONEXISTENT_VERSION", "The version is not active.")
        if headers.get("x-restli-protocol-version") != "2.0.0":
            raise RestliError(400, "ILLEGAL_ARGUMENT", "Protocol 2.0.0 is expected.")

    def _made(self, given: Any) -> Response:
        if not isinstance(given, dict) or set(given) - _SEGMENT or not set(given) >= _NEEDED:
            raise _unprocessable("A member is unknown, or missing.")
        name = given["name"]
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= 200:
            raise _unprocessable("name is not valid.")
        if not _ACCOUNT.fullmatch(str(given["account"])):
            raise _unprocessable("account is not valid.")
        if given["type"] not in ("USER", "COMPANY"):
            raise _unprocessable("type is not valid.")
        if given.get("accessPolicy", "PRIVATE") not in ("PRIVATE", "PUBLIC"):
            raise _unprocessable("accessPolicy is not valid.")
        if given["destinations"] != [{"destination": "LINKEDIN"}]:
            raise _unprocessable("destinations is not valid.")
        made = DmpSegment(
            segment_id=self._next_id, given=given, unknown_for=self.new_is_unknown_for
        )
        self._next_id += 1
        self.segments[made.segment_id] = made
        text = str(made.segment_id)
        headers = {"x-restli-id": text, "x-linkedin-id": text}
        return Response(status_code=201, headers=headers)

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        account = query.get("account", "")
        if query.get("q") != "account" or not _ACCOUNT.fullmatch(account):
            raise RestliError(400, "ILLEGAL_ARGUMENT", "q and account are expected.")
        found = [x.to_dict() for x in self.segments.values() if x.given["account"] == account]
        for name in ("sourcePlatform", "sourceSegmentId"):
            found = [x for x in found if name not in query or x.get(name) == query[name]]
        start, count = int(query.get("start", 0)), int(query.get("count", len(found)))
        paging = {"start": start, "count": count, "total": len(found), "links": []}
        return {"elements": found[start : start + count], "paging": paging}

    def _segment(self, text: str) -> DmpSegment:
        found = self.segments.get(int(text))
        if found is None:
            raise RestliError(404, "NOT_FOUND", "Could not find entity.")
        return found

    def _streamed(self, text: str, given: Any, partial: bool) -> dict[str, Any]:
        found = self._segment(text)
        if found.unknown_for:
            found.unknown_for -= 1
            raise RestliError(404, "NOT_FOUND", "Could not find entity.")
        elements = given.get("elements") if isinstance(given, dict) and len(given) == 1 else None
        if not isinstance(elements, list) or not 1 <= len(elements) <= ELEMENTS_MAX:
            raise RestliError(400, "ILLEGAL_ARGUMENT", f"1 to {ELEMENTS_MAX} elements, please.")
        if found.given["type"] != "USER":
            raise _unprocessable("The segment is not one of users.")
        told = []
        for number, element in enumerate(elements):
            refused = partial and number == 0
            status = self.answers.pop(0) if self.answers else 400 if refused else 201
            if status == 201:
                status = self._take(found, element)
            told.append({"status": status} if status == 201 else _refused(status))
        return {"elements": told}

    @staticmethod
    def _take(found: DmpSegment, element: Any) -> int:
        """Status of one element."""
        if not isinstance(element, dict) or set(element) - _ELEMENT:
            return 400
        ids, action = element.get("userIds", []), element.get("action")
        if action not in ("ADD", "REMOVE") or not isinstance(ids, list):
            return 400
        if not ids and not (element.get("firstName") and element.get("lastName")):
            return 400
        pairs = [_pair(entry) for entry in ids]
        if None in pairs:
            return 400
        for kind, value in filter(None, pairs):
            values = found.members.setdefault(kind, set())
            (values.add if action == "ADD" else values.discard)(value)
        return 201


def _pair(entry: Any) -> tuple[str, str] | None:
    """Type and value of an identifier; None where it is none."""
    if not isinstance(entry, dict) or set(entry) != {"idType", "idValue"}:
        return None
    shape, value = _ID_TYPES.get(str(entry["idType"])), entry["idValue"]
    if shape is None or not isinstance(value, str) or not shape.fullmatch(value):
        return None
    return str(entry["idType"]), value


def _refused(status: int) -> dict[str, Any]:
    names = {400: "ILLEGAL_ARGUMENT", 404: "NOT_FOUND", 429: "TOO_MANY_REQUESTS"}
    error = {"status": status, "message": "The element is not taken."}
    code = {"code": names[status]} if status in names else {}
    return {"status": status, "error": {**error, **code}}


def _unauthorised(code: str, number: int) -> RestliError:
    return RestliError(401, code, "The token is missing, or not valid.", number=number)


def _unprocessable(message: str) -> RestliError:
    return RestliError(422, "INVALID_INPUT", message)


def _json(request: Request, body: bytes) -> Any:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise RestliError(400, "ILLEGAL_ARGUMENT", "The body must be JSON.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RestliError(400, "ILLEGAL_ARGUMENT", "The body is not valid JSON.") from None
