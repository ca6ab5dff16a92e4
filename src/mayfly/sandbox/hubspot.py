"""HubSpot's accounts in memory: objects, lists and subscriptions, as strict as HubSpot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mayfly.sandbox.hubspot_records import (
    COMPANIES,
    CONTACTS,
    INPUTS_MAX,
    HubspotError,
    Objects,
    conflict,
    row_error,
)

_TIMES = {"startedAt": "2026-11-29T00:00:00.000Z", "completedAt": "2026-11-29T00:00:01.000Z"}
_UPSERT = {"id", "idProperty", "objectWriteTraceId", "properties"}
_STATES = ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SPECIFIED")
_BASES = (
    *("LEGITIMATE_INTEREST_PQL", "LEGITIMATE_INTEREST_CLIENT", "LEGITIMATE_INTEREST_OTHER"),
    *("PERFORMANCE_OF_CONTRACT", "CONSENT_WITH_NOTICE", "PROCESS_AND_STORE", "NON_GDPR"),
)


@dataclass(kw_only=True)
class StaticList:
    """One list; DYNAMIC ones take no members by hand."""

    list_id: str
    name: str
    object_type: str
    processing: str
    members: set[str] = field(default_factory=set)

    def to_dict(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "listId": self.list_id,
            "listVersion": 1,
            "name": self.name,
            "objectTypeId": self.object_type,
            "processingType": self.processing,
            "processingStatus": "COMPLETE",
            "size": len(self.members),
        }


class Hubspot:
    """One account.

    Args:
        portal_id: Hub ID.
        region: where its data is.
        needs_basis: whether data-privacy settings are on, so that a yes needs a legal basis.
    """

    def __init__(
        self, *, portal_id: int = 1234567, region: str = "na1", needs_basis: bool = True
    ) -> None:
        self.portal_id, self.region, self.needs_basis = portal_id, region, needs_basis
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.objects = {
            "contacts": Objects(kind="contacts", properties={p.name: p for p in CONTACTS}),
            "companies": Objects(kind="companies", properties={p.name: p for p in COMPANIES}),
        }
        self.lists: dict[str, StaticList] = {}
        self.subscriptions = {4471: True, 4472: True, 4473: False}
        self.statuses: dict[tuple[str, int], str] = {}
        self.unsubscribed_from_all: set[str] = set()
        self.blocked: set[str] = set()

    def details(self) -> dict[str, Any]:
        """The account."""
        return {
            "portalId": self.portal_id,
            "accountType": "DEVELOPER_TEST",
            "timeZone": "Europe/Paris",
            "companyCurrency": "EUR",
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": self.region,
        }

    def of(self, kind: str) -> Objects:
        """All of one type of object."""
        named = {"0-1": "contacts", "0-2": "companies"}.get(kind, kind)
        if named not in self.objects:
            raise HubspotError(
                f"Unable to infer object type from: {kind}",
                status=404,
                category="OBJECT_NOT_FOUND",
            )
        return self.objects[named]

    # -- objects ------------------------------------------------------------------------------

    def upsert(self, kind: str, body: Any, *, refuse_first: bool) -> tuple[int, dict[str, Any]]:
        """Create and update by a unique property.

        Rows are refused one by one only where each has a trace id of its own; else the first that
        is wrong refuses all.
        """
        objects, inputs = self.of(kind), _inputs(body)
        keys = {str(i.get("idProperty", "")) for i in inputs}
        for entry in inputs:
            if set(entry) - _UPSERT or not isinstance(entry.get("id"), str):
                raise HubspotError("Invalid input JSON: an input has other fields.")
        if len(keys) > 1:
            raise HubspotError("All inputs must have the same idProperty.")
        key = keys.pop() if keys else "email"
        objects.require_unique(key)
        _refuse_doubles(inputs, fold=key == "email")
        traces = [entry.get("objectWriteTraceId") for entry in inputs]
        named = all(isinstance(t, str) and t for t in traces) and len(set(traces)) == len(traces)
        faults = [objects.faults(entry.get("properties")) for entry in inputs]
        if refuse_first and faults:
            faults[0] = [{"isValid": False, "error": "FAILED_CUSTOM_VALIDATION", "name": key}]
        if any(faults) and not named:
            wrong = next(f for f in faults if f)
            raise HubspotError(row_error(wrong, "")["message"])
        results, errors = [], []
        for entry, trace, wrong in zip(inputs, traces, faults, strict=True):
            if wrong:
                errors.append(row_error(wrong, str(trace)))
                continue
            other = objects.holder(key, entry["id"], entry["properties"])
            if other and not named:
                raise HubspotError(conflict(other, "")["message"], status=409, category="CONFLICT")
            if other:
                errors.append(conflict(other, str(trace)))
                continue
            record, is_new = objects.write(key, entry["id"], entry["properties"])
            shown = record.to_dict() | {"new": is_new}
            results.append(shown | ({"objectWriteTraceId": trace} if trace else {}))
        return _batch(results, errors)

    def read(self, kind: str, body: Any, *, archived: bool) -> tuple[int, dict[str, Any]]:
        """Records by id or by a unique property."""
        objects, inputs = self.of(kind), _inputs(body)
        if not isinstance(body.get("properties"), list) or not isinstance(
            body.get("propertiesWithHistory"), list
        ):
            raise HubspotError("Invalid input JSON: properties and propertiesWithHistory.")
        _refuse_doubles(inputs, fold=False)
        key, names = str(body.get("idProperty") or ""), tuple(body["properties"])
        found, missing = [], []
        for entry in inputs:
            record = objects.find(key, str(entry.get("id")), archived=archived)
            if record is None:
                missing.append(str(entry.get("id")))
            else:
                found.append(record.to_dict(names))
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some objects, they may be deleted or not exist.",
            "context": {"ids": missing},
            "errors": [],
            "links": {},
        }
        return _batch(found, [error] if missing else [])

    def archive(self, kind: str, body: Any) -> None:
        """Into the recycle bin; who is not there is passed over."""
        objects = self.of(kind)
        for entry in _inputs(body):
            record = objects.records.get(str(entry.get("id")))
            if record is not None:
                objects.archive(record)
                self._leave_lists(record.record_id)

    def purge(self, kind: str, body: Any) -> None:
        """Delete a contact for good; an address that is none's is blocked."""
        if not isinstance(body, dict) or not isinstance(body.get("objectId"), str):
            raise HubspotError("Invalid input JSON: objectId.")
        objects = self.of(kind)
        if objects.kind != "contacts":
            raise HubspotError("Not found", status=404, category="OBJECT_NOT_FOUND")
        key, value = str(body.get("idProperty") or ""), body["objectId"]
        record = objects.find(key, value) or objects.find(key, value, archived=True)
        if record is None:
            if key == "email":
                self.blocked.add(value.lower())
            return
        objects.delete(record)
        self._leave_lists(record.record_id)

    def one(self, kind: str, value: str, key: str, *, archived: bool = False) -> dict[str, Any]:
        """A single record."""
        record = self.of(kind).find(key, value, archived=archived)
        if record is None:
            raise HubspotError("resource not found", status=404, category="OBJECT_NOT_FOUND")
        return record.to_dict()

    # -- lists --------------------------------------------------------------------------------

    def make_list(self, body: Any) -> dict[str, Any]:
        """Make a list."""
        given = body if isinstance(body, dict) else {}
        name, kind = given.get("name"), given.get("objectTypeId")
        processing = given.get("processingType")
        if not isinstance(name, str) or not name or kind not in ("0-1", "0-2"):
            raise HubspotError("Invalid input JSON: name and objectTypeId.")
        if processing not in ("MANUAL", "SNAPSHOT", "DYNAMIC"):
            raise HubspotError("processingType must be one of MANUAL, SNAPSHOT, DYNAMIC.")
        if any(item.name == name for item in self.lists.values()):
            raise HubspotError(f"List name {name} is in use.")
        made = StaticList(
            list_id=str(1 + len(self.lists)), name=name, object_type=kind, processing=processing
        )
        self.lists[made.list_id] = made
        return {"list": made.to_dict()}

    def list_of(self, list_id: str) -> StaticList:
        """A list by its id."""
        found = self.lists.get(list_id)
        if found is None:
            raise HubspotError("List not found", status=404, category="OBJECT_NOT_FOUND")
        return found

    def list_named(self, kind: str, name: str) -> dict[str, Any]:
        """A list by its name."""
        items = self.lists.values()
        found = next((x for x in items if x.object_type == kind and x.name == name), None)
        return {"list": self.list_of("" if found is None else found.list_id).to_dict()}

    def change_members(self, list_id: str, add: Any, remove: Any) -> dict[str, Any]:
        """Record ids into a static list and out of it."""
        found = self.list_of(list_id)
        if found.processing == "DYNAMIC":
            raise HubspotError("Membership of a DYNAMIC list cannot be changed.")
        for ids in (add, remove):
            if not isinstance(ids, list) or not all(isinstance(x, str | int) for x in ids):
                raise HubspotError("Invalid input JSON: an array of record ids.")
        there = {r.record_id for r in self.of(found.object_type).records.values() if not r.archived}
        adding, removing = ([str(x) for x in ids] for ids in (add, remove))
        missing = [x for x in (*adding, *removing) if x not in there]
        added = [x for x in adding if x in there and x not in found.members]
        removed = [x for x in removing if x in found.members]
        found.members = (found.members | set(added)) - set(removed)
        return {
            "recordsIdsAdded": added,
            "recordIdsRemoved": removed,
            "recordIdsMissing": missing,
        }

    def _leave_lists(self, record_id: str) -> None:
        for item in self.lists.values():
            item.members.discard(record_id)

    # -- subscriptions ------------------------------------------------------------------------

    def definitions(self) -> dict[str, Any]:
        """Subscription types."""
        results = [
            {
                "id": str(number),
                "name": f"Type {number}",
                "description": "",
                "isActive": active,
                "isDefault": False,
                "isInternal": False,
                "createdAt": _TIMES["startedAt"],
                "updatedAt": _TIMES["startedAt"],
            }
            for number, active in self.subscriptions.items()
        ]
        return {"status": "COMPLETE", "results": results, **_TIMES}

    def statuses_of(self, addresses: Any) -> dict[str, Any]:
        """Of every subscription type, for some people."""
        results = [
            {
                "subscriberIdString": address,
                "statuses": [self._status(address, n) for n in self.subscriptions],
            }
            for address in _addresses(addresses)
        ]
        return {"status": "COMPLETE", "results": results, **_TIMES}

    def wide_statuses_of(self, addresses: Any) -> dict[str, Any]:
        """Of all mail, for some people."""
        results = []
        for address in _addresses(addresses):
            refused = address.lower() in self.unsubscribed_from_all
            wide = {
                "channel": "EMAIL",
                "status": "UNSUBSCRIBED" if refused else "NOT_SPECIFIED",
                "subscriberIdString": address,
                "wideStatusType": "PORTAL_WIDE",
                "timestamp": _TIMES["startedAt"],
            }
            results.append({"subscriberIdString": address, "wideStatuses": [wide]})
        return {"status": "COMPLETE", "results": results, **_TIMES}

    def write_statuses(self, body: Any) -> dict[str, Any]:
        """Set statuses; who refused is subscribed anew, as HubSpot says by its reason."""
        results = []
        for entry in _inputs(body):
            address, number = entry.get("subscriberIdString"), entry.get("subscriptionId")
            state, basis = entry.get("statusState"), entry.get("legalBasis")
            if entry.get("channel") != "EMAIL" or state not in _STATES:
                raise HubspotError("Invalid input JSON: channel and statusState.")
            if not isinstance(address, str) or "@" not in address:
                raise HubspotError(f"{address} is not an address.")
            if not isinstance(number, int) or not self.subscriptions.get(number):
                raise HubspotError(f"Subscription {number} does not exist.")
            if basis not in (None, *_BASES):
                raise HubspotError("Invalid input JSON: legalBasis.")
            if (
                state == "SUBSCRIBED"
                and self.needs_basis
                and not (basis and entry.get("legalBasisExplanation"))
            ):
                raise HubspotError("legalBasis and legalBasisExplanation are required.")
            results.append(self._set(address, number, state))
        return {"status": "COMPLETE", "results": results, **_TIMES}

    def unsubscribe_all(self, addresses: Any) -> dict[str, Any]:
        """No mail at all for some people."""
        self.unsubscribed_from_all |= {address.lower() for address in _addresses(addresses)}
        return self.wide_statuses_of(addresses)

    def _set(self, address: str, number: int, state: str) -> dict[str, Any]:
        pair = (address.lower(), number)
        before = self.statuses.get(pair, "NOT_SPECIFIED")
        everything = address.lower() in self.unsubscribed_from_all
        self.statuses[pair] = state
        if before == state:
            reason = "NO_STATUS_CHANGE"
        elif state == "SUBSCRIBED" and (before == "UNSUBSCRIBED" or everything):
            reason = "RESUBSCRIBE_OCCURRED"
        else:
            reason = "REQUESTED_CHANGE_OCCURRED"
        return self._status(address, number) | {"setStatusSuccessReason": reason}

    def _status(self, address: str, number: int) -> dict[str, Any]:
        return {
            "channel": "EMAIL",
            "source": "PUBLIC_STATUS_API",
            "status": self.statuses.get((address.lower(), number), "NOT_SPECIFIED"),
            "subscriberIdString": address,
            "subscriptionId": number,
            "timestamp": _TIMES["startedAt"],
        }


def _inputs(body: Any) -> list[dict[str, Any]]:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(entry, dict) for entry in inputs):
        raise HubspotError("Invalid input JSON: inputs.")
    if not 1 <= len(inputs) <= INPUTS_MAX:
        raise HubspotError(f"The batch must have 1 to {INPUTS_MAX} inputs.")
    return inputs


def _addresses(body: Any) -> list[str]:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= INPUTS_MAX:
        raise HubspotError("Invalid input JSON: inputs.")
    if not all(isinstance(x, str) and "@" in x for x in inputs):
        raise HubspotError("Invalid input JSON: an input is no address.")
    return inputs


def _refuse_doubles(inputs: Sequence[Mapping[str, Any]], *, fold: bool) -> None:
    ids = [str(entry.get("id")).lower() if fold else str(entry.get("id")) for entry in inputs]
    if len(set(ids)) != len(ids):
        raise HubspotError("Duplicate IDs found in batch input")


def _batch(results: list[Any], errors: list[Any]) -> tuple[int, dict[str, Any]]:
    made = {"status": "COMPLETE", "results": results, **_TIMES}
    if not errors:
        return 200, made
    return 207, made | {"numErrors": len(errors), "errors": errors}
