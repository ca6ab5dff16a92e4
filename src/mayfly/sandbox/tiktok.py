"""TikTok's Business API in memory: audiences of advertisers, kept member by member."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

ROWS_MAX = 10_000
_BASE = "/open_api/v1.3/"
_FIRST_ID = 7_300_000_000_000_000_001
_CODES = {"503": 50000, "429": 40100, "401": 40105, "100": 40002}
_FORMS = {
    **dict.fromkeys(
        ("EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256"), re.compile("[0-9a-f]{64}")
    ),
    **dict.fromkeys(("IDFA_MD5", "AAID_MD5"), re.compile("[0-9a-f]{32}")),
}


class TiktokError(Exception):
    """A refusal: status 200, and a code in the body."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(kw_only=True)
class Audience:
    """One audience, with digests by the type of identifier."""

    audience_id: str
    advertiser: str
    name: str
    members: dict[str, set[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The size of the largest type."""
        return max(map(len, self.members.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As the list of audiences has it."""
        return {
            "audience_id": self.audience_id,
            "name": self.name,
            "audience_type": "Partner Audience",
            "cover_num": 0,
            "is_valid": True,
            "is_expiring": False,
            "shared": False,
        }


class TiktokVendor:
    """TikTok as one of the sandbox's platforms.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.

    Attributes:
        bad: digests of which one refuses the whole request, though nothing is wrong with them.
    """

    name = "tiktok_ads"

    def __init__(self, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.audiences: dict[str, Audience] = {}
        self.bad: set[str] = set()
        self._next_id = _FIRST_ID

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith(_BASE)

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            require_token(request, self._tokens)
            path = request.url.path.removeprefix(_BASE)
            if request.method == "GET":
                data = self._asked(path, dict(request.query_params))
            else:
                data = self._told(path, json_body(body), partial=partial)
        except TiktokError as error:
            return reply(error.code, error.message, {})
        return reply(0, "OK", data)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`: TikTok's status is 200 then, too."""
        del path
        return refused(kind, headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        found = self.audiences.get(query.get("audience", ""))
        if found is None:
            return None
        fields = {name: sorted(values) for name, values in sorted(found.members.items())}
        return {"audience": found.audience_id, "count": found.count, "fields": fields}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": a.audience_id, "account": a.advertiser, "name": a.name, "count": a.count}
            for a in self.audiences.values()
        ]

    def _asked(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        if path != "dmp/custom_audience/list/":
            raise TiktokError(40400, "This path is not known.")
        advertiser = _text(query, "advertiser_id", "[0-9]{1,32}")
        number, rows = (int(_text({"v": query.get(k, d)}, "v", "[0-9]{1,6}")) for k, d in _PAGE)
        if number < 1 or not 1 <= rows <= 100:
            raise TiktokError(40002, "page_size: must be from 1 to 100.")
        wanted = orjson.loads(query.get("custom_audience_ids") or "[]")
        mine = [
            a
            for a in self.audiences.values()
            if a.advertiser == advertiser and (not wanted or a.audience_id in wanted)
        ]
        return {
            "list": [a.to_dict() for a in mine[(number - 1) * rows : number * rows]],
            "page_info": {
                "page": number,
                "page_size": rows,
                "total_number": len(mine),
                "total_page": -(-len(mine) // rows),
            },
        }

    def _told(self, path: str, given: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
        match path:
            case "segment/audience/":
                return self._segment(given)
            case "segment/mapping/":
                return self._mapping(given, partial=partial)
            case "dmp/custom_audience/delete/":
                ids = given.get("custom_audience_ids")
                if not isinstance(ids, list) or not 1 <= len(ids) <= 100:
                    raise TiktokError(40002, "custom_audience_ids: must hold 1 to 100.")
                for key in ids:
                    del self.audiences[self._audience(key, given.get("advertiser_id")).audience_id]
                return {}
            case _:
                raise TiktokError(40400, "This path is not known.")

    def _segment(self, given: Mapping[str, Any]) -> dict[str, Any]:
        advertiser = _text(given, "advertiser_id", "[0-9]{1,32}")
        if given.get("action") == "delete":
            del self.audiences[self._audience(given.get("audience_id"), advertiser).audience_id]
            return {}
        if given.get("action") != "create":
            raise TiktokError(40002, "action: must be create or delete.")
        made = Audience(
            audience_id=str(self._next_id),
            advertiser=advertiser,
            name=_text(given, "custom_audience_name", r"(?s).{1,128}"),
        )
        self._next_id += 1
        self.audiences[made.audience_id] = made
        return {"audience_id": made.audience_id}

    def _mapping(self, given: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
        """Add or delete the members of a request, all or none."""
        advertisers, action = given.get("advertiser_ids"), given.get("action")
        schema, rows = given.get("id_schema"), given.get("batch_data")
        if not isinstance(advertisers, list) or len(advertisers) != 1:
            raise TiktokError(40002, "advertiser_ids: must hold one.")
        if action not in ("add", "delete"):
            raise TiktokError(40002, "action: must be add or delete.")
        if not isinstance(schema, list) or not schema or not set(schema) <= set(_FORMS):
            raise TiktokError(40002, "id_schema: holds an unknown type.")
        if len(set(schema)) != len(schema):
            raise TiktokError(40002, "id_schema: holds a type twice.")
        if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS_MAX:
            raise TiktokError(40061, f"batch_data: must hold 1 to {ROWS_MAX} rows.")
        told = [cell for row in rows for cell in self._cells(row, schema, advertisers[0])]
        if partial:
            self.bad.add(told[0][2])
        if any(digest in self.bad for _, _, digest in told):
            raise TiktokError(40002, "batch_data: an id is invalid.")
        for audience, kind, digest in told:
            held = audience.members.setdefault(kind, set())
            (held.add if action == "add" else held.discard)(digest)
        return {}

    def _cells(
        self, row: Any, schema: list[str], advertiser: Any
    ) -> list[tuple[Audience, str, str]]:
        if not isinstance(row, list) or len(row) != len(schema):
            raise TiktokError(40002, "batch_data: a row has another length than id_schema.")
        found = []
        for kind, cell in zip(schema, row, strict=True):
            if cell == {}:
                continue
            if not isinstance(cell, dict) or set(cell) != {"id", "audience_ids"}:
                raise TiktokError(40002, "batch_data: an object needs id and audience_ids.")
            if not isinstance(cell["id"], str) or not _FORMS[kind].fullmatch(cell["id"]):
                raise TiktokError(40062, "batch_data: an id is not hashed as its type says.")
            if not isinstance(cell["audience_ids"], list) or not cell["audience_ids"]:
                raise TiktokError(40002, "batch_data: audience_ids must hold one.")
            for key in cell["audience_ids"]:
                found.append((self._audience(key, advertiser), kind, cell["id"]))
        if not found:
            raise TiktokError(40002, "batch_data: a row has no id.")
        return found

    def _audience(self, key: Any, advertiser: Any) -> Audience:
        found = self.audiences.get(key) if isinstance(key, str) else None
        if found is None or found.advertiser != advertiser:
            raise TiktokError(40007, "The audience does not exist.")
        return found


_PAGE = (("page", "1"), ("page_size", "10"))


def _text(given: Mapping[str, Any], name: str, form: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise TiktokError(40002, f"{name}: is missing or has another form.")
    return value


def require_token(request: Request, tokens: frozenset[str] | None) -> None:
    """Raise TiktokError 40105 without a token that works."""
    token = request.headers.get("access-token", "")
    if not token or (tokens is not None and token not in tokens):
        raise TiktokError(40105, "Access token is incorrect or has been revoked.")


def json_body(body: bytes) -> Mapping[str, Any]:
    """A request's JSON object. Raises TiktokError 40002 where it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise TiktokError(40002, "The body must be a JSON object.")
    return value


def refused(kind: str, headers: Mapping[str, str]) -> Response:
    """How TikTok says 503, 429, 401 and 400: with status 200."""
    return reply(_CODES[kind], "refused", {}, headers)


def reply(
    code: int, message: str, data: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in TikTok's envelope."""
    told = {"code": code, "message": message, "request_id": "20261129sandbox", "data": dict(data)}
    return as_json(told, headers=headers)
