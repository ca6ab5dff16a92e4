"""HubSpot's records as the sandbox keeps them: properties with types, and one error shape."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

INPUTS_MAX = 100
VALUE_CHARACTERS_MAX = 65_536
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_NOW = "2026-11-29T00:00:00.000Z"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DAY_MS = 86_400_000


class HubspotError(Exception):
    """An answer in HubSpot's error envelope; like HubSpot's, `message` may hold what was sent."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        category: str = "VALIDATION_ERROR",
        details: list[dict[str, Any]] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.category = category
        self.details = details or []
        self.more = dict(more or {})

    def to_dict(self) -> dict[str, Any]:
        """The envelope."""
        made: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
            **self.more,
        }
        return made | ({"errors": self.details} if self.details else {})


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a type of object."""

    name: str
    type: str = "string"
    unique: bool = False
    read_only: bool = False
    options: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As the list of properties shows it."""
        return {
            "name": self.name,
            "label": self.name,
            "description": "",
            "groupName": "information",
            "type": self.type,
            "fieldType": "text",
            "options": [{"label": o, "value": o, "hidden": False} for o in self.options],
            "hasUniqueValue": self.unique,
            "calculated": False,
            "archived": False,
            "modificationMetadata": {
                "archivable": False,
                "readOnlyDefinition": True,
                "readOnlyValue": self.read_only,
            },
        }

    def fault(self, value: str) -> str:
        """HubSpot's code for a value that it does not take; empty where it takes it."""
        if self.read_only:
            return "READ_ONLY_VALUE"
        if len(value) > VALUE_CHARACTERS_MAX:
            return "VALUE_TOO_LONG"
        if value == "":
            return ""
        match self.type:
            case "number":
                return "" if _NUMBER.fullmatch(value) else "INVALID_LONG"
            case "bool":
                return "" if value in ("true", "false") else "INVALID_OPTION"
            case "enumeration":
                wrong = [v for v in value.split(";") if v not in self.options]
                return "INVALID_OPTION" if wrong else ""
            case "date":
                return _date_fault(value)
            case "datetime":
                iso = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z?)?", value)
                return "" if iso or re.fullmatch("-?[0-9]{1,15}", value) else "INVALID_DATE"
        if self.name == "email":
            return "" if _EMAIL.fullmatch(value) else "INVALID_EMAIL"
        return ""


def _date_fault(value: str) -> str:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return ""
    if not re.fullmatch("-?[0-9]{1,15}", value):
        return "INVALID_DATE"
    return "" if int(value) % _DAY_MS == 0 else "DATE_NOT_MIDNIGHT"


_TEXTS = ("email", "firstname", "lastname", "phone", "city", "country")
CONTACTS = (
    *(Property(name=name) for name in _TEXTS),
    Property(name="customer_no", unique=True),
    Property(name="points", type="number"),
    Property(name="is_vip", type="bool"),
    Property(name="joined_on", type="date"),
    Property(name="seen_at", type="datetime"),
    Property(name="interests", type="enumeration", options=("shoes", "hats", "bags")),
    Property(name="hs_object_id", read_only=True, unique=True),
    Property(name="createdate", type="datetime", read_only=True),
)
COMPANIES = (
    Property(name="name"),
    Property(name="domain"),
    Property(name="account_no", unique=True),
)


@dataclass(kw_only=True)
class Record:
    """One record; archived ones are in the recycle bin."""

    record_id: str
    properties: dict[str, str]
    archived: bool = False

    def to_dict(self, names: tuple[str, ...] = ()) -> dict[str, Any]:
        """As answers show it."""
        shown = {n: self.properties.get(n) for n in names} if names else dict(self.properties)
        return {
            "id": self.record_id,
            "properties": {**shown, "hs_object_id": self.record_id},
            "createdAt": _NOW,
            "updatedAt": _NOW,
            "archived": self.archived,
        }


