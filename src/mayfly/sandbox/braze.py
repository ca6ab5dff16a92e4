"""Braze in memory: one workspace's profiles, and its three endpoints for them.

Source: Braze documentation, endpoints of user data and of exports, user attributes object.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

OBJECTS_MAX, IDS_MAX, LIST_ITEMS_MAX = 75, 50, 25
STATES = ("opted_in", "subscribed", "unsubscribed")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_TEXTS = frozenset({
    "country", "dob", "email", "email_subscribe", "first_name", "gender", "home_city", "image_url",
    "language", "last_name", "phone", "push_subscribe", "time_zone",
})  # fmt: skip
_EXPORTED = frozenset({"braze_id", "created_at", "custom_attributes", "external_id", *_TEXTS})
_IDENTIFIERS = ("external_id", "user_alias", "braze_id", "email", "phone")
_DELETED_BY = ("external_ids", "braze_ids", "email_addresses", "phone_numbers", "user_aliases")
_PATHS = ("/users/track", "/users/export/ids", "/users/delete")


class BrazeError(Exception):
    """A refusal of a whole request; like Braze's, the message may hold what was sent."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


class _ObjectError(Exception):
    """A refusal of one object."""


@dataclass(kw_only=True)
class Profile:
    """One person.

    Attributes:
        unseen: how many exports do not show it yet.
    """

    braze_id: str
    external_id: str
    values: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    unseen: int = 0


class BrazeVendor:
    """Braze as one of the sandbox's platforms.

    Args:
        tokens: keys that work; None takes any that is not empty.

    Attributes:
        profiles: by external id.
        objects_max: of a request, as the contract has it.
        lag: exports that do not show a profile that was just made.
    """

    name = "braze"

    def __init__(self, *, tokens: frozenset[str] | None = None) -> None:
        self._tokens = tokens
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.profiles: dict[str, Profile] = {}
        self.objects_max, self.lag, self.made = OBJECTS_MAX, 0, 0

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path in _PATHS

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            known = self._tokens is None or key in self._tokens
            if scheme != "Bearer" or not key or not known:
                raise BrazeError("Invalid API key", status=401)
            given = _object(request, body)
            match request.url.path:
                case "/users/track":
                    found = self.track(given, refuse_first=partial)
                case "/users/export/ids":
                    found = self.export(given)
                case _:
                    found = self.delete(given)
        except BrazeError as error:
            return as_json({"message": error.message, "errors": []}, status=error.status)
        return as_json(found, status=201)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        status = {"503": 503, "429": 429, "401": 401}.get(kind, 400)
        limits = {"x-ratelimit-limit": "250000", "x-ratelimit-remaining": "0"}
        if status == 429:
            limits["x-ratelimit-reset"] = str(int(time.time()) + 7)
        return as_json({"message": "refused"}, status=status, headers={**limits, **headers})

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: all profiles, whatever is asked for."""
        del query
        return [
            {"external_id": p.external_id, **p.values, "subscription_groups": p.groups}
            for p in self.profiles.values()
        ]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        return [{"id": "users", "name": "users", "count": len(self.profiles)}]

    # -- endpoints -----------------------------------------------------------------------------

    def track(self, given: Mapping[str, Any], *, refuse_first: bool) -> dict[str, Any]:
        """Write attributes; what is wrong with one object leaves the others."""
        entries = given.get("attributes")
        if set(given) - {"attributes"} or not isinstance(entries, list) or not entries:
            raise BrazeError("attributes are played alone, and must be there")
        if len(entries) > self.objects_max:
            raise BrazeError(f"{len(entries)} is more than {self.objects_max} objects")
        errors = []
        for index, entry in enumerate(entries):
            try:
                if refuse_first and index == 0:
                    raise _ObjectError("refused")
                self._write(entry)
            except _ObjectError as error:
                errors.append({"type": str(error), "input_array": "attributes", "index": index})
        found: dict[str, Any] = {"message": "success"}
        if len(errors) < len(entries):
            found["attributes_processed"] = len(entries) - len(errors)
        return found | ({"errors": errors} if errors else {})

    def export(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Profiles by their ids, an address or a number."""
        fields = given.get("fields_to_export")
        if not isinstance(fields, list) or not fields or set(fields) - _EXPORTED:
            raise BrazeError("fields_to_export must hold valid fields")
        ids, by = given.get("external_ids", []), set(given) - {"external_ids", "fields_to_export"}
        if not isinstance(ids, list) or len(ids) > IDS_MAX or by - {"email_address", "phone"}:
            raise BrazeError(f"up to {IDS_MAX} external_ids, one email_address or one phone")
        if len(by) + bool(ids) != 1:
            raise BrazeError("one kind of identifier is asked for")
        found = [self.profiles[x] for x in ids if x in self.profiles]
        for key in by:
            name = "email" if key == "email_address" else key
            found += [p for p in self.profiles.values() if p.values.get(name) == given[key]]
        seen = [profile for profile in found if not profile.unseen]
        for profile in found:
            profile.unseen = max(0, profile.unseen - 1)
        known = {profile.external_id for profile in seen}
        return {
            "message": "success",
            "users": [_shown(profile, fields) for profile in seen],
            "invalid_user_ids": [x for x in ids if x not in known],
        }

    def delete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """For good, by one kind of identifier."""
        kinds = [kind for kind in _DELETED_BY if kind in given]
        if len(kinds) != 1 or set(given) - set(kinds):
            raise BrazeError("one kind of identifier is deleted by")
        ids = given[kinds[0]]
        if not isinstance(ids, list) or not 1 <= len(ids) <= IDS_MAX:
            raise BrazeError(f"1 to {IDS_MAX} identifiers")
        of = "external_id" if kinds[0] == "external_ids" else "braze_id"
        gone = [p.external_id for p in self.profiles.values() if getattr(p, of) in ids]
        for name in gone:
            del self.profiles[name]
        return {"message": "success", "deleted": len(gone)}

    def _write(self, entry: Any) -> None:
        if not isinstance(entry, dict) or not any(entry.get(k) for k in _IDENTIFIERS):
            raise _ObjectError("'external_id' or 'braze_id' or 'user_alias' is required")
        name = entry.get("external_id")
        if not isinstance(name, str) or not name:
            raise _ObjectError(f"external_id is no text: {name}")
        kept = {k: _checked(k, v) for k, v in entry.items() if k not in _OTHER}
        groups = _groups(entry.get("subscription_groups", []))
        profile = self.profiles.get(name)
        if profile is None:
            if entry.get("_update_existing_only"):
                return
            self.made += 1
            profile = Profile(braze_id=f"{self.made:024x}", external_id=name, unseen=self.lag)
            self.profiles[name] = profile
        for key, value in kept.items():
            # What is no number or address is passed over without a word.
            if key == "phone" and value is not None and not _PHONE.fullmatch(value):
                continue
            if key == "email" and value is not None and not _EMAIL.fullmatch(value):
                continue
            if value is None:
                profile.values.pop(key, None)
            else:
                profile.values[key] = value.lower() if key == "email" else value
        profile.groups.update(groups)


