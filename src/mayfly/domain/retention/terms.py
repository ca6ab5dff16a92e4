"""What is said of a kind of data that stays: why it is there, where, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR


class RetentionClass(StrEnum):
    """Why something is there, which decides how long it may be.

    `KEPT_BY_NEED` is personal data without which a removal, an erasure or a suppression could
    not be carried out: digests in the customer's own warehouse, and keyed digests. It has no
    date on which it ends by itself, so that every entry names the act that ends it.
    """

    CUSTOMER_DATA = "customer_data"
    TEMPORARY = "temporary"
    KEPT_BY_NEED = "kept_by_need"
    ACCESS_KEYS = "access_keys"
    METADATA = "metadata"


class Place(StrEnum):
    """Where it is written."""

    STORE = "store"  # a table of our store
    WAREHOUSE = "warehouse"  # a table of our schema in the customer's warehouse
    DESTINATION = "destination"  # a table or file beside what a destination receives
    PROJECT = "project"  # a file of the project's folder
    KEYS = "keys"  # a file of the key directory
    SPOOL = "spool"  # a table of the spool's file of keys
    BUCKET = "bucket"  # an object of the bucket that a spool may have
    STREAM = "stream"  # an output of the process


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Both in seconds from the start of the clock; None is no limit in time.

    Args:
        target_seconds: `report retention` counts what ended past it.
        cap_seconds: past it nothing of it may be there.
    """

    target_seconds: int | None
    cap_seconds: int | None


LIMITS: Final = MappingProxyType(
    {
        RetentionClass.CUSTOMER_DATA: Limit(target_seconds=8 * _HOUR, cap_seconds=30 * _DAY),
        RetentionClass.TEMPORARY: Limit(target_seconds=24 * _HOUR, cap_seconds=30 * _DAY),
        RetentionClass.KEPT_BY_NEED: Limit(target_seconds=None, cap_seconds=None),
        RetentionClass.ACCESS_KEYS: Limit(target_seconds=None, cap_seconds=None),
        RetentionClass.METADATA: Limit(target_seconds=None, cap_seconds=None),
    }
)


@dataclass(frozen=True, kw_only=True)
class Retention:
    """One thing that Mayfly writes.

    Args:
        place: where.
        name: of the table, the file (a pattern with `*`, relative to its place) or the stream.
            Tables in a warehouse have the id of their state after it.
        cls: its class.
        holds: what stands in it.
        clock_starts: the moment from which its limits count.
        ends_when: what takes it away, or ends its use.
    """

    place: Place
    name: str
    cls: RetentionClass
    holds: str
    clock_starts: str
    ends_when: str

    @property
    def target_seconds(self) -> int | None:
        """What ended past it is counted by `report retention`; None is no target."""
        return LIMITS[self.cls].target_seconds

    @property
    def cap_seconds(self) -> int | None:
        """Past it nothing of it may be there; None is no cap."""
        return LIMITS[self.cls].cap_seconds


def entries(
    place: Place, cls: RetentionClass, *, starts: str, ends: str, **holds: str
) -> tuple[Retention, ...]:
    """What begins and ends alike: `holds` says by name what each holds."""
    return tuple(
        Retention(place=place, name=name, cls=cls, holds=text, clock_starts=starts, ends_when=ends)
        for name, text in holds.items()
    )
