"""Meta's audiences in memory: as strict as the vendor, and gone with the process."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from mayfly.sandbox.meta_rows import GraphError, People, read_people

_FIRST_ID = 120_200_000_000_000_001
_SOURCES = frozenset(
    {"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"}
)
_PAGE_MAX = 5_000


@dataclass(kw_only=True)
class UploadSession:
    """What one upload session has received; a batch sent again counts once."""

    session_id: int
    replace: bool
    batches: dict[int, tuple[int, int]] = field(default_factory=dict)
    last: int | None = None
    staged: dict[str, set[str]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether every batch up to the last has come."""
        return self.last is not None and all(n in self.batches for n in range(1, self.last + 1))

    def to_dict(self) -> dict[str, Any]:
        """As `/sessions` lists it."""
        received = sum(count for count, _ in self.batches.values())
        return {
            "session_id": str(self.session_id),
            "stage": "completed" if self.finished else "uploading",
            "progress": "100" if self.finished else "0",
            "num_received": str(received),
            "num_invalid_entries": str(sum(bad for _, bad in self.batches.values())),
            "num_matched": "0",
        }


@dataclass(kw_only=True)
class Audience:
    """One custom audience with the identifiers of its members, per field."""

    audience_id: str
    account: str
    name: str
    description: str = ""
    members: dict[str, set[str]] = field(default_factory=dict)
    sessions: dict[int, UploadSession] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The size of the largest identifier field."""
        return max(map(len, self.members.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The fields a reader may ask for."""
        return {
            "id": self.audience_id,
            "name": self.name,
            "account_id": self.account,
            "description": self.description,
            "subtype": "CUSTOM",
            "approximate_count_lower_bound": max(self.count, -1),
            "approximate_count_upper_bound": max(self.count, -1),
            "operation_status": {"code": 200, "description": "Normal"},
            "delivery_status": {"code": 200, "description": "Ready"},
        }


class Meta:
    """The vendor's side: tokens, audiences and memberships.

    Args:
        app_secret: where given, every call must carry the right `appsecret_proof`.
        tokens: the tokens that work; None takes any that is not empty.
    """

    def __init__(
        self, *, app_secret: str | None = None, tokens: frozenset[str] | None = None
    ) -> None:
        self._app_secret = app_secret
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """Forget all audiences."""
        self.audiences: dict[str, Audience] = {}
        self._next_id = _FIRST_ID

    def authorise(self, token: str | None, proof: str | None) -> None:
        """Raise GraphError 190 without a working token, 100 with a wrong proof."""
        if not token:
            raise GraphError(190, "An access token is required.", status=401)
        if self._tokens is not None and token not in self._tokens:
            raise GraphError(190, "The access token is not valid.", status=401, subcode=463)
        if self._app_secret is None:
            return
        right = hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), (proof or "").encode()):
            raise GraphError(100, "Invalid appsecret_proof provided in the API argument")

    def create(self, account: str, given: dict[str, Any]) -> dict[str, Any]:
        """Make an audience in an ad account."""
        name = given.get("name")
        if not isinstance(name, str) or not name.strip():
            raise GraphError(100, "(#100) The parameter name is required.")
        if given.get("subtype") != "CUSTOM":
            raise GraphError(100, "(#100) Param subtype must be CUSTOM.")
        if given.get("customer_file_source") not in _SOURCES:
            raise GraphError(
                100, "(#100) Param customer_file_source must be one of the listed values."
            )
        audience = Audience(
            audience_id=str(self._next_id),
            account=account,
            name=name,
            description=str(given.get("description", "")),
        )
        self._next_id += 1
        self.audiences[audience.audience_id] = audience
        return {"id": audience.audience_id}

    def listing(self, account: str, query: dict[str, str], link: str) -> dict[str, Any]:
        """One page of an account's audiences, oldest first."""
        limit = _number(query.get("limit", "25"), "limit")
        if not 1 <= limit <= _PAGE_MAX:
            raise GraphError(100, f"(#100) Param limit must be from 1 to {_PAGE_MAX}.")
        after = _number(query.get("after") or "0", "after")
        mine = [a for a in self.audiences.values() if a.account == account]
        rest = [a for a in mine if int(a.audience_id) > after]
        page = rest[:limit]
        answer: dict[str, Any] = {"data": [shown(a.to_dict(), query) for a in page]}
        if page:
            cursors = {"before": page[0].audience_id, "after": page[-1].audience_id}
            answer["paging"] = {"cursors": cursors}
            if len(rest) > limit:
                answer["paging"]["next"] = f"{link}?limit={limit}&after={cursors['after']}"
        return answer

    def audience(self, audience_id: str) -> Audience:
        """An audience, or GraphError 100 subcode 33."""
        found = self.audiences.get(audience_id)
        if found is None:
            raise GraphError(
                100, "Unsupported request. The object does not exist or cannot be read.", subcode=33
            )
        return found

    def users(
        self, audience_id: str, operation: str, given: dict[str, Any], *, refuse_first: bool
    ) -> dict[str, Any]:
        """Add, remove or replace people: `operation` is `add`, `remove` or `replace`."""
        audience = self.audience(audience_id)
        session, batch = _open_session(audience, operation, given.get("session"))
        people = read_people(given.get("payload"), refuse_first=refuse_first)
        if not people.values:
            raise GraphError(100, "(#100) Param payload[schema] holds no identifying key.")
        if session is not None and batch is not None:
            audience.sessions.setdefault(session.session_id, session)
            session.batches[batch[0]] = (people.received, len(people.invalid))
            session.last = batch[0] if batch[1] else session.last
        _apply(audience, operation, people, session)
        return {
            "audience_id": audience_id,
            "session_id": str(session.session_id) if session else "0",
            "num_received": people.received,
            "num_invalid_entries": len(people.invalid),
            "invalid_entry_samples": people.samples,
        }

    def members(self, audience_id: str) -> dict[str, Any]:
        """Who is in an audience, as the sandbox's own page shows it."""
        audience = self.audience(audience_id)
        fields = {name: sorted(values) for name, values in sorted(audience.members.items())}
        return {"audience": audience_id, "count": audience.count, "fields": fields}


