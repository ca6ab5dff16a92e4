"""The own process: its name in leases, and what the operating system is told of it.

What is Linux-only stands here behind a check and is skipped elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import sys
from pathlib import Path

_PR_SET_DUMPABLE = 4


def holder_name() -> str:
    """Host, process id and start of this process, as a lease holder's name."""
    return f"{_host()}/{os.getpid()}/{_started(os.getpid())}"


def is_alive(holder: str) -> bool:
    """Whether a lease holder's process may still run; true where this host cannot know."""
    host, _, rest = holder.partition("/")
    pid_text, _, started = rest.partition("/")
    if host != _host() or not pid_text.isdigit():
        return True
    pid = int(pid_text)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(pid) == started


def close_leaks() -> None:
    """No core dump, and no reading of this process's memory by another of the same user."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def peak_memory_bytes() -> int:
    """Most memory this process has held.

    Linux counts what the starting process held before this program was loaded into the figure
    that every system has, so that its own is read instead.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _host() -> str:
    name = socket.gethostname()
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[:60] or "host"


def _started(pid: int) -> str:
    """Start time of a process in clock ticks, `0` where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "0"
    return stat.rpartition(")")[2].split()[19]