_OTHER = ("external_id", "_update_existing_only", "subscription_groups")


def _checked(name: str, value: Any) -> Any:
    """A value as it is kept."""
    if name.startswith(("_", "$")) or name in ("user_alias", "braze_id", "push_tokens"):
        raise _ObjectError(f"{name} is not played")
    if value is None:
        return None
    if name in _TEXTS and not isinstance(value, str):
        raise _ObjectError(f"{name} is no text: {value}")
    if name in ("email_subscribe", "push_subscribe") and value not in STATES:
        raise _ObjectError(f"{name} is none of {STATES}: {value}")
    if isinstance(value, list):
        if not all(isinstance(x, str | int | float) for x in value):
            raise _ObjectError(f"{name} is a list of other things: {value}")
        return value[:LIST_ITEMS_MAX]
    if not isinstance(value, str | int | float):
        raise _ObjectError(f"{name} is nested: {value}")
    return value


def _groups(given: Any) -> dict[str, str]:
    if not isinstance(given, list):
        raise _ObjectError("subscription_groups is a list")
    found = {}
    for entry in given:
        group, state = entry.get("subscription_group_id"), entry.get("subscription_state")
        if not isinstance(group, str) or state not in ("subscribed", "unsubscribed"):
            raise _ObjectError("a subscription group has an id and a state")
        found[group] = str(state)
    return found


def _shown(profile: Profile, fields: list[str]) -> dict[str, Any]:
    """As little as there is: what is missing is empty."""
    own = {"external_id": profile.external_id, "braze_id": profile.braze_id}
    made = {k: v for k, v in {**own, **profile.values}.items() if k in fields}
    custom = {k: v for k, v in profile.values.items() if k not in _TEXTS}
    return made | ({"custom_attributes": custom} if "custom_attributes" in fields else {})


def _object(request: Request, body: bytes) -> Mapping[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if request.method != "POST" or kind != "application/json":
        raise BrazeError("JSON is posted here", status=400)
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BrazeError("no JSON") from None
    if not isinstance(given, dict):
        raise BrazeError("no object")
    return given
