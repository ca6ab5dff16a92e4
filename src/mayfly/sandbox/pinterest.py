"""Pinterest's API v5 in memory: customer lists, which are worked off later, and audiences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

BODY_BYTES_MAX = 8 * 1024 * 1024
FIRST_ID = 5_497_558_859_876
SMALL = 100
CREATED = 1_760_000_000
_PATH = re.compile(
    r"/v5/ad_accounts/([0-9]{1,18})(?:/(customer_lists|audiences)(?:/([0-9]{1,18}))?)?"
)
_TYPES = frozenset({"EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"})
_HASH = "[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}"
_HASHES = re.compile(rf"(?:{_HASH})(?:,(?:{_HASH}))*,?")
_EMAIL = re.compile(rf"{_HASH}|[^\s,A-Z@]+@[^\s,A-Z@]+")


class RefusalError(Exception):
    """An answer in Pinterest's error model."""

    def __init__(self, status: int, code: int) -> None:
        super().__init__(str(code))
        self.status, self.code = status, code


@dataclass(kw_only=True)
class CustomerList:
    """One list.

    Attributes:
        uploaded, removed: how many records it has taken, ever.
        work: what is not worked off yet.
        polls_left: how often the list is still said to be processed.
    """

    list_id: str
    account: str
    name: str
    kind: str
    members: set[str] = field(default_factory=set)
    batches: int = 0
    uploaded: int = 0
    removed: int = 0
    exceptions: dict[str, Any] = field(default_factory=dict)
    work: list[Callable[[], None]] = field(default_factory=list)
    polls_left: int = 0

    def finish(self) -> None:
        """Work off everything, in order."""
        for one in self.work:
            one()
        self.work.clear()

    def to_dict(self) -> dict[str, Any]:
        """As Pinterest shows it."""
        done = "READY" if len(self.members) >= SMALL else "TOO_SMALL"
        return {
            "id": self.list_id,
            "ad_account_id": self.account,
            "name": self.name,
            "type": "customerlist",
            "status": "PROCESSING" if self.work else done,
            "num_batches": self.batches,
            "num_uploaded_user_records": self.uploaded,
            "num_removed_user_records": self.removed,
            "created_time": CREATED,
            "updated_time": CREATED + self.batches,
            "exceptions": self.exceptions,
        }


