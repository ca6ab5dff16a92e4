"""Salesforce's records as the sandbox keeps them: fields with types, and one error shape."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[A-Za-z]{2,}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TEXTS = ("string", "email", "phone", "textarea", "picklist", "multipicklist", "reference")
_JSON = {"double": (int, float), "boolean": (bool,), "date": (str,), "datetime": (str,)}


class SalesforceError(Exception):
    """A refusal of a whole call; like Salesforce's, `message` may hold what was sent."""

    def __init__(self, code: str, message: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def body(self) -> list[dict[str, Any]]:
        """The list of errors that is answered."""
        return [{"message": self.message, "errorCode": self.code}]


class RowError(Exception):
    """A refusal of one row."""

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.code, self.message, self.fields = code, message, fields

    def entry(self) -> dict[str, Any]:
        """As a collection's answer has it."""
        error = {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}
        return {"success": False, "errors": [error]}

    def line(self) -> str:
        """As a file of failed rows has it."""
        return f"{self.code}:{self.message}:{' '.join(self.fields) or '--'}"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an object."""

    name: str
    type: str = "string"
    length: int = 255
    required: bool = False
    external: bool = False
    unique: bool = False
    case_sensitive: bool = False
    read_only: bool = False
    options: tuple[str, ...] = ()
    relationship: str = ""
    refers_to: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As the description of an object shows it."""
        return {
            "name": self.name,
            "label": self.name,
            "type": self.type,
            "length": self.length if self.type in _TEXTS else 0,
            "nillable": not self.required and self.type != "boolean",
            "defaultedOnCreate": self.type == "boolean" or self.read_only,
            "createable": not self.read_only,
            "updateable": not self.read_only,
            "externalId": self.external,
            "idLookup": self.external or self.type == "email",
            "unique": self.unique,
            "caseSensitive": self.case_sensitive,
            "filterable": self.type != "textarea",
            "calculated": False,
            "relationshipName": self.relationship or None,
            "referenceTo": [self.refers_to] if self.refers_to else [],
            "picklistValues": [{"value": o, "active": True} for o in self.options],
        }

    def of_json(self, value: Any) -> Any:
        """A value as JSON has it.

        Raises:
            SalesforceError: it is of another kind, for which the whole call is refused.
        """
        if value is None:
            return None
        wanted = _JSON.get(self.type, (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise SalesforceError(
                "JSON_PARSER_ERROR",
                f"Cannot deserialize instance of {self.type} from {value!r} at {self.name}",
            )
        return value

    def of_text(self, text: str) -> Any:
        """A value as CSV has it; `#N/A` is none."""
        if text == "#N/A":
            return None
        if self.type == "boolean":
            return text.lower() == "true"
        if self.type == "double":
            if not _NUMBER.fullmatch(text):
                raise RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", f"value not number: {text}")
            return float(text)
        return text

    def checked(self, value: Any) -> Any:
        """What is kept of a value.

        Raises:
            RowError: it is not one that the field takes.
        """
        if self.read_only:
            raise RowError(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {self.name}.",
                self.name,
            )
        if isinstance(value, str):
            value = value.strip()
        if value in (None, ""):
            return False if self.type == "boolean" else None
        if isinstance(value, str) and len(value) > self.length:
            raise RowError(
                "STRING_TOO_LONG", f"{self.name}: data value too large: {value}", self.name
            )
        self._require_form(value)
        return value

    def _require_form(self, value: Any) -> None:
        wrong = ""
        match self.type:
            case "email" if not EMAIL.fullmatch(value):
                wrong = "INVALID_EMAIL_ADDRESS"
            case "picklist" if value not in self.options:
                wrong = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
            case "multipicklist" if any(v not in self.options for v in value.split(";")):
                wrong = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
            case "date" if not _DATE.fullmatch(value):
                wrong = "INVALID_TYPE_ON_FIELD_IN_RECORD"
            case "datetime" if not _TIME.fullmatch(value):
                wrong = "INVALID_TYPE_ON_FIELD_IN_RECORD"
        if wrong:
            raise RowError(wrong, f"{self.name}: invalid value: {value}", self.name)


@dataclass(kw_only=True)
class Record:
    """One record; deleted ones are in the recycle bin."""

    record_id: str
    values: dict[str, Any]
    deleted: bool = False

    def get(self, name: str) -> Any:
        """A field's value."""
        return self.record_id if name == "Id" else self.values.get(name)


@dataclass(kw_only=True)
class Objects:
    """All records of one object.

    Args:
        name: of the object.
        prefix: of ids.
        fields: by name.
    """

    name: str
    prefix: str
    fields: Mapping[str, Field]
    records: dict[str, Record] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, name: str, value: Any) -> Record | None:
        """The record that a unique external id names."""
        return self.records.get(self._by_key.get((name, self._fold(name, value)), ""))

    def there(self, record_id: Any) -> Record:
        """A record that is not deleted, by its id.

        Raises:
            RowError: there is none.
        """
        record = self.records.get(str(record_id))
        if record is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if record.deleted:
            raise RowError("ENTITY_IS_DELETED", "entity is deleted")
        return record

    def write(self, record: Record | None, values: Mapping[str, Any]) -> tuple[Record, bool]:
        """Create or update; whether it is new.

        Raises:
            RowError: nothing is written.
        """
        kept = {name: self.fields[name].checked(value) for name, value in values.items()}
        whole = {**(record.values if record else {}), **kept}
        missing = [n for n, f in self.fields.items() if f.required and whole.get(n) is None]
        if missing:
            raise RowError(
                "REQUIRED_FIELD_MISSING", f"Required fields are missing: {missing}", *missing
            )
        for name in self._unique():
            other = self.find(name, whole.get(name)) if whole.get(name) is not None else None
            if other is not None and other is not record:
                raise RowError("DUPLICATE_VALUE", f"duplicate value found: {name}", name)
        is_new = record is None
        if record is None:
            record = Record(record_id=f"{self.prefix}{next(self._numbers):012d}AAA", values={})
            self.records[record.record_id] = record
        self._note(record, present=False)
        record.values.update(kept)
        self._note(record, present=True)
        return record, is_new

    def delete(self, record: Record) -> None:
        """Into the recycle bin."""
        self._note(record, present=False)
        record.deleted = True

    def erase(self, record: Record) -> None:
        """For good."""
        self._note(record, present=False)
        del self.records[record.record_id]

    def _unique(self) -> list[str]:
        return [name for name, f in self.fields.items() if f.unique]

    def _note(self, record: Record, *, present: bool) -> None:
        for name in self._unique():
            value = record.values.get(name)
            if value is None:
                continue
            pair = (name, self._fold(name, value))
            if present:
                self._by_key[pair] = record.record_id
            else:
                self._by_key.pop(pair, None)

    def _fold(self, name: str, value: Any) -> str:
        text = str(value).strip()
        return text if self.fields[name].case_sensitive else text.lower()


def typed(
    objects: Objects, given: Mapping[str, Any], read: Callable[[Field, Any], Any], resolve: Any
) -> dict[str, Any]:
    """Values by field, of JSON or CSV.

    Args:
        objects: that the row is of.
        given: names and values; a lookup is an object in JSON, and has a dot in CSV.
        read: a value of a field.
        resolve: gives a lookup's field, and the id that another object's key names.

    Raises:
        RowError: a field is not there, or names no record.
    """
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in objects.fields:
            made[name] = read(objects.fields[name], value)
            continue
        found = resolve(objects, name, value)
        if found is None:
            raise RowError(
                "INVALID_FIELD", f"No such column '{name}' on sobject of type {objects.name}", name
            )
        made[found[0]] = found[1]
    return made


_FLAGS = ("HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall")
_NUMBER_FIELD = Field(name="Number__c", external=True, unique=True)
_PERSON = (
    Field(name="LastName", length=80, required=True),
    Field(name="FirstName", length=40),
    Field(name="Email", type="email", length=80),
    Field(name="Phone", type="phone", length=40),
    *(Field(name=name, type="boolean") for name in _FLAGS),
    Field(name="IndividualId", type="reference", relationship="Individual", refers_to="Individual"),
    Field(name="Customer_Number__c", external=True, unique=True),
    Field(name="Code__c", external=True, unique=True, case_sensitive=True),
    Field(name="Loose__c", external=True),
    Field(name="Points__c", type="double"),
    Field(name="Rank__c", type="double", external=True, unique=True),
    Field(name="Vip__c", type="boolean"),
    Field(name="Birthdate", type="date"),
    Field(name="Seen__c", type="datetime"),
    Field(name="Interests__c", type="multipicklist", options=("shoes", "hats", "bags")),
    Field(name="Description", type="textarea", length=32_000),
    Field(name="CreatedDate", type="datetime", read_only=True),
)
_ACCOUNT = Field(name="AccountId", type="reference", relationship="Account", refers_to="Account")
_STATES = ("OptIn", "OptOut", "Seen", "NotSeen")
_POINTS = ("Email", "Phone", "MailingAddress", "Social", "Web")
KINDS: Mapping[str, tuple[str, tuple[Field, ...]]] = {
    "Contact": ("003", (*_PERSON, _ACCOUNT)),
    "Lead": ("00Q", (*_PERSON, Field(name="Company", required=True))),
    "Account": ("001", (Field(name="Name", required=True), _NUMBER_FIELD)),
    "Individual": (
        "0PK",
        (
            Field(name="LastName", length=80, required=True),
            _NUMBER_FIELD,
            Field(name="HasOptedOutSolicit", type="boolean"),
            Field(name="HasOptedOutProcessing", type="boolean"),
        ),
    ),
    "DataUsePurpose": ("0ZW", (Field(name="Name", required=True),)),
    "ContactPointTypeConsent": (
        "0ZX",
        (
            Field(name="Name", required=True),
            Field(name="PartyId", type="reference", required=True, refers_to="Individual"),
            Field(name="ContactPointType", type="picklist", options=_POINTS, required=True),
            Field(name="DataUsePurposeId", type="reference", refers_to="DataUsePurpose"),
            Field(name="PrivacyConsentStatus", type="picklist", options=_STATES, required=True),
            Field(name="CaptureDate", type="datetime"),
            Field(name="CaptureSource"),
        ),
    ),
    "Organization": ("00D", (Field(name="Name"),)),
}
