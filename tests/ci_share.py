"""Which of the slow tests CI plays: each of them, by one of its parameter sets; and one in three of
those that the default suite plays by another set.

What a test shows on one engine or in one mode it mostly shows on all. Which set that is differs
from test to test, so that every engine and mode has its share; `make soak` plays all of them. Sets
that show something else each are marked `each`, and all played.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable

_SHOWN_ALREADY = 3


def name_of(nodeid: str) -> str:
    """The test that a parameter set is of."""
    return nodeid.partition("[")[0]


def left_to_a_soak(nodeids: Iterable[str], by_default: Collection[str] = ()) -> set[str]:
    """Those of slow tests that CI does not play.

    Args:
        nodeids: of slow tests.
        by_default: tests that the default suite plays by some of their sets.
    """
    sets: dict[str, list[str]] = defaultdict(list)
    for nodeid in nodeids:
        sets[name_of(nodeid)].append(nodeid)
    left = set[str]()
    for test, ids in sets.items():
        number = zlib.crc32(test.encode())
        played = sorted(ids)[number % len(ids)]
        shown = test in by_default and number // 7 % _SHOWN_ALREADY
        left |= set(ids) - (set() if shown else {played})
    return left
