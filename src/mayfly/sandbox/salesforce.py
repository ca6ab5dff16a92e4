"""Salesforce's organisation in memory: records, questions and collections, as strict as it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mayfly.sandbox.salesforce_records import (
    KINDS,
    Field,
    Objects,
    Record,
    RowError,
    SalesforceError,
    typed,
)

COLLECTION_MAX, RETRIEVED_MAX, FOUND_MAX = 200, 2_000, 2_000
QUESTION_CHARACTERS_MAX = 100_000
_TEXT = r"'(?:[^'\\]|\\.)*'"
_QUESTION = re.compile(
    rf"SELECT ([A-Za-z0-9_, ]+) FROM ([A-Za-z0-9_]+)"
    rf"(?: WHERE ([A-Za-z0-9_]+) IN \(({_TEXT}(?:,{_TEXT})*)\))?"
    rf"((?: AND [A-Za-z0-9_]+ = {_TEXT})*)",
    re.DOTALL,
)
_ALSO = re.compile(rf" AND ([A-Za-z0-9_]+) = ({_TEXT})", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
PURPOSE = "0ZW000000000001AAA"


class Salesforce:
    """One organisation.

    Attributes:
        objects: by name.
        organisation: its id.
        used, most: calls of 24 hours, as each answer says.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything but one purpose."""
        self.objects = {
            name: Objects(name=name, prefix=prefix, fields={f.name: f for f in fields})
            for name, (prefix, fields) in KINDS.items()
        }
        self.objects["DataUsePurpose"].write(None, {"Name": "Offers"})
        self.organisation = "00D000000000001AAA"
        self.used, self.most = 18, 15_000

    def of(self, kind: str) -> Objects:
        """All of one object."""
        if kind not in self.objects:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)
        return self.objects[kind]

    def describe(self, kind: str) -> dict[str, Any]:
        """An object and its fields."""
        objects = self.of(kind)
        identity = Field(name="Id", type="id", length=18, read_only=True)
        fields = [f.to_dict() for f in (identity, *objects.fields.values())]
        return {"name": kind, "keyPrefix": objects.prefix, "queryable": True, "fields": fields}

    # -- rows ----------------------------------------------------------------------------------

    def resolve(self, objects: Objects, name: str, value: Any) -> tuple[str, Any] | None:
        """A lookup's field, and the id of the record that another object's key names."""
        path, _, key = name.partition(".")
        lookup = next((f for f in objects.fields.values() if f.relationship == path), None)
        if lookup is None:
            return None
        given = {key: value} if key else value
        if not isinstance(given, Mapping) or len(given) != 1:
            raise RowError("INVALID_FIELD", "a lookup has one external id", name)
        [(key, text)] = given.items()
        other = self.of(lookup.refers_to)
        found = other.find(key, text) if key in other.fields and other.fields[key].unique else None
        if found is None:
            raise RowError(
                "INVALID_FIELD",
                f"Foreign key external ID: {text} not found for field {key}",
                name,
            )
        return lookup.name, found.record_id

    def upsert(self, kind: str, key: str, values: Mapping[str, Any]) -> tuple[Record, bool]:
        """Write by an external id.

        Raises:
            RowError: nothing is written.
        """
        objects = self.of(kind)
        name = values.get(key)
        if name is None or not str(name).strip():
            raise RowError("MISSING_ARGUMENT", f"{key} not specified")
        return self.write(objects, objects.find(key, name), values)

    def write(
        self, objects: Objects, record: Record | None, values: Mapping[str, Any]
    ) -> tuple[Record, bool]:
        """Write, once references lead somewhere."""
        for name, value in values.items():
            field = objects.fields[name]
            if field.refers_to and value and value not in self.of(field.refers_to).records:
                raise RowError("INVALID_CROSS_REFERENCE_KEY", f"invalid id: {value}", name)
        return objects.write(record, values)

    def require_key(self, kind: str, key: str) -> None:
        """Refuse a field that names no record."""
        field = self.of(kind).fields.get(key)
        if field is None or not field.external:
            raise SalesforceError(
                "NOT_FOUND", f"Provided external ID field does not exist: {key}", status=404
            )

    # -- collections ---------------------------------------------------------------------------

    def upsert_all(
        self, kind: str, key: str, body: Any, *, refuse_first: bool
    ) -> list[dict[str, Any]]:
        """By an external id; each row by itself."""
        self.require_key(kind, key)
        entries = _records(body)
        made = [self._of_json(entry, kind) for entry in entries]
        folds = not self.of(kind).fields[key].case_sensitive
        named = Counter(_name(values, key, folds) for values in made)
        answers = []
        for number, values in enumerate(made):
            try:
                if refuse_first and number == 0:
                    raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", "refused by a rule")
                if isinstance(values, RowError):
                    raise values
                if named[_name(values, key, folds)] > 1:
                    raise RowError("DUPLICATE_VALUE", "Duplicate external id specified", key)
                record, is_new = self.upsert(kind, key, values)
                answers.append(_taken(record) | {"created": is_new})
            except RowError as error:
                answers.append(error.entry())
        return answers

    def change_all(self, body: Any, *, create: bool) -> list[dict[str, Any]]:
        """Create, or update by ids; each row by itself."""
        answers = []
        for entry in _records(body):
            try:
                kind = _kind(entry)
                objects = self.of(kind)
                plain = {k: v for k, v in entry.items() if k != "id"}
                record = None if create else objects.there(entry.get("id"))
                values = self._of_json(plain, kind)
                if isinstance(values, RowError):
                    raise values
                answers.append(_taken(self.write(objects, record, values)[0]))
            except RowError as error:
                answers.append(error.entry())
        return answers

    def delete_all(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Into the recycle bin; each by itself."""
        if not 1 <= len(ids) <= COLLECTION_MAX:
            raise SalesforceError("EXCEEDED_ID_LIMIT", f"record limit reached: {len(ids)}")
        answers = []
        for record_id in ids:
            try:
                objects = self.of_prefix(record_id)
                record = objects.there(record_id)
                objects.delete(record)
                answers.append(_taken(record))
            except RowError as error:
                answers.append(error.entry())
        return answers

    def retrieve(self, kind: str, body: Any) -> list[dict[str, Any] | None]:
        """Fields of records, by their ids."""
        objects = self.of(kind)
        given = body if isinstance(body, dict) else {}
        ids, names = given.get("ids"), given.get("fields")
        if not isinstance(ids, list) or not isinstance(names, list) or len(ids) > RETRIEVED_MAX:
            raise SalesforceError("JSON_PARSER_ERROR", "ids and fields are lists")
        _require_fields(objects, names)
        found = [objects.records.get(str(record_id)) for record_id in ids]
        return [
            None if r is None or r.deleted else _shown(objects, r, ["Id", *names]) for r in found
        ]

    def of_prefix(self, record_id: str) -> Objects:
        """The object that an id is of."""
        for objects in self.objects.values():
            if record_id.startswith(objects.prefix) and len(record_id) == 18:
                return objects
        raise RowError("MALFORMED_ID", f"bad id {record_id}")

    def _of_json(self, entry: Mapping[str, Any], kind: str) -> dict[str, Any] | RowError:
        if _kind(entry) != kind:
            raise SalesforceError("INVALID_TYPE", "records are of another type than the call")
        given = {k: v for k, v in entry.items() if k != "attributes"}
        try:
            return typed(self.of(kind), given, Field.of_json, self.resolve)
        except RowError as error:
            return error

    # -- questions -----------------------------------------------------------------------------

    def query(self, text: str, *, with_deleted: bool = False) -> dict[str, Any]:
        """What a statement of SOQL finds."""
        found = _QUESTION.fullmatch(text)
        if found is None or len(text) > QUESTION_CHARACTERS_MAX:
            raise SalesforceError("MALFORMED_QUERY", f"unexpected token: {text}")
        objects = self._asked(found[2])
        names = [name.strip() for name in found[1].split(",")]
        also = {name: _unquoted(value) for name, value in _ALSO.findall(found[5])}
        _require_fields(objects, [*names, *also, *([found[3]] if found[3] else [])])
        wanted = {_unquoted(v).lower() for v in re.findall(_TEXT, found[4] or "", re.DOTALL)}
        records = [
            _shown(objects, record, names)
            for record in objects.records.values()
            if (with_deleted or not record.deleted)
            and (not found[3] or str(record.get(found[3]) or "").lower() in wanted)
            and all(record.get(name) == value for name, value in also.items())
        ]
        done = len(records) <= FOUND_MAX
        return {"totalSize": len(records), "done": done, "records": records[:FOUND_MAX]}

    def _asked(self, kind: str) -> Objects:
        if kind not in self.objects:
            raise SalesforceError("INVALID_TYPE", f"sObject type '{kind}' is not supported.")
        return self.objects[kind]


