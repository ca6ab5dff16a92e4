"""Where programs of others are, of which version, and in which environment they run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mayfly.domain.errors import ConfigError

INGESTR_VERSION = "0.15.9"
DRT_VERSION = "1.2.1"
DLT_VERSION = "1.31.0"
_SECONDS = 60
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # As their documentation turns telemetry off; and should one ask anybody all the same,
        # nothing listens where it would have to pass.
        "INGESTR_DISABLE_TELEMETRY": "true",
        "DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "DRT_TELEMETRY": "0",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
)
"""All of their environment but where they read and write."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What `make rivals` installs: two commands, and the Python that has dlt."""

    ingestr: Path
    drt: Path
    dlt_python: Path


def programs() -> Programs:
    """All of them.

    Raises:
        ConfigError: `bench_rivals`, one is missing or of another version.
    """
    return Programs(
        ingestr=_program("ingestr", "ingestr", ["--version"], f" v{INGESTR_VERSION}"),
        drt=_program("drt", "drt", ["--version"], f" {DRT_VERSION}"),
        dlt_python=_program("dlt", "python", ["-m", "dlt", "--version"], f" {DLT_VERSION}"),
    )


def _program(name: str, command: str, asked: list[str], version: str) -> Path:
    path = Path(sys.prefix) / "rivals" / name / "bin" / command
    if not path.is_file() or not f" {_said([str(path), *asked])}".endswith(version):
        raise ConfigError(
            "bench_rivals",
            f"--rivals needs {name} {version.strip(' v')} at {path}.",
            hint="`make rivals` installs it there; or measure without --rivals.",
        )
    return path


def _said(asked: list[str]) -> str:
    try:
        done = subprocess.run(
            asked,
            env=dict(SETTINGS),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip()
