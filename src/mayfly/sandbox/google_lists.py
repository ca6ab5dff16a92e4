"""Google's Customer Match lists in memory, and the requests that are worked off later."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mayfly.sandbox.google_errors import ApiError, new_request_id, of_field
from mayfly.sandbox.google_members import Destination, MembersRequest

FIRST_ID = 7_000_000_001
DAYS_MAX = 540
_DAY = 86_400
_INFOS = {"CONTACT_ID": "contactIdInfo", "USER_ID": "userIdInfo", "MOBILE_ID": "mobileIdInfo"}
_KEY_TYPES = ("UPLOAD_KEY_TYPE_UNSPECIFIED", *("CONTACT_ID", "MOBILE_ID", "USER_ID"))
_COUNTS = {
    "CONTACT_ID": ("userData", "userIdentifierCount"),
    "MOBILE_ID": ("mobileData", "mobileIdCount"),
    "USER_ID": ("userIdData", "userIdCount"),
}
_FILTER = re.compile(r'\s*display_?name\s*=\s*"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
_REASON = "PROCESSING_ERROR_REASON_"


@dataclass(kw_only=True)
class UserList:
    """One list; `members` has field to value to when it was added last."""

    list_id: str
    account: str
    name: str
    kind: str
    days: int = DAYS_MAX
    is_open: bool = True
    read_only: bool = False
    members: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The size of the largest field."""
        return max(map(len, self.members.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As Google shows it."""
        info = {"uploadKeyTypes": [self.kind], _INFOS[self.kind]: {}}
        return {
            "name": f"accountTypes/GOOGLE_ADS/accounts/{self.account}/userLists/{self.list_id}",
            "id": self.list_id,
            "displayName": self.name,
            "membershipStatus": "OPEN" if self.is_open else "CLOSED",
            "membershipDuration": f"{self.days * _DAY}s",
            "accessReason": "OWNED",
            "ingestedUserListInfo": info,
            **({"readOnly": True} if self.read_only else {}),
        }


@dataclass(kw_only=True)
class Job:
    """A request that was taken.

    Args:
        work: does it, once.
        status: as it is told afterwards.
        polls_left: how often it is still said to be processed.
    """

    work: Callable[[], None]
    status: list[dict[str, Any]]
    polls_left: int


class Google:
    """The vendor's side: lists, and what becomes of requests.

    Attributes:
        polls: how often a request is said to be processed before it is done.
        named_most: of the wrong fields of a request, where not all are named.
        fails_with: reason that the next requests fail with as they are worked off, one each;
            empty lets one succeed.
        warns: path and reason of warnings that the next ingest is answered with.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all lists and requests."""
        self.lists: dict[str, UserList] = {}
        self.jobs: dict[str, Job] = {}
        self.polls = 1
        self.named_most: int | None = None
        self.fails_with: list[str] = []
        self.warns: list[tuple[str, str]] = []
        self._next_id = FIRST_ID

    def make(self, account: str, given: Any) -> UserList:
        """A new list from a body of `userLists.create`."""
        fields = given if isinstance(given, dict) else {}
        name = fields.get("displayName")
        if not isinstance(name, str) or not name.strip():
            raise of_field("user_list.display_name", "INVALID_DISPLAY_NAME")
        if any(x.name == name for x in self.lists.values() if x.account == account):
            raise of_field("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")
        info = fields.get("ingestedUserListInfo")
        kind = _kind(info)
        if kind == "MOBILE_ID" and not _has_app(info):
            raise of_field("user_list.ingested_user_list_info", "REQUIRED_FIELD_MISSING")
        days = _days(fields.get("membershipDuration"))
        made = UserList(
            list_id=str(self._next_id), account=account, name=name, kind=kind, days=days
        )
        self._next_id += 1
        self.lists[made.list_id] = made
        return made

    def list_of(self, account: str, list_id: str) -> UserList:
        """A list of an account."""
        found = self.lists.get(list_id)
        if found is None or found.account != account:
            raise ApiError("NOT_FOUND", status=404)
        return found

    def page(self, account: str, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of an account's lists, oldest first."""
        size = min(int(query.get("pageSize", "50") or 50), 1_000)
        start = query.get("pageToken", "0") or "0"
        if not re.fullmatch("[0-9]{1,9}", start):
            raise of_field("page_token", "INVALID_PAGE_TOKEN")
        mine = [x for x in self.lists.values() if x.account == account]
        if query.get("filter"):
            name = _FILTER.fullmatch(query["filter"])
            if name is None:
                raise of_field("filter", "INVALID_FILTER")
            wanted = re.sub(r"\\(.)", r"\1", name[1])
            mine = [x for x in mine if x.name == wanted]
        rest = mine[int(start) :]
        more = {"nextPageToken": str(int(start) + size)} if len(rest) > size else {}
        shown = [x.to_dict() for x in rest[:size]]
        return {**({"userLists": shown} if shown else {}), **more}

    def take(self, request: MembersRequest, *, adds: bool, partial: bool) -> dict[str, Any]:
        """Take a request about members; it is worked off when it is asked for often enough."""
        lists = [self._target(d) for d in request.destinations]
        for found in lists:
            if found.kind != request.kind:
                raise of_field("audience_members[0]", "INVALID_USER_LIST_TYPE")
        if request.validate_only:
            return {}
        reason = self.fails_with.pop(0) if self.fails_with else ""
        if request.consent.get("adUserData") == "CONSENT_DENIED":
            reason = reason or "DENIED_CONSENT"
        refused = {0} if partial else set(range(len(request.members))) if reason else set()
        now = time.time()
        status = [
            _status(d, request, adds=adds, refused=len(refused), reason=reason)
            for d in request.destinations
        ]
        return {"requestId": self._note(lambda: _apply(lists, request, adds, refused, now), status)}

    def clear(
        self, destinations: tuple[Destination, ...], before: float | None, *, really: bool
    ) -> dict[str, Any]:
        """Take a request that removes who was added last before a time, by default everybody."""
        lists = [self._target(d) for d in destinations]
        if not really:
            return {}
        until = time.time() if before is None else before

        def work() -> None:
            for found in lists:
                for held in found.members.values():
                    for value in [v for v, added in held.items() if added < until]:
                        del held[value]

        status = [
            {
                "destination": _shown(d),
                "requestStatus": "SUCCESS",
                "removeAllAudienceMembersStatus": {},
            }
            for d in destinations
        ]
        return {"requestId": self._note(work, status)}

    def status(self, request_id: str) -> dict[str, Any]:
        """What became of a request; it moves on by being asked for."""
        job = self.jobs.get(request_id)
        if job is None:
            raise of_field("request_id", "INVALID_REQUEST_ID")
        if job.polls_left > 0:
            job.polls_left -= 1
            waiting = [
                {"destination": s["destination"], "requestStatus": "PROCESSING"} for s in job.status
            ]
            return {"requestStatusPerDestination": waiting}
        self._finish(job)
        return {"requestStatusPerDestination": job.status}

    def finish(self) -> None:
        """Work off every request, whether or not anybody asks."""
        for job in self.jobs.values():
            job.polls_left = 0
            self._finish(job)

    def members(self, list_id: str) -> dict[str, Any] | None:
        """Who is in a list, as the sandbox's own page shows it."""
        found = self.lists.get(list_id)
        if found is None:
            return None
        fields = {name: sorted(held) for name, held in sorted(found.members.items())}
        return {"audience": list_id, "count": found.count, "fields": fields}

    def _target(self, destination: Destination) -> UserList:
        found = self.lists.get(destination.list_id)
        if found is None or found.account != destination.account:
            path = f"destinations.destinations[{destination.place}].product_destination_id"
            raise of_field(path, "INVALID_USER_LIST_ID")
        if found.read_only:
            raise ApiError("PERMISSION_DENIED", status=403)
        return found

    def _note(self, work: Callable[[], None], status: list[dict[str, Any]]) -> str:
        request_id = new_request_id()
        self.jobs[request_id] = Job(work=work, status=status, polls_left=self.polls)
        return request_id

    @staticmethod
    def _finish(job: Job) -> None:
        job.work()
        job.work = lambda: None


def _apply(
    lists: list[UserList], request: MembersRequest, adds: bool, refused: set[int], now: float
) -> None:
    for place, member in enumerate(request.members):
        if place in refused:
            continue
        for found in lists:
            for name, values in member.items():
                held = found.members.setdefault(name, {})
                for value in values:
                    if adds:
                        held[value] = now
                    else:
                        held.pop(value, None)


def _status(
    destination: Destination, request: MembersRequest, *, adds: bool, refused: int, reason: str
) -> dict[str, Any]:
    rows = len(request.members)
    kind, counted = _COUNTS[request.kind]
    identifiers = sum(len(values) for m in request.members for values in m.values())
    counts = {"recordCount": str(rows), counted: str(identifiers)}
    doing = "Ingestion" if adds else "Removal"
    found: dict[str, Any] = {
        "destination": _shown(destination),
        "requestStatus": "SUCCESS",
        f"audienceMembers{doing}Status": {f"{kind}{doing}Status": counts},
    }
    if refused:
        found["requestStatus"] = "FAILED" if refused == rows else "PARTIAL_SUCCESS"
        entry = {"recordCount": str(refused), "reason": f"{_REASON}{reason or 'INVALID_FORMAT'}"}
        found["errorInfo"] = {"errorCounts": [entry]}
    return found


def _shown(destination: Destination) -> dict[str, Any]:
    account = {"accountType": "GOOGLE_ADS", "accountId": destination.account}
    return {"operatingAccount": account, "productDestinationId": destination.list_id}


def _kind(info: Any) -> str:
    given = info.get("uploadKeyTypes") if isinstance(info, dict) else None
    names = [_KEY_TYPES[k] if isinstance(k, int) and 0 < k < 4 else k for k in given or ()]
    if len(names) != 1 or names[0] not in _INFOS:
        raise of_field(
            "user_list.ingested_user_list_info.upload_key_types",
            "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES",
        )
    return str(names[0])


def _has_app(info: Any) -> bool:
    app = info.get("mobileIdInfo")
    return isinstance(app, dict) and bool(app.get("appId")) and bool(app.get("keySpace"))


def _days(given: Any) -> int:
    if given is None:
        return DAYS_MAX
    seconds = re.fullmatch(r"([0-9]{1,12})s", str(given))
    if seconds is None or int(seconds[1]) % _DAY:
        raise of_field("user_list.membership_duration", "INVALID_ARGUMENT")
    if int(seconds[1]) > DAYS_MAX * _DAY:
        raise of_field("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG")
    return int(seconds[1]) // _DAY
