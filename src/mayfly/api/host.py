"""What the machine leaves open although Mayfly writes no row to a disk: findings of `doctor`.

None of them keeps a run from succeeding. What the machine does not tell is said, never taken as
closed.
"""

from __future__ import annotations

import stat

from mayfly.adapters.host import HostFacts, Swap
from mayfly.api.findings import Finding, finding

HOST_CODES = (
    "swap_open",
    "core_dump_open",
    "temporary_on_disk",
    "temporary_shared",
    "host_unknown",
)
_IN_MEMORY = ("tmpfs", "ramfs")
_HANDLERS = ("|", "@")
"""How a core pattern begins that names a program or, since Linux 6.16, a socket."""


def host_findings(facts: HostFacts) -> list[Finding]:
    """What is open, then in one finding what cannot be told."""
    return [
        *_swap(facts),
        *_core_dump(facts),
        *_temporary_on_disk(facts),
        *_temporary_shared(facts),
        *_unknown(facts),
    ]


def _swap(facts: HostFacts) -> list[Finding]:
    if facts.swap_barred or Swap.PLAIN not in (facts.swaps or ()):
        return []
    return [
        finding(
            "swap_open",
            "This machine swaps to a device without encryption, so that values in memory may be "
            "written to a disk.",
            "Encrypt the swap, turn it off, or bar Mayfly from it: `MemorySwapMax=0` in its "
            "systemd unit.",
        )
    ]


def _core_dump(facts: HostFacts) -> list[Finding]:
    """A process that is never dumped is safe from both; a limit of 0 from a file only."""
    if facts.writes_no_dump or facts.core_pattern is None:
        return []
    if facts.core_pattern.startswith(_HANDLERS):
        what = "hand Mayfly's memory to the machine's handler of core dumps, which no limit stops"
    elif facts.core_limit != 0:
        what = "write Mayfly's memory to a file"
    else:
        return []
    return [
        finding(
            "core_dump_open",
            f"A crash would {what}: the system did not accept that it must not be dumped.",
            "Set kernel.core_pattern to the name of a file, and the hard limit to 0: `LimitCORE=0` "
            "in Mayfly's systemd unit, or `ulimit -c 0`.",
        )
    ]


def _temporary_on_disk(facts: HostFacts) -> list[Finding]:
    if facts.temporary_type is None or facts.temporary_type in _IN_MEMORY:
        return []
    return [
        finding(
            "temporary_on_disk",
            "The folder for temporary files lies on a disk: what a library put there would be "
            "written to it.",
            "Set TMPDIR to a folder on a tmpfs that only Mayfly's user may enter.",
        )
    ]


def _temporary_shared(facts: HostFacts) -> list[Finding]:
    mode = facts.temporary_mode
    if mode is None or mode & stat.S_ISVTX or not mode & stat.S_IRWXO:
        return []
    return [
        finding(
            "temporary_shared",
            "The folder for temporary files is open to other users, and has no sticky bit.",
            "Set TMPDIR to a folder with mode 0700, or set the sticky bit: chmod +t.",
        )
    ]


def _unknown(facts: HostFacts) -> list[Finding]:
    swap = facts.swaps is None or Swap.UNKNOWN in facts.swaps
    asked = {
        "whether memory is swapped to a disk in clear": swap and not facts.swap_barred,
        "where core dumps go": facts.core_pattern is None and not facts.writes_no_dump,
        "whether temporary files lie on a disk": facts.temporary_type is None,
        "who may enter the folder for temporary files": facts.temporary_mode is None,
    }
    open_questions = [question for question, unanswered in asked.items() if unanswered]
    if not open_questions:
        return []
    return [
        finding(
            "host_unknown",
            f"This machine does not tell: {'; '.join(open_questions)}.",
            "Look there by hand: Mayfly reads /proc and /sys, which only Linux has.",
        )
    ]