class PinterestVendor:
    """Pinterest as one of the sandbox's platforms.

    Args:
        tokens: the access tokens that work; None takes any that is not empty.

    Attributes:
        customer_lists: by id.
        audiences: as they are shown, oldest first.
        polls: how often a list is said to be processed before it is worked off.
        counts_late: whether counters rise as requests are worked off, and not at once.
    """

    name = "pinterest"

    def __init__(self, *, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith("/v5/")

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            self._authorise(request)
            return as_json(self._answer(request, body, partial))
        except RefusalError as error:
            return _error(error)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        told = {"503": (503, 4197), "429": (429, 8), "401": (401, 2)}.get(kind, (400, 4196))
        return _error(RefusalError(*told), headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`."""
        found = self.customer_lists.get(query.get("audience", ""))
        if found is None:
            return None
        fields = {found.kind: sorted(found.members)} if found.members else {}
        return {"audience": found.list_id, "count": len(found.members), "fields": fields}

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [
            {"id": x.list_id, "account": x.account, "name": x.name, "count": len(x.members)}
            for x in self.customer_lists.values()
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.customer_lists: dict[str, CustomerList] = {}
        self.audiences: list[dict[str, Any]] = []
        self.polls = 1
        self.counts_late = False
        self._next_id = FIRST_ID

    def finish(self) -> None:
        """Work off everything, whether or not anybody asks."""
        for found in self.customer_lists.values():
            found.finish()

    def make(self, account: str, name: str, kind: str = "EMAIL") -> CustomerList:
        """A new list without members."""
        made = CustomerList(list_id=self._new_id(), account=account, name=name, kind=kind)
        self.customer_lists[made.list_id] = made
        return made

    def _new_id(self) -> str:
        self._next_id += 1
        return str(self._next_id)

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token or not (self._tokens is None or token in self._tokens):
            raise RefusalError(401, 2)

    def _answer(self, request: Request, body: bytes, partial: bool) -> dict[str, Any]:
        path = _PATH.fullmatch(request.url.path)
        if path is None:
            raise RefusalError(404, 404)
        account, kind, one = path[1], path[2], path[3]
        match request.method, kind, one:
            case "GET", None, None:
                return {"id": account, "name": "Sandbox", "currency": "EUR"}
            case "GET", "customer_lists", None:
                mine = [x.to_dict() for x in self.customer_lists.values() if x.account == account]
                return _page(mine, request.query_params)
            case "GET", "audiences", None:
                mine = [x for x in self.audiences if x["ad_account_id"] == account]
                return _page(mine, request.query_params)
            case "POST", "customer_lists", None:
                return self._created(account, _object(body), partial)
            case "POST", "audiences", None:
                return self._audience(account, _object(body))
            case "GET", "customer_lists", str():
                return self._looked_at(account, one).to_dict()
            case "PATCH", "customer_lists", str():
                return self._updated(self._of(account, one), _object(body), partial)
            case _:
                raise RefusalError(405, 405)

    def _of(self, account: str, list_id: str) -> CustomerList:
        found = self.customer_lists.get(list_id)
        if found is None or found.account != account:
            raise RefusalError(404, 50)
        return found

    def _looked_at(self, account: str, list_id: str) -> CustomerList:
        """A list, one question nearer to its end."""
        found = self._of(account, list_id)
        if found.work:
            found.polls_left -= 1
            if found.polls_left < 0:
                found.finish()
        return found

    def _created(self, account: str, given: dict[str, Any], partial: bool) -> dict[str, Any]:
        name, kind = given.get("name"), given.get("list_type", "EMAIL")
        if not set(given) <= {"name", "list_type", "records"} or kind not in _TYPES:
            raise RefusalError(400, 1)
        if not isinstance(name, str) or not name.strip():
            raise RefusalError(400, 1)
        records = _records(given.get("records"), kind)
        made = self.make(account, name, kind)
        return self._taken(made, records, adds=True, partial=partial)

    def _updated(self, found: CustomerList, given: dict[str, Any], partial: bool) -> dict[str, Any]:
        operation = given.get("operation_type")
        if set(given) != {"operation_type", "records"} or operation not in ("ADD", "REMOVE"):
            raise RefusalError(400, 1)
        records = _records(given["records"], found.kind)
        return self._taken(found, records, adds=operation == "ADD", partial=partial)

    def _taken(
        self, found: CustomerList, records: Sequence[str], *, adds: bool, partial: bool
    ) -> dict[str, Any]:
        """Counted, with duplicates and absent ones, and worked off later."""
        taken = records[1:] if partial else records

        def count() -> None:
            if adds:
                found.uploaded += len(taken)
            else:
                found.removed += len(taken)

        def work() -> None:
            if adds:
                found.members.update(taken)
            else:
                found.members.difference_update(taken)

        found.batches += 1
        found.work += [work, count] if self.counts_late else [work]
        found.polls_left = self.polls
        if not self.counts_late:
            count()
        return found.to_dict()

    def _audience(self, account: str, given: dict[str, Any]) -> dict[str, Any]:
        rule = given.get("rule")
        if given.get("audience_type") != "CUSTOMER_LIST" or not isinstance(rule, dict):
            raise RefusalError(400, 1)
        if not isinstance(given.get("name"), str) or given.get("ad_account_id", account) != account:
            raise RefusalError(400, 1)
        found = self._of(account, str(rule.get("customer_list_id", "")))
        if found.work or len(found.members) < SMALL:
            raise RefusalError(400, 1)
        made = {
            "id": self._new_id(),
            "ad_account_id": account,
            "name": given["name"],
            "audience_type": "CUSTOMER_LIST",
            "description": str(given.get("description", "")),
            "rule": {"customer_list_id": found.list_id},
            "size": len(found.members),
            "status": "READY",
            "type": "audience",
            "created_timestamp": CREATED,
            "updated_timestamp": CREATED,
        }
        self.audiences.append(made)
        return made


def _page(entries: Sequence[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Oldest first; the bookmark is where the next page begins."""
    size, start = query.get("page_size", "25"), query.get("bookmark", "0")
    if not re.fullmatch("[0-9]{1,9}", start) or not re.fullmatch("[0-9]{1,3}", size):
        raise RefusalError(400, 1)
    if not 1 <= int(size) <= 250:
        raise RefusalError(400, 1)
    first, end = int(start), int(start) + int(size)
    return {
        "items": list(entries[first:end]),
        "bookmark": str(end) if len(entries) > end else None,
    }


def _records(given: Any, kind: str) -> list[str]:
    """One text, parted by commas; the last may be followed by one."""
    if not isinstance(given, str) or not given:
        raise RefusalError(400, 1)
    found = given.removesuffix(",").split(",")
    clear = kind == "EMAIL" and all(_EMAIL.fullmatch(record) for record in found)
    if not clear and not _HASHES.fullmatch(given):
        raise RefusalError(400, 1)
    return found


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > BODY_BYTES_MAX:
        raise RefusalError(413, 413)
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusalError(400, 1) from None
    if not isinstance(given, dict):
        raise RefusalError(400, 1)
    return given


def _error(error: RefusalError, headers: Mapping[str, str] | None = None) -> Response:
    body = {"code": error.code, "message": "The request could not be done."}
    return as_json(body, status=error.status, headers=headers)