def shown(fields: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """The fields asked for, always with the id."""
    asked = {name.strip() for name in query.get("fields", "id").split(",") if name.strip()}
    if unknown := asked - set(fields):
        raise GraphError(100, f"(#100) Tried accessing {len(unknown)} nonexisting field(s).")
    return {name: value for name, value in fields.items() if name in asked | {"id"}}


def _apply(
    audience: Audience, operation: str, people: People, session: UploadSession | None
) -> None:
    if operation == "replace":
        if session is None:
            raise GraphError(100, "(#100) The parameter session is required.")
        for name, values in people.values.items():
            session.staged.setdefault(name, set()).update(values)
        if session.finished:
            audience.members = session.staged
        return
    for name, values in people.values.items():
        held = audience.members.setdefault(name, set())
        if operation == "add":
            held.update(values)
        else:
            held.difference_update(values)


def _open_session(
    audience: Audience, operation: str, given: Any
) -> tuple[UploadSession | None, tuple[int, bool] | None]:
    """The session a request belongs to, and its batch number and last flag."""
    if given is None and operation != "replace":
        return None, None
    if not isinstance(given, dict):
        raise GraphError(100, "(#100) Param session must be a JSON object.")
    session_id = _number(given.get("session_id"), "session[session_id]")
    sequence = _number(given.get("batch_seq"), "session[batch_seq]")
    last = given.get("last_batch_flag", False)
    if not 1 <= session_id < 2**63 or sequence < 1 or not isinstance(last, bool):
        raise GraphError(100, "(#100) Param session has a wrong session_id, batch_seq or flag.")
    if given.get("estimated_num_total") is not None:
        _number(given["estimated_num_total"], "session[estimated_num_total]")
    replace = operation == "replace"
    session = audience.sessions.get(session_id)
    if session is None:
        if replace:
            _check_replace(audience, sequence)
        session = UploadSession(session_id=session_id, replace=replace)
    if session.replace != replace:
        raise GraphError(100, "(#100) The session belongs to another kind of upload.")
    if session.last is not None and (
        sequence > session.last or (last and sequence != session.last)
    ):
        raise GraphError(100, "(#100) The session has already had its last batch.")
    return session, (sequence, last)


def _check_replace(audience: Audience, sequence: int) -> None:
    if any(s.replace and not s.finished for s in audience.sessions.values()):
        raise GraphError(2650, "Failed to update the custom audience: a session is open.")
    if sequence != 1:
        raise GraphError(100, "(#100) A replace session must begin with batch_seq 1.")


def _number(value: Any, name: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise GraphError(100, f"(#100) Param {name} must be an integer.")
    return int(text)