@dataclass(kw_only=True)
class Objects:
    """All records of one type."""

    kind: str
    properties: Mapping[str, Property]
    records: dict[str, Record] = field(default_factory=dict)
    active: dict[tuple[str, str], str] = field(default_factory=dict)
    pairs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    made: int = 500

    def find(self, name: str, value: str, *, archived: bool = False) -> Record | None:
        """A record by its id or by a unique property."""
        if name == "":
            record = self.records.get(value)
            return record if record is not None and record.archived == archived else None
        self.require_unique(name)
        wanted = self._fold(name, value)
        if not archived:
            return self.records.get(self.active.get((name, wanted), ""))
        bin_ = (r for r in self.records.values() if r.archived)
        return next((r for r in bin_ if self._fold(name, r.properties.get(name)) == wanted), None)

    def require_unique(self, name: str) -> None:
        """Refuse a property that names no record."""
        if name == "email" and self.kind == "contacts":
            return
        known = self.properties.get(name)
        if known is None or not known.unique:
            raise HubspotError(f"Unable to perform update/upsert by non-unique property {name}")

    def faults(self, properties: Any) -> list[dict[str, Any]]:
        """What is wrong with values, in HubSpot's own words, which repeat them.

        Raises:
            HubspotError: a property is not there, or a value is no text.
        """
        if not isinstance(properties, dict) or not all(
            isinstance(v, str) for v in properties.values()
        ):
            raise HubspotError("Invalid input JSON: property values are strings.")
        missing = [name for name in properties if name not in self.properties]
        if missing:
            entry = {
                "isValid": False,
                "message": f'Property "{missing[0]}" does not exist',
                "error": "PROPERTY_DOESNT_EXIST",
                "name": missing[0],
            }
            raise HubspotError(_not_valid([entry]))
        found = []
        for name, value in properties.items():
            fault = self.properties[name].fault(value)
            if fault:
                found.append(
                    {
                        "isValid": False,
                        "message": f"{value} was not valid.",
                        "error": fault,
                        "name": name,
                    }
                )
        return found

    def holder(self, key: str, value: str, properties: Mapping[str, str]) -> str:
        """Id of another record that has one of the unique values; empty where there is none."""
        mine = self.active.get((key, self._fold(key, value)))
        for name, text in properties.items():
            other = self.active.get((name, self._fold(name, text)), "")
            if text and other not in ("", mine):
                return other
        return ""

    def write(self, key: str, value: str, properties: Mapping[str, str]) -> tuple[Record, bool]:
        """Create or update by a unique property; whether it is new."""
        record = self.find(key, value)
        is_new = record is None
        if record is None:
            self.made += 1
            record = Record(record_id=str(self.made), properties={key: value})
            self.records[record.record_id] = record
        for name, text in properties.items():
            if text == "":
                record.properties.pop(name, None)
            else:
                record.properties[name] = text.lower() if name == "email" else text
        self._note(record, present=True)
        return record, is_new

    def archive(self, record: Record) -> None:
        """Into the recycle bin."""
        self._note(record, present=False)
        record.archived = True

    def delete(self, record: Record) -> None:
        """For good."""
        self._note(record, present=False)
        del self.records[record.record_id]

    def _note(self, record: Record, *, present: bool) -> None:
        """Keep the index of active records by their unique values."""
        for pair in self.pairs.pop(record.record_id, ()):
            self.active.pop(pair, None)
        for name, value in record.properties.items() if present else ():
            if name == "email" or self.properties[name].unique:
                pair = (name, self._fold(name, value))
                self.active[pair] = record.record_id
                self.pairs.setdefault(record.record_id, []).append(pair)

    def _fold(self, name: str, value: str | None) -> str:
        return (value or "").strip().lower() if name == "email" else value or ""


def _not_valid(entries: list[dict[str, Any]]) -> str:
    return f"Property values were not valid: {orjson.dumps(entries).decode()}"


def conflict(other: str, trace: str) -> dict[str, Any]:
    """One row's error where another record has its address, or another unique value."""
    return {
        "status": "error",
        "category": "CONFLICT",
        "message": f"Contact already exists. Existing ID: {other}",
        "context": {"objectWriteTraceId": [trace]},
        "errors": [],
        "links": {},
    }


def row_error(entries: list[dict[str, Any]], trace: str) -> dict[str, Any]:
    """One row's error of a 207."""
    return {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": _not_valid(entries),
        "context": {"objectWriteTraceId": [trace]},
        "errors": [],
        "links": {},
    }
