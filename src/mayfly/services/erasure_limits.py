"""Places that no erasure reaches from here, and until when, or who, if anyone, must act there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mayfly.domain.settings import Project

# The longest that each engine keeps deleted rows, whatever is configured there.
_TIME_TRAVEL_DAYS: Mapping[str, int] = {
    "snowflake": 90 + 7,  # time travel, then fail-safe
    "bigquery": 7 + 7,  # time travel, then fail-safe
}

_FILES = frozenset({"files", "s3", "gcs", "sftp"})
"""Types of destinations whose files somebody else takes away."""
_WHO_KNOWS_THE_KEY = "whoever knows the row's primary_key, or by `mayfly retry`"


def out_of_reach(
    project: Project, now: datetime, states: Sequence[str], *, asked: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Each with what it is, where, who must act (None: nobody can, or need), and when it ends.

    Args:
        project: as it is configured.
        now: counts from then.
        states: names of states that no sync of the target works on.
        asked: names of syncs whose states were asked for a person. Of a row that was rejected and
            then left the model they know the key alone, which other identifiers do not find.
    """
    found = []
    for name, source in project.sources.items():
        days = _TIME_TRAVEL_DAYS.get(source.type)
        if days is not None:
            found.append(_place("time_travel", name, None, now + timedelta(days=days)))
        if source.state == "source":
            found.append(_place("backups", name, "whoever keeps backups of the source", None))
    found.append(_place("backups", "store", "whoever keeps backups of the store", None))
    found += [
        _place("files", name, "whoever was handed the files", None)
        for name, destination in project.destinations.items()
        if destination.type in _FILES
    ]
    found += [
        _place("state", name, "whoever runs its target or installation", None) for name in states
    ]
    return found + [_place("rejections", name, _WHO_KNOWS_THE_KEY, None) for name in asked]


def _place(what: str, where: str, who: str | None, ends: datetime | None) -> dict[str, Any]:
    return {
        "what": what,
        "where": where,
        "who_must_act": who,
        "ends_at": ends.isoformat() if ends else None,
    }
