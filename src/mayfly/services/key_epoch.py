"""Epochs of the key encryption key: when a version has served, and when it is destroyed. Pure.

A version wraps for one epoch. It is destroyed one epoch after all that it wrapped here was wrapped
under a later one: long enough for a copy of the key directory to be made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mayfly.ledger.entry import identifier_of
from mayfly.ports.keys import KeyVersion
from mayfly.ports.ledger import KeyTimes


@dataclass(frozen=True, kw_only=True)
class EpochActs:
    """What is due.

    Args:
        rotate: a new version, since the newest has served.
        rewrap: everything under the newest version, as it also is before anything is destroyed.
        destroy: ids of versions, the oldest first.
    """

    rotate: bool
    rewrap: bool
    destroy: Sequence[str]


def is_perhaps_due(times: KeyTimes, *, epoch: timedelta, now: datetime) -> bool:
    """Whether the provider is to be asked, which is a request: by the ledger alone.

    A version that no entry names, as from before there were epochs, is found the next time.
    """
    begun = list(times.since.values())
    later = dict(zip(times.since, begun[1:], strict=False))
    served = not begun or now - begun[-1] >= epoch
    return served or any(
        now - superseded >= epoch
        for version, superseded in later.items()
        if version not in times.destroyed
    )


def epoch_acts(
    enabled: Sequence[KeyVersion], times: KeyTimes, *, epoch: timedelta, now: datetime
) -> EpochActs:
    """What is due.

    Args:
        enabled: versions that wrap or unwrap, the oldest first; the last one wraps.
        times: as the ledger has them.
        epoch: how long a version wraps.
        now: the present time.
    """
    if not enabled:
        return EpochActs(rotate=False, rewrap=False, destroy=())
    since = [times.since.get(identifier_of(version.id)) for version in enabled]
    # A version that no entry names yet begins at the rewrap that names it, unless its age is known.
    begun = since[-1] or enabled[-1].created
    rotate = begun is not None and now - begun >= epoch
    destroy = [
        version.id
        for index, version in enumerate(enabled[:-1])
        if any(at is not None and now - at >= epoch for at in since[index + 1 :])
    ]
    return EpochActs(
        rotate=rotate, rewrap=rotate or bool(destroy) or since[-1] is None, destroy=destroy
    )