def _name(values: Mapping[str, Any] | RowError, key: str, folds: bool) -> str:
    text = "" if isinstance(values, RowError) else str(values.get(key, "")).strip()
    return text.lower() if folds else text


def _records(body: Any) -> list[dict[str, Any]]:
    entries = body.get("records") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise SalesforceError("JSON_PARSER_ERROR", "records is a list of objects")
    if not 1 <= len(entries) <= COLLECTION_MAX:
        raise SalesforceError("EXCEEDED_ID_LIMIT", f"record limit reached: {len(entries)}")
    return entries


def _kind(entry: Mapping[str, Any]) -> str:
    attributes = entry.get("attributes")
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(kind, str):
        raise SalesforceError("INVALID_TYPE", "a record has no type")
    return kind


def _taken(record: Record) -> dict[str, Any]:
    return {"id": record.record_id, "success": True, "errors": []}


def _require_fields(objects: Objects, names: Sequence[Any]) -> None:
    unknown = [n for n in names if n != "Id" and n not in objects.fields]
    if unknown:
        raise SalesforceError(
            "INVALID_FIELD", f"No such column '{unknown[0]}' on entity '{objects.name}'."
        )


def _shown(objects: Objects, record: Record, names: Sequence[str]) -> dict[str, Any]:
    url = f"/services/data/v62.0/sobjects/{objects.name}/{record.record_id}"
    return {
        "attributes": {"type": objects.name, "url": url},
        **{name: _value(objects, record, name) for name in names},
    }


def _value(objects: Objects, record: Record, name: str) -> Any:
    value = record.get(name)
    if value is None and name != "Id" and objects.fields[name].type == "boolean":
        return False
    return value


def _unquoted(text: str) -> str:
    return re.sub(
        r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), text[1:-1], flags=re.DOTALL
    )
