"""Zendesk's users and jobs, as strict as its API reference, in memory."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

ROWS_MAX, JOBS_MAX = 100, 30
_STANDARD = {
    *("name", "email", "external_id", "phone", "alias", "details", "notes", "locale"),
    *("time_zone", "organization_id", "skip_verify_email", "user_fields", "verified", "role"),
}
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,_]+")
_JOB = re.compile(r"/api/v2/job_statuses/([A-Za-z0-9-]+)")
_USER = re.compile(r"/api/v2/users/([0-9]+)")
_DELETED = re.compile(r"/api/v2/deleted_users/([0-9]+)")
_ERRORS = {400: "BadRequest", 401: "Couldn't authenticate you", 403: "Forbidden"}
_ERRORS |= {404: "RecordNotFound", 413: "PayloadTooLarge", 422: "RecordInvalid"}


class _WrongError(Exception):
    def __init__(self, status: int, error: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass(kw_only=True)
class ZendeskVendor:
    """See `Vendor`.

    Attributes:
        tokens: that work, of either kind; None takes any.
        role: of whoever logs in; empty where nobody is known.
        fields: the account's own fields of users, with their types.
        users: by id; `deleted` are those that were deleted and not for good.
        with_tickets: ids of users who have open tickets, and are not deleted.
        imports: whether bulk imports are enabled.
        polls: how often a job is seen waiting before it has ended.
        next_ending: how the next jobs end: `completed`, `failed`, `killed` or `forgotten`.
        mailed: addresses that Zendesk wrote to, since nobody asked it not to.
    """

    tokens: frozenset[str] | None = None
    name: str = "zendesk"
    role: str = "admin"
    imports: bool = True

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.role, self.imports = "admin", True
        self.fields = {"plan": "text", "is_vip": "checkbox", "since": "date", "score": "decimal"}
        self.users: dict[int, dict[str, Any]] = {}
        self.deleted: dict[int, dict[str, Any]] = {}
        self.gone: set[int] = set()
        self.with_tickets: set[int] = set()
        self.polls = 1
        self.next_ending: list[str] = []
        self.mailed: list[str] = []
        self._jobs: dict[str, _Job] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._last = 1_900_000_000_000

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith("/api/v2/")

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        return _error(400 if kind == "100" else int(kind), headers=headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: users whose checkbox of that key is checked; all without."""
        name = query.get("audience", "")
        return [
            user
            for user in self.users.values()
            if not name or user["user_fields"].get(name) is True
        ]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        boxes = [key for key, kind in self.fields.items() if kind == "checkbox"]
        return [{"name": k, "count": len(self.members({"audience": k}))} for k in boxes]

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        path = request.url.path.removesuffix(".json")
        try:
            known = self._knows(request.headers.get("authorization", ""))
            if (request.method, path) == ("GET", "/api/v2/users/me"):
                # Who is not known is somebody anonymous, and no error.
                user = {"id": 1, "role": self.role} if known and self.role else {"id": None}
                return as_json({"user": user})
            if not known:
                raise _WrongError(401)
            return self._routed(request, path, body, partial=partial)
        except _WrongError as wrong:
            return _error(wrong.status, wrong.error)

    def _routed(self, request: Request, path: str, body: bytes, *, partial: bool) -> Response:
        query = dict(request.query_params)
        calls: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/api/v2/user_fields"): lambda: self._fields(query),
            ("POST", "/api/v2/users/create_or_update_many"): lambda: self._write(body, partial),
            ("DELETE", "/api/v2/users/destroy_many"): lambda: self._destroy(query),
            ("GET", "/api/v2/users/show_many"): lambda: self._listed(query),
            ("GET", "/api/v2/job_statuses/show_many"): lambda: self._shown(query),
        }
        call = calls.get((request.method, path))
        if call is not None:
            return as_json(call())
        if request.method == "GET" and (found := _JOB.fullmatch(path)):
            job = self._jobs.get(found[1])
            if job is None:
                raise _WrongError(404)
            return as_json({"job_status": job.seen()})
        if request.method == "DELETE" and (found := _USER.fullmatch(path)):
            return as_json({"user": self._delete(int(found[1]))})
        if request.method == "DELETE" and (found := _DELETED.fullmatch(path)):
            return as_json({"deleted_user": self._purge(int(found[1]))})
        raise _WrongError(404, "InvalidEndpoint")

    def _fields(self, query: Mapping[str, str]) -> dict[str, Any]:
        size = int(query.get("page[size]", "100"))
        start = int(query.get("page[after]") or 0)
        keys = list(self.fields)[start : start + size]
        more = start + size < len(self.fields)
        entries = [{"key": k, "type": self.fields[k], "active": True} for k in keys]
        meta = {"has_more": more, "after_cursor": str(start + size)}
        return {"user_fields": entries, "meta": meta}

    def _write(self, body: bytes, partial: bool) -> dict[str, Any]:
        if not self.imports:
            raise _WrongError(403)
        users = _users(body)
        results = [self._one(n, user) for n, user in enumerate(users)]
        if partial:
            results[0] = _failed(0, "marked-7f3a@example.com is not properly formatted")
        return self._job(results)

    def _one(self, index: int, given: dict[str, Any]) -> dict[str, Any]:
        """Written as one user of a job is."""
        if set(given) - _STANDARD or set(given.get("user_fields", {})) - set(self.fields):
            return _failed(index, "Unknown attribute")
        email, outer = given.get("email"), given.get("external_id")
        if email is not None and not _EMAIL.fullmatch(str(email)):
            return _failed(index, f"Name: Email: {email} is not properly formatted")
        for key, value in given.get("user_fields", {}).items():
            if self.fields[key] == "checkbox" and not isinstance(value, bool | None):
                return _failed(index, f"{key}: {value} is invalid")
        known = self._find("external_id", outer) or self._find("email", email)
        if ("name" in given or known is None) and not str(given.get("name") or "").strip():
            return _failed(index, "Name: is too short (minimum is 1 characters)")
        verb = "update" if known is not None else "create"
        if known is None:
            self._last += 1
            known = {"id": self._last, "emails": [], "user_fields": {}, "role": "end-user"}
            self.users[self._last] = known
            if email and not given.get("skip_verify_email"):
                self.mailed.append(str(email))
        own = {**known["user_fields"], **given.get("user_fields", {})}
        if email and str(email).lower() not in [e.lower() for e in known["emails"]]:
            known["emails"].append(str(email))
        kept = {k: v for k, v in given.items() if k not in ("email", "skip_verify_email")}
        known |= {**kept, "user_fields": own}
        names = {("email", e.lower()) for e in known["emails"]}
        if known.get("external_id") is not None:
            names.add(("external_id", str(known["external_id"]).lower()))
        self._ids |= dict.fromkeys(names, known["id"])
        return {
            "id": known["id"],
            "index": index,
            "status": f"{verb.capitalize()}d",
            "action": verb,
            "success": True,
            "email": known["emails"][0] if known["emails"] else None,
            "external_id": known.get("external_id"),
        }

    def _find(self, key: str, value: object) -> dict[str, Any] | None:
        """Without regard to case."""
        if value is None:
            return None
        return self.users.get(self._ids.get((key, str(value).lower()), 0))

    def _listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        ids = _ids(query)
        shown = ("id", "role", "name", "external_id")
        found = [self.users[user] for user in ids if user in self.users]
        return {"users": [{k: v for k, v in user.items() if k in shown} for user in found]}

    def _destroy(self, query: Mapping[str, str]) -> dict[str, Any]:
        results = []
        for index, user in enumerate(_ids(query)):
            if user not in self.users or user in self.with_tickets:
                results.append(_failed(index, "marked-7f3a has open tickets", "DeleteFailed"))
                continue
            self._delete(user)
            done = {"id": user, "index": index, "status": "Deleted", "action": "delete"}
            results.append({**done, "success": True})
        return self._job(results)

    def _delete(self, user: int) -> dict[str, Any]:
        if user not in self.users:
            raise _WrongError(404)
        if user in self.with_tickets:
            raise _WrongError(422)
        self.deleted[user] = self.users.pop(user)
        return {"id": user, "active": False}

    def _purge(self, user: int) -> dict[str, Any]:
        if user not in self.deleted:
            raise _WrongError(404)
        del self.deleted[user]
        self.gone.add(user)
        return {"id": user, "active": False, "email": None}

    def _job(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        if sum(job.polls > 0 for job in self._jobs.values()) >= JOBS_MAX:
            raise _WrongError(429, "TooManyJobs")
        ending = self.next_ending.pop(0) if self.next_ending else "completed"
        name = f"V3-{secrets.token_hex(16)}"
        job = _Job(name=name, results=results, ending=ending, polls=self.polls)
        if ending != "forgotten":
            self._jobs[name] = job
        return {"job_status": {"id": name, "status": "queued", "results": None}}

    def _shown(self, query: Mapping[str, str]) -> dict[str, Any]:
        names = query.get("ids", "").split(",")
        found = [self._jobs[name].seen() for name in names if name in self._jobs]
        return {"job_statuses": found}

    def _knows(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        if scheme == "Basic":
            try:
                login = base64.b64decode(given, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return False
            user, mark, given = login.partition("/token:")
            if not mark or "@" not in user:
                return False
        elif scheme != "Bearer":
            return False
        return bool(given) and (self.tokens is None or given in self.tokens)


@dataclass(kw_only=True)
class _Job:
    name: str
    results: list[dict[str, Any]] = field(repr=False)
    ending: str
    polls: int

    def seen(self) -> dict[str, Any]:
        """As a question about it is answered; each brings its end nearer."""
        if self.polls > 0:
            self.polls -= 1
            return {"id": self.name, "status": "working", "results": None}
        results = self.results if self.ending == "completed" else None
        return {"id": self.name, "status": self.ending, "results": results}


def _ids(query: Mapping[str, str]) -> list[int]:
    ids = query.get("ids", "").split(",")
    if set(query) != {"ids"} or len(ids) > ROWS_MAX or not all(i.isdecimal() for i in ids):
        raise _WrongError(400)
    return [int(i) for i in ids]


def _users(body: bytes) -> list[dict[str, Any]]:
    try:
        users = orjson.loads(body)["users"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _WrongError(400) from None
    if not isinstance(users, list) or not all(isinstance(user, dict) for user in users):
        raise _WrongError(400)
    if not 1 <= len(users) <= ROWS_MAX:
        raise _WrongError(400, "TooManyUsers")
    return users


def _failed(index: int, details: str, error: str = "UserUpdateError") -> dict[str, Any]:
    # What stands in `id` is the index, as in answers that people have shown.
    told = {"id": index, "index": index, "status": "Failed", "success": False}
    return {**told, "error": error, "details": details}


def _error(status: int, error: str = "", headers: Mapping[str, str] | None = None) -> Response:
    told = error or _ERRORS.get(status, "InternalError")
    body = {"error": told, "description": "marked-7f3a"}
    return as_json(body, status=status, headers=headers)
