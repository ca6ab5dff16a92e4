"""Snap's Marketing API in memory: ad accounts with segments, and uploads worked off later."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

BODY_BYTES_MAX = 16 * 1024 * 1024
ROWS_MAX = 100_000
NAME_MAX, LIFETIME_DAYS = 375, 9_999
FIRST_ID = 5_600_000_000_000_001
_PATH = re.compile(
    r"/v1/(adaccounts/[A-Za-z0-9-]{1,64}(?:/segments)?|segments/[0-9]{1,20}(?:/users|/all_users)?)"
)
_SCHEMAS = frozenset({"EMAIL_SHA256", "PHONE_SHA256", "MOBILE_AD_ID_SHA256"})
_DIGESTS = re.compile(r"[0-9a-f]{64}(?:\n[0-9a-f]{64})*")
_NEW = {"name", "description", "source_type", "retention_in_days", "ad_account_id"}


class RefusalError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(kw_only=True)
class Segment:
    """One segment; `schema` is the kind of identifier that it took first.

    Attributes:
        uploads: what is not worked off yet.
        polls_left: how often the segment is still said to be processed.
    """

    segment_id: str
    account: str
    name: str
    days: int = LIFETIME_DAYS
    source: str = "FIRST_PARTY"
    schema: str = ""
    upload_status: str = "NO_UPLOAD"
    members: set[str] = field(default_factory=set)
    uploads: list[Callable[[], None]] = field(default_factory=list)
    polls_left: int = 0

    def finish(self) -> None:
        """Work off every upload, in order."""
        for work in self.uploads:
            work()
        self.upload_status = "COMPLETE" if self.uploads else self.upload_status
        self.uploads.clear()

    def to_dict(self) -> dict[str, Any]:
        """As Snap shows it."""
        few = len(self.members) < 1_000
        return {
            "id": self.segment_id,
            "ad_account_id": self.account,
            "name": self.name,
            "description": "",
            "status": "ACTIVE",
            "source_type": self.source,
            "retention_in_days": self.days,
            "upload_status": self.upload_status,
            "targetable_status": "TOO_FEW_USERS" if few else "READY",
            "approximate_number_users": len(self.members),
        }


class SnapVendor:
    """Snap as one of the sandbox's platforms.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.

    Attributes:
        segments: by id.
        polls: how often a segment is said to be processed before its uploads are worked off.
        page_size: most segments of a page.
    """

    name = "snap"

    def __init__(self, *, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith(("/v1/adaccounts/", "/v1/segments/"))

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            self._authorise(request)
            return _success(self._answer(request, body, partial))
        except RefusalError as error:
            return _error(error)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        if kind == "401":
            return Response("unauthorized", status_code=401, media_type="text/plain")
        status = 400 if kind == "100" else int(kind)
        return _error(RefusalError(status, f"E{status}0"), headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        found = self.segments.get(query.get("audience", ""))
        if found is None:
            return None
        fields = {found.schema: sorted(found.members)} if found.members else {}
        return {"audience": found.segment_id, "count": len(found.members), "fields": fields}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": x.segment_id, "account": x.account, "name": x.name, "count": len(x.members)}
            for x in self.segments.values()
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.segments: dict[str, Segment] = {}
        self.polls = 1
        self.page_size = 1_000
        self._next_id = FIRST_ID

    def finish(self) -> None:
        """Work off every upload, whether or not anybody asks."""
        for found in self.segments.values():
            found.finish()

    def make(self, account: str, name: str, **more: Any) -> Segment:
        """A new segment."""
        made = Segment(segment_id=str(self._next_id), account=account, name=name, **more)
        self._next_id += 1
        self.segments[made.segment_id] = made
        return made

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token or not (self._tokens is None or token in self._tokens):
            raise RefusalError(401, "E4010")

    def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        path = _PATH.fullmatch(request.url.path)
        if path is None:
            raise RefusalError(404, "E3003")
        kind, name, *rest = path[1].split("/")
        match request.method, kind, rest:
            case "GET", "adaccounts", []:
                return _entry("adaccounts", "adaccount", {"id": name, "status": "ACTIVE"})
            case "GET", "adaccounts", _:
                return self._page(name, request)
            case "POST", "adaccounts", ["segments"]:
                return self._made(name, _json(body))
            case "GET", "segments", []:
                return _entry("segments", "segment", self._looked_at(name).to_dict())
            case "DELETE", "segments", []:
                found = self._segment(name)
                del self.segments[name]
                return _entry("segments", "segment", found.to_dict())
            case (("POST" | "DELETE"), "segments", ["users"]):
                adds = request.method == "POST"
                return self._users(self._segment(name), _json(body), adds=adds, partial=partial)
            case "DELETE", "segments", ["all_users"]:
                found = self._segment(name)
                self._note(found, found.members.clear)
                return _entry("users", "user", {"number_uploaded_users": 0})
            case _:
                raise RefusalError(405, "E4050")

    def _segment(self, segment_id: str) -> Segment:
        found = self.segments.get(segment_id)
        if found is None:
            raise RefusalError(404, "E3003")
        return found

    def _looked_at(self, segment_id: str) -> Segment:
        """A segment, one question nearer to its end."""
        found = self._segment(segment_id)
        if found.uploads:
            found.polls_left -= 1
            if found.polls_left < 0:
                found.finish()
        return found

    def _page(self, account: str, request: Request) -> dict[str, Any]:
        limit, start = (
            request.query_params.get(n, d) for n, d in (("limit", "50"), ("cursor", "0"))
        )
        if not re.fullmatch("[0-9]{1,9}", start) or not re.fullmatch("[0-9]{1,4}", limit):
            raise RefusalError(400, "E4000")
        if not 50 <= int(limit) <= 1_000:
            raise RefusalError(400, "E4000")
        first, size = int(start), min(int(limit), self.page_size)
        mine = [x for x in self.segments.values() if x.account == account]
        shown = [_success_of("segment", x.to_dict()) for x in mine[first : first + size]]
        if len(mine) <= first + size:
            return {"segments": shown, "paging": {}}
        link = request.url.include_query_params(cursor=first + size)
        return {"segments": shown, "paging": {"next_link": str(link)}}

    def _made(self, account: str, given: Any) -> dict[str, Any]:
        wanted = given.get("segments") if isinstance(given, dict) else None
        fields = wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else None
        if not isinstance(fields, dict) or not set(fields) <= _NEW:
            raise RefusalError(400, "E4000")
        name, days = fields.get("name"), fields.get("retention_in_days", LIFETIME_DAYS)
        is_named = isinstance(name, str) and 1 <= len(name.strip()) <= NAME_MAX
        is_kept = type(days) is int and (1 <= days <= 540 or days == LIFETIME_DAYS)
        ours = fields.get("ad_account_id") == account and fields.get("source_type") == "FIRST_PARTY"
        if not (is_named and is_kept and ours):
            raise RefusalError(400, "E4000")
        return _entry("segments", "segment", self.make(account, str(name), days=days).to_dict())

    def _users(self, segment: Segment, given: Any, *, adds: bool, partial: bool) -> dict[str, Any]:
        schema, digests = _digests(given, segment)
        segment.schema = segment.schema or schema
        taken = digests[1:] if partial else digests

        def work() -> None:
            if adds:
                segment.members.update(taken)
            else:
                segment.members.difference_update(taken)

        self._note(segment, work)
        return _entry("users", "user", {"number_uploaded_users": len(taken)})

    def _note(self, segment: Segment, work: Callable[[], None]) -> None:
        segment.uploads.append(work)
        segment.upload_status = "PROCESSING"
        segment.polls_left = self.polls


def _digests(given: Any, segment: Segment) -> tuple[str, list[str]]:
    """Schema and digests of a request about people, in a segment of their kind."""
    users = given.get("users") if isinstance(given, dict) else None
    user = users[0] if isinstance(users, list) and len(users) == 1 else None
    if not isinstance(user, dict) or not set(user) <= {"id", "schema", "data"}:
        raise RefusalError(400, "E4000")
    schema, rows = user.get("schema"), user.get("data")
    if not isinstance(schema, list) or len(schema) != 1 or schema[0] not in _SCHEMAS:
        raise RefusalError(400, "E4001")
    if segment.source != "FIRST_PARTY" or (segment.schema and segment.schema != schema[0]):
        raise RefusalError(400, "E4002")
    if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS_MAX:
        raise RefusalError(400, "E4003")
    if set(map(type, rows)) != {list} or set(map(len, rows)) != {1}:
        raise RefusalError(400, "E4004")
    cells = [row[0] for row in rows]
    if set(map(type, cells)) != {str} or len(set(cells)) != len(cells):
        raise RefusalError(400, "E4005")
    if not _DIGESTS.fullmatch("\n".join(cells)):
        raise RefusalError(400, "E4006")
    return schema[0], cells


def _json(body: bytes) -> Any:
    if len(body) > BODY_BYTES_MAX:
        raise RefusalError(413, "E4130")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusalError(400, "E4000") from None


def _success_of(one: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"sub_request_status": "SUCCESS", one: inner}


def _entry(many: str, one: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {many: [_success_of(one, inner)]}


def _success(found: dict[str, Any]) -> Response:
    """Small letters or capitals: Snap writes both."""
    status = "success" if "segments" in found else "SUCCESS"
    return as_json({"request_status": status, "request_id": secrets.token_hex(16), **found})


def _error(error: RefusalError, headers: Mapping[str, str] | None = None) -> Response:
    body = {
        "request_status": "ERROR",
        "request_id": secrets.token_hex(16),
        "debug_message": "The request can not be processed",
        "display_message": "We're sorry, but this cannot be done at this time",
        "error_code": error.code,
    }
    return as_json(body, status=error.status, headers=headers)
