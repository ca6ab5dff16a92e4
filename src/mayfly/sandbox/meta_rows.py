"""What Meta takes as rows of people, checked by whole columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

ROWS_MAX = 10_000
HASHED = frozenset(
    (
        *("EMAIL", "PHONE", "FN", "LN", "FI", "CT", "ST", "ZIP", "COUNTRY", "GEN"),
        *("DOBY", "DOBM", "DOBD"),
    )
)
_DATA_USE = "DATA_PROCESSING_OPTIONS"
CLEAR = frozenset(
    (
        *("MADID", "EXTERN_ID", "LOOKALIKE_VALUE", "UID", "PAGEUID"),
        *(_DATA_USE, f"{_DATA_USE}_COUNTRY", f"{_DATA_USE}_STATE"),
    )
)
IDENTIFIERS = ("EMAIL", "PHONE", "MADID", "EXTERN_ID")
_ALIASES = {
    "EMAIL_SHA256": "EMAIL",
    "PHONE_SHA256": "PHONE",
    "MOBILE_ADVERTISER_ID": "MADID",
}
_DIGESTS = re.compile(r"(?:[0-9a-f]{64})?(?:\n(?:[0-9a-f]{64})?)*")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_SAMPLES_MAX = 10


class GraphError(Exception):
    """An answer in Meta's error envelope.

    Args:
        code: Meta's own number; `message` never holds a value that was sent.
    """

    def __init__(
        self, code: int, message: str, *, status: int = 400, subcode: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.subcode = subcode


@dataclass(frozen=True, kw_only=True)
class People:
    """Rows Meta took: values per identifier field of the valid rows.

    Args:
        invalid: numbers of the rows counted as invalid.
    """

    received: int
    invalid: frozenset[int]
    values: dict[str, frozenset[str]]
    samples: dict[str, str]


def read_people(payload: Any, *, refuse_first: bool = False) -> People:
    """Check one `payload`.

    Args:
        payload: the decoded object with `schema` and `data`.
        refuse_first: count the first row as invalid, as a partial failure does.

    Raises:
        GraphError: code 100 where schema or shape is wrong.
    """
    if not isinstance(payload, dict):
        raise GraphError(100, "(#100) Param payload must be a JSON object.")
    if payload.get("is_raw") is True:
        raise GraphError(100, "(#100) The sandbox takes hashed rows only; is_raw must be false.")
    schema = _schema(payload.get("schema"))
    rows = _rows(payload.get("data"), len(schema))
    columns = [
        _cells(name, column) for name, column in zip(schema, zip(*rows, strict=True), strict=True)
    ]
    invalid: dict[int, str] = {}
    for name, column in zip(schema, columns, strict=True):
        for number in _bad_cells(name, column):
            invalid.setdefault(number, f"Invalid {name}")
    if all("" in column for column in columns):
        for number, row in enumerate(zip(*columns, strict=True)):
            if not any(row):
                invalid.setdefault(number, "Empty row")
    if refuse_first:
        invalid.setdefault(0, "Invalid entry")
    values = {
        name: frozenset(_valid(column, invalid)) - {""}
        for name, column in zip(schema, columns, strict=True)
        if name in IDENTIFIERS
    }
    first = sorted(invalid.items())[:_SAMPLES_MAX]
    return People(
        received=len(rows),
        invalid=frozenset(invalid),
        values=values,
        samples={str(number): reason for number, reason in first},
    )


def _schema(given: Any) -> list[str]:
    names: Any = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or set(map(type, names)) != {str}:
        raise GraphError(100, "(#100) Param payload[schema] must be a non-empty array of keys.")
    schema = [str(_ALIASES.get(name, name)) for name in names]
    if not set(schema) <= HASHED | CLEAR:
        raise GraphError(100, "(#100) Param payload[schema] holds an unknown key.")
    if len(set(schema)) != len(schema):
        raise GraphError(100, "(#100) Param payload[schema] holds a key twice.")
    return schema


def _rows(data: Any, width: int) -> list[Any]:
    if not isinstance(data, list) or not data:
        raise GraphError(100, "(#100) Param payload[data] must be a non-empty array.")
    if len(data) > ROWS_MAX:
        raise GraphError(100, f"(#100) Param payload[data] must hold at most {ROWS_MAX} rows.")
    if width == 1 and list not in set(map(type, data)):
        data = [[cell] for cell in data]
    if set(map(type, data)) != {list} or set(map(len, data)) != {width}:
        raise GraphError(100, "(#100) Each row must have as many cells as the schema has keys.")
    return list(data)


def _cells(name: str, column: Sequence[Any]) -> Sequence[str]:
    """Cells as text. Numbers and lists are taken where a key is not hashed."""
    if set(map(type, column)) == {str}:
        return column
    if name in HASHED:
        return [cell if isinstance(cell, str) else "not a text" for cell in column]
    return [
        cell if isinstance(cell, str) else "" if cell is None else orjson.dumps(cell).decode()
        for cell in column
    ]


def _bad_cells(name: str, column: Sequence[str]) -> list[int]:
    if name in HASHED:
        joined = "\n".join(column)
        if joined.count("\n") == len(column) - 1 and _DIGESTS.fullmatch(joined):
            return []
        return [n for n, cell in enumerate(column) if not _DIGEST.fullmatch(cell)]
    if name == "EXTERN_ID" and "@" in "".join(column):
        return [n for n, cell in enumerate(column) if "@" in cell]
    return []


def _valid(column: Sequence[str], invalid: dict[int, str]) -> Sequence[str]:
    if not invalid:
        return column
    return [cell for number, cell in enumerate(column) if number not in invalid]
