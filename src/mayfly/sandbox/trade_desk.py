"""The Trade Desk's Data API in memory, with the operator that maps identities for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.trade_desk_rows import LineError, digest_of, identifier, memberships
from mayfly.sandbox.uid2_operator import Uid2Operator
from mayfly.sandbox.vendor import as_json

BODY_BYTES_MAX = 2_500_000
_ID_MAX = 64
_PATHS = ("/data/", "/v3/identity/")
_UPLOAD, _DELETION = "/data/advertiser", "/data/deletion-optout/advertiser"
_OWNER = {"AdvertiserId", "DataProviderId", "Items", "DataLoadTraceId"}
_MEMBERS = {_UPLOAD: _OWNER | {"DataOrigins"}, _DELETION: _OWNER | {"RequestType"}}


class _RefusalError(Exception):
    """An answer other than 200; 400 comes as JSON, the others as plain text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class TradeDeskVendor:
    """The Trade Desk as one of the sandbox's platforms.

    Args:
        tokens: the tokens that work; None takes any that is not empty.
        now: seconds since 1970.

    Attributes:
        body_bytes_max: a larger body is refused with 413.
        operator: of UID2 and EUID.
    """

    name = "the_trade_desk"

    def __init__(
        self, *, tokens: frozenset[str] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._now = now
        self.operator = Uid2Operator(now=now)
        self.reset()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith(_PATHS)

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        if not request.url.path.startswith("/data/"):
            return self.operator.answer(request, body, partial=partial)
        try:
            lines = self._answer(request, body, partial)
        except _RefusalError as error:
            if error.status == 400:
                told = {"FailedLines": [{"ErrorCode": "Unknown", "Message": error.message}]}
                return as_json(told, status=400)
            return Response(error.message, status_code=error.status, media_type="text/plain")
        return as_json({"FailedLines": lines} if lines else {})

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        if not path.startswith("/data/"):
            return self.operator.refused(kind, headers)
        if kind in ("429", "100"):
            return as_json({}, status=429 if kind == "429" else 400, headers=headers)
        text = {"503": "Handler disabled", "401": "Invalid token"}[kind]
        return Response(text, status_code=int(kind), headers=dict(headers), media_type="text/plain")

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`; `audience` is the advertiser and the name, with a slash."""
        advertiser, _, name = query.get("audience", "").partition("/")
        segment = self.segments.get((advertiser, name))
        if segment is None:
            return None
        now, fields = self._now(), dict[str, list[str]]()
        for (key, value), until in sorted(segment.items()):
            if until > now:
                fields.setdefault(key, []).append(value)
        count = sum(map(len, fields.values()))
        return {"audience": f"{advertiser}/{name}", "count": count, "fields": fields}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        now = self._now()
        return [
            {
                "id": f"{advertiser}/{name}",
                "account": advertiser,
                "name": name,
                "count": sum(until > now for until in segment.values()),
            }
            for (advertiser, name), segment in self.segments.items()
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.segments: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
        self.deleted: list[tuple[str, str]] = []
        self.body_bytes_max = BODY_BYTES_MAX
        self.operator.reset()

    def _answer(self, request: Request, body: bytes, partial: bool) -> list[dict[str, Any]]:
        token = request.headers.get("ttd-auth", "")
        if not token or (self._tokens is not None and token not in self._tokens):
            raise _RefusalError(401, "The token is missing or not valid.")
        path = request.url.path
        if path not in _MEMBERS:
            raise _RefusalError(403, "Not configured to send data on the requested resource.")
        if request.method != "POST":
            raise _RefusalError(404, "There is no such endpoint.")
        if len(body) > self.body_bytes_max:
            raise _RefusalError(413, "Request size exceeds the allowed limit.")
        given = self._given(request, body, path)
        failed = []
        for number, item in enumerate(given["Items"], 1):
            try:
                if partial and number == 1:
                    raise LineError("Unknown", "The item was not taken")
                self._take(path, given["AdvertiserId"], item)
            except LineError as error:
                failed.append(_line(number, error))
        return failed

    @staticmethod
    def _given(request: Request, body: bytes, path: str) -> dict[str, Any]:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise _RefusalError(400, "The body must be JSON.")
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _RefusalError(400, "The body is not valid JSON.") from None
        if not isinstance(given, dict) or not set(given) <= _MEMBERS[path]:
            raise _RefusalError(400, "The request has an unknown member.")
        advertiser = given.get("AdvertiserId")
        if not isinstance(advertiser, str) or not advertiser.isalnum() or len(advertiser) > _ID_MAX:
            raise _RefusalError(400, "The advertiser is not configured.")
        if path == _DELETION and given.get("RequestType") not in ("Deletion", "OptOut"):
            raise _RefusalError(400, "RequestType must be Deletion or OptOut.")
        if not isinstance(given.get("Items"), list) or not given["Items"]:
            raise _RefusalError(400, "Items are missing.")
        return given

    def _take(self, path: str, advertiser: str, item: Any) -> None:
        if path == _DELETION:
            try:
                who = identifier(item, rejects=self._rejects)
            except LineError as error:
                code = "InvalidUserId" if error.code == "MissingUserId" else error.code
                raise LineError(code, error.message) from None
            self._delete(advertiser, who)
            return
        who = identifier(item, rejects=self._rejects)
        for found in memberships(item):
            segment = self.segments.setdefault((advertiser, found.name), {})
            if found.minutes:
                segment[who] = self._now() + found.minutes * 60
            else:
                segment.pop(who, None)

    def _delete(self, advertiser: str, who: tuple[str, str]) -> None:
        self.deleted.append(who)
        for (owner, _), segment in self.segments.items():
            if owner == advertiser:
                segment.pop(who, None)

    def _rejects(self, key: str, value: str) -> bool:
        """Whether a value is a digest that should have been mapped, or is of the other scope."""
        if key not in ("UID2", "EUID"):
            return False
        scope = self.operator.issued.get(value)
        return digest_of(value) in self.operator.asked or scope not in (None, key.lower())


def _line(number: int, error: LineError) -> dict[str, Any]:
    line: dict[str, Any] = {
        "ItemNumber": str(number),
        "ErrorCode": error.code,
        "Message": f"{error.message}, item #{number}",
    }
    return line if error.data is None else line | {"DataNumber": str(error.data)}
