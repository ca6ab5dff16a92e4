"""Intercom's contacts, tags and subscriptions, as strict as its own specification, in memory."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

APP_ID = "ab12cd34"
VERSIONS = frozenset(f"2.{n}" for n in range(7, 17))
_FIELDS = {
    *("role", "external_id", "email", "phone", "name", "avatar", "signed_up_at", "last_seen_at"),
    *("owner_id", "unsubscribed_from_emails", "custom_attributes", "email_verified"),
}
_STARTS = ("/contacts", "/me", "/data_attributes", "/tags", "/subscription_types")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "float": (int, float),
    "boolean": bool,
    "date": int,
}
_CODES = {401: "unauthorized", 404: "not_found", 409: "conflict", 410: "contact_merged"}
_CODES |= {429: "rate_limit_exceeded", 503: "service_unavailable"}


class _WrongError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", field: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.body = {
            "code": code or _CODES.get(status, "parameter_invalid"),
            "message": message or "marked-7f3a",
            **({"field": field} if field else {}),
        }


@dataclass(kw_only=True)
class IntercomVendor:
    """See `Vendor`.

    Attributes:
        tokens: that work; None takes any.
        region: of the workspace.
        attributes: its own ones of contacts, with their types.
        contacts: by id, archived ones too.
        subscriptions: its types: id to `opt_in` or `opt_out`.
        tags: names by their ids.
        unseen: ids that no search sees yet.
        merged: ids of contacts that are gone into others.
    """

    tokens: frozenset[str] | None = None
    name: str = "intercom"

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.region = "US"
        self.attributes = {"plan": "string", "vip": "boolean", "since": "date", "spend": "float"}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.subscriptions = {"91": "opt_in", "92": "opt_out"}
        self.tags: dict[str, str] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self.unseen: set[str] = set()
        self.merged: set[str] = set()
        self.searches_delayed = False

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return any(path == start or path.startswith(f"{start}/") for start in _STARTS)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        return _error(_WrongError(400 if kind == "100" else int(kind)), headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: contacts that have the tag of a name; all without one."""
        tag = query.get("audience", "")
        return [
            c
            for c in self.contacts.values()
            if not c["archived"] and (not tag or tag in [self.tags[t] for t in c["tags"]])
        ]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": record, "name": name, "count": len(self.members({"audience": name}))}
            for record, name in self.tags.items()
        ]

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or not token or (self.tokens and token not in self.tokens):
                raise _WrongError(401)
            # Without one the app's own version holds.
            if request.headers.get("intercom-version", "2.16") not in VERSIONS:
                raise _WrongError(400, "intercom_version_invalid")
            if partial:
                raise _WrongError(400, "parameter_invalid", "marked-7f3a", "email")
            return as_json(self._routed(request, _read(body)))
        except _WrongError as wrong:
            return _error(wrong)

    def _routed(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        parts = request.url.path.strip("/").split("/")
        calls: dict[tuple[str, ...], Callable[[], dict[str, Any]]] = {
            ("GET", "me"): self._me,
            ("GET", "data_attributes"): lambda: self._listed_attributes(request),
            ("GET", "subscription_types"): lambda: _list(
                [self._subscription(s) for s in self.subscriptions]
            ),
            ("GET", "tags"): lambda: _list([self._tag(t) for t in self.tags]),
            ("POST", "tags"): lambda: self._make_tag(body),
            ("POST", "contacts"): lambda: self._make(body),
            ("POST", "contacts", "search"): lambda: self._search(body),
        }
        call = calls.get((request.method, *parts))
        if call is not None:
            return call()
        if parts[0] == "contacts" and len(parts) >= 2:
            return self._of_one(request.method, parts[1], parts[2:], body)
        raise _WrongError(404)

    def _of_one(
        self, method: str, record: str, rest: list[str], body: dict[str, Any]
    ) -> dict[str, Any]:
        if record in self.merged:
            raise _WrongError(410)
        one = self.contacts.get(record)
        if one is None:
            raise _WrongError(404)
        match (method, *rest):
            case ("GET",):
                return _shown(one)
            case ("PUT",):
                return self._write(one, body)
            case ("DELETE",):
                del self.contacts[record]
                return {"type": "contact", "id": record, "deleted": True}
            case ("POST", "archive" | "unarchive" as verb):
                one["archived"] = verb == "archive"
                return {"type": "contact", "id": record, "archived": one["archived"]}
            case ("POST", "tags"):
                return self._attach(one["tags"], str(body.get("id")), self.tags, self._tag)
            case ("DELETE", "tags", tag):
                return self._detach(one["tags"], tag, self._tag)
            case ("GET", "subscriptions"):
                return _list([self._subscription(s) for s in sorted(one["subscriptions"])])
            case ("POST", "subscriptions"):
                number = str(body.get("id"))
                if self.subscriptions.get(number) not in (None, body.get("consent_type")):
                    raise _WrongError(400, "parameter_invalid", field="consent_type")
                known = self.subscriptions
                return self._attach(one["subscriptions"], number, known, self._subscription)
            case ("DELETE", "subscriptions", number):
                return self._detach(one["subscriptions"], number, self._subscription)
        raise _WrongError(404)

    def _attach(
        self,
        held: set[str],
        record: str,
        known: Mapping[str, str],
        shown: Callable[[str], dict[str, Any]],
    ) -> dict[str, Any]:
        if record not in known:
            raise _WrongError(404)
        held.add(record)
        return shown(record)

    def _detach(
        self, held: set[str], record: str, shown: Callable[[str], dict[str, Any]]
    ) -> dict[str, Any]:
        if record not in held:
            raise _WrongError(404)
        held.remove(record)
        return shown(record)

    def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        if not {"email", "external_id", "role"} & set(body):
            raise _WrongError(400, "parameter_not_found")
        taken = self._same(body)
        if taken is not None:
            kind = "An archived contact" if taken["archived"] else "A contact"
            text = f"{kind} matching those details already exists with id={taken['id']}"
            raise _WrongError(409, "conflict", text)
        record = secrets.token_hex(12)
        one: dict[str, Any] = dict.fromkeys(("external_id", "email", "phone", "name"))
        one |= {"id": record, "role": "user", "unsubscribed_from_emails": False}
        one |= {"custom_attributes": {}, "archived": False, "tags": set(), "subscriptions": set()}
        shown = self._write(one, body)
        self.contacts[record] = one
        if self.searches_delayed:
            self.unseen.add(record)
        return shown

    def _write(self, one: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        unknown = set(body) - _FIELDS
        if unknown:
            raise _WrongError(400, "parameter_invalid", field=sorted(unknown)[0])
        email = body.get("email")
        if email is not None and not _EMAIL.fullmatch(str(email)):
            raise _WrongError(400, "parameter_invalid", f"Email is invalid: {email}", "email")
        for name, value in (body.get("custom_attributes") or {}).items():
            kind = self.attributes.get(name)
            is_number = not isinstance(value, bool) or kind == "boolean"
            if kind is None or not (
                value is None or (isinstance(value, _TYPES[kind]) and is_number)
            ):
                field = f"custom_attributes.{name}"
                raise _WrongError(400, "parameter_invalid", "marked-7f3a", field)
        other = self._same({"external_id": body.get("external_id")})
        if other is not None and other is not one:
            raise _WrongError(409, "conflict", "A contact matching those details already exists")
        own = {**one["custom_attributes"], **(body.get("custom_attributes") or {})}
        one |= {**body, "custom_attributes": own}
        for key in ("external_id", "email"):
            if one[key] is not None:
                text = str(one[key])
                self._ids[key, text.lower() if key == "email" else text] = one["id"]
        return _shown(one)

    def _same(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """A user of the same external id, else of the same address where none is given."""
        outer, email = body.get("external_id"), body.get("email")
        name = ("email", str(email).lower()) if outer is None else ("external_id", str(outer))
        one = self.contacts.get(self._ids.get(name, ""))
        return one if one is not None and one["role"] == "user" else None

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        query, paging = body.get("query", {}), body.get("pagination", {})
        filters = [
            _wanted(e) for e in (query["value"] if query.get("operator") == "AND" else [query])
        ]
        found = [
            one
            for one in self.contacts.values()
            if not one["archived"]
            and one["id"] not in self.unseen
            and all(str(one.get(name) or "").lower() in values for name, values in filters)
        ]
        size = int(paging.get("per_page", 50))
        if size > 150:
            raise _WrongError(400, "parameter_invalid", field="per_page")
        start = int(paging.get("starting_after") or 0)
        pages: dict[str, Any] = {"type": "pages", "per_page": size}
        if start + size < len(found):
            pages["next"] = {"starting_after": str(start + size)}
        page = [_shown(one) for one in found[start : start + size]]
        return {**_list(page), "total_count": len(found), "pages": pages}

    def _me(self) -> dict[str, Any]:
        app = {"type": "app", "id_code": APP_ID, "region": self.region}
        return {"type": "admin", "id": "1", "app": app}

    def _listed_attributes(self, request: Request) -> dict[str, Any]:
        if request.query_params.get("model") != "contact":
            raise _WrongError(422, "parameter_invalid", field="model")
        common = {"type": "data_attribute", "model": "contact", "archived": False}
        own = [
            {**common, "name": n, "data_type": t, "custom": True, "api_writable": True}
            for n, t in self.attributes.items()
        ]
        standard = {**common, "name": "email", "custom": False, "api_writable": True}
        return _list([standard, *own])

    def _make_tag(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body.get("name")
        if not isinstance(name, str) or set(body) != {"name"}:
            raise _WrongError(400)
        record = str(len(self.tags) + 101)
        self.tags[record] = name
        return self._tag(record)

    def _tag(self, record: str) -> dict[str, Any]:
        return {"type": "tag", "id": record, "name": self.tags.get(record, "")}

    def _subscription(self, number: str) -> dict[str, Any]:
        kind = self.subscriptions[number]
        return {"type": "subscription", "id": number, "state": "live", "consent_type": kind}


def _wanted(given: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Field of a filter, and the values that pass, in lower case."""
    value = given.get("value")
    match given.get("operator"):
        case "IN" if isinstance(value, list):
            return str(given.get("field")), frozenset(str(each).lower() for each in value)
        case "=":
            return str(given.get("field")), frozenset({str(value).lower()})
        case _:
            raise _WrongError(400, "parameter_invalid", field="operator")


def _shown(one: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {"tags", "subscriptions", "archived"}
    return {"type": "contact", **{k: v for k, v in one.items() if k not in hidden}}


def _list(data: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "list", "data": data}


def _read(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _WrongError(400, "bad_request") from None
    if not isinstance(found, dict):
        raise _WrongError(400, "bad_request")
    return found


def _error(wrong: _WrongError, headers: Mapping[str, str] | None = None) -> Response:
    body = {"type": "error.list", "request_id": "r-1", "errors": [wrong.body]}
    return as_json(body, status=wrong.status, headers=headers)
