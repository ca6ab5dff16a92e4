"""How long a command takes."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mayfly.domain.errors import ConfigError

TIMEOUT_SECONDS = 3_600


def timed(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    hint: str,
    folder: Path | None = None,
) -> dict[str, float]:
    """Seconds on the clock, and of CPU of the process and those that it waited for; what a server
    computes for it is not in the latter.

    Raises:
        ConfigError: `bench_rivals`, it failed or took longer than `TIMEOUT_SECONDS`. What it said
            is not in the message.
    """
    cpu, started = _cpu_of_children(), time.perf_counter()
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise failed(f"{name} took longer than {TIMEOUT_SECONDS} seconds", hint) from None
    seconds = time.perf_counter() - started
    if done.returncode:
        raise failed(f"{name} ended with exit code {done.returncode}", hint)
    return {"seconds": seconds, "cpu_seconds": _cpu_of_children() - cpu}


def failed(what: str, hint: str) -> ConfigError:
    """That there is no figure."""
    return ConfigError("bench_rivals", f"{what}: nothing was measured beside it.", hint=hint)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
