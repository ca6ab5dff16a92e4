"""The own process: its name in leases, who started it, and what the system is told of it.

What is Linux-only stands here behind a check and is skipped elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import resource
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from mayfly.domain.errors import ConfigError
from mayfly.privacy.closed_logs import silence_process

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_M_ARENA_MAX = -8
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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


def actor_id(env: Mapping[str, str]) -> str:
    """Who acts: $MAYFLY_ACTOR, else the operating system's user. Nothing verifies it.

    It is an id and never an address: a user whose name is of another form, or who has none (as in
    a container), acts as `uid-` and his number.

    Raises:
        ConfigError: `bad_actor`, $MAYFLY_ACTOR is set to something else than an id.
    """
    given = env.get("MAYFLY_ACTOR")
    if given:
        if not _ACTOR.fullmatch(given):
            raise ConfigError(
                "bad_actor",
                "MAYFLY_ACTOR must be an id: up to 64 letters, digits, dots, hyphens, underscores.",
                hint="Use a user's or a pipeline's id, not an e-mail address.",
            )
        return given
    uid = os.getuid()
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(uid).pw_name
        if _ACTOR.fullmatch(name):
            return name
    return f"uid-{uid}"


def own_process() -> None:
    """What a process that is Mayfly's alone does first: no leaks, no library's word on a terminal,
    and one heap for its threads.

    A batch is worked on by several threads. glibc gives each a heap of its own, as Arrow's own
    memory does, and what a batch took stays with it when another thread has the next batch. To be
    called before Arrow is imported, which asks the environment for its memory then.
    """
    close_leaks()
    silence_process()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def close_leaks() -> None:
    """No core dump, and no reading of this process's memory by another of the same user."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def refuse_key_log(env: Mapping[str, str]) -> None:
    """Every TLS library heeds SSLKEYLOGFILE: whoever has that file can read what was sent.

    Raises:
        ConfigError: `tls_key_log`, it is set.
    """
    if env.get("SSLKEYLOGFILE"):
        raise ConfigError(
            "tls_key_log",
            "SSLKEYLOGFILE is set, so the keys of every connection would be written to a file.",
            hint="Unset SSLKEYLOGFILE and start again.",
        )


def writes_no_dump() -> bool:
    """Whether the system was told to dump this process under no circumstances.

    Linux looks at this flag first: without it neither a file is written nor a handler called. A
    limit of 0 alone keeps no handler away. False where the system does not tell.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
    return False


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
