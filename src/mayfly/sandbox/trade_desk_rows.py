"""What The Trade Desk takes as items of people, one after the other."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NAME_MAX = 256
TTL_MAX = 259_200
TTL_DEFAULT = 129_600
IDENTIFIERS = (
    *("TDID", "DAID", "UID2", "UID2Token", "EUID", "EUIDToken", "RampID", "CoreID", "ID5"),
    *("NetID", "FirstID", "UtiqID", "MerkuryID", "RealID", "IqviaPPID"),
)
_DATA = frozenset(
    {"Name", "TimestampUtc", "TtlInMinutes", "BaseBidCPM", "BaseBidCPMMetadata", "BidFactor"}
)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RAW = re.compile(r"[0-9A-Za-z+/]{43}[0-9A-Za-z+/=]")


class LineError(Exception):
    """An item, or one of its segments, that is not taken.

    Args:
        code: the vendor's own; `message` never holds a value that was sent.
        data: number of the segment, from 1.
    """

    def __init__(self, code: str, message: str, *, data: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, kw_only=True)
class Membership:
    """One segment that an item names.

    Args:
        name: of the segment.
        minutes: to live; 0 removes.
    """

    name: str
    minutes: int


def identifier(item: Any, *, rejects: Callable[[str, str], bool]) -> tuple[str, str]:
    """The one identifier of an item.

    Args:
        item: decoded.
        rejects: whether a value of that key cannot be one, for what the vendor knows of it.

    Raises:
        LineError: it has none, several, or one of another shape.
    """
    if not isinstance(item, dict) or not set(item) <= {*IDENTIFIERS, "Data"}:
        raise LineError("ItemDeserializationError", "The item has an unknown member")
    given = [(k, v) for k, v in item.items() if k != "Data" and v is not None]
    if len(given) != 1:
        raise LineError("MissingUserId", "Exactly one ID is needed")
    key, value = given[0]
    if not isinstance(value, str):
        raise LineError("ItemDeserializationError", f"{key} is no text")
    shape = {"TDID": _GUID, "DAID": _GUID, "UID2": _RAW, "EUID": _RAW}.get(key)
    if not value or (shape is not None and not shape.fullmatch(value)) or rejects(key, value):
        raise LineError("MissingUserId", f"Invalid {key}")
    return key, value.lower() if shape is _GUID else value


def memberships(item: Mapping[str, Any]) -> list[Membership]:
    """The segments of an item.

    Raises:
        LineError: one of them is wrong.
    """
    data = item.get("Data")
    if not isinstance(data, list) or not data:
        raise LineError("ItemDeserializationError", "Data is needed")
    return [_membership(entry, number) for number, entry in enumerate(data, 1)]


def _membership(entry: Any, number: int) -> Membership:
    if not isinstance(entry, dict) or not set(entry) <= _DATA:
        raise LineError("ItemDeserializationError", "Data has an unknown member", data=number)
    name, minutes = entry.get("Name"), entry.get("TtlInMinutes", TTL_DEFAULT)
    if not isinstance(name, str) or not name:
        raise LineError("ItemDeserializationError", "Name is needed", data=number)
    if len(name) > NAME_MAX:
        raise LineError("DataNameTooLong", "Name is too long", data=number)
    if type(minutes) is not int or not 0 <= minutes <= TTL_MAX:
        raise LineError("InvalidTtlInMinutes", "TTL is out of range", data=number)
    if entry.get("TimestampUtc") is not None and not _is_time(entry["TimestampUtc"]):
        raise LineError("InvalidTimestampUtc", "Timestamp is no time", data=number)
    return Membership(name=name, minutes=minutes)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value) is not None
    except (TypeError, ValueError):
        return False


def digest_of(value: str) -> bytes | None:
    """The bytes behind 44 signs of base64 that could be a digest."""
    try:
        made = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return made if len(made) == 32 else None
