"""Which of the slow tests CI plays: each of them, by one of its parameter sets.

What a test shows on one engine or in one mode it mostly shows on all. Which set that is differs
from test to test, so that every engine and mode has its share; `make soak` plays all of them.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable


def left_to_a_soak(nodeids: Iterable[str]) -> set[str]:
    """Those of slow tests that CI does not play."""
    sets: dict[str, list[str]] = defaultdict(list)
    for nodeid in nodeids:
        sets[nodeid.partition("[")[0]].append(nodeid)
    played = {sorted(ids)[zlib.crc32(test.encode()) % len(ids)] for test, ids in sets.items()}
    return {nodeid for ids in sets.values() for nodeid in ids} - played
