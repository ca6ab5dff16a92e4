"""Events as lines of JSON on standard error, for a log collector; off unless asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from mayfly.domain.errors import ConfigError
from mayfly.services.events import Event, Tell, ignore, to_line

VARIABLE = "MAYFLY_LOG"


def event_log(env: Mapping[str, str]) -> Tell:
    """Where this process tells its events, by $MAYFLY_LOG: `json`, or unset for nowhere.

    Raises:
        ConfigError: `bad_log`, it is something else.
    """
    asked = env.get(VARIABLE, "")
    if not asked:
        return ignore
    if asked != "json":
        raise ConfigError(
            "bad_log",
            f"{VARIABLE} is set to something else than json.",
            hint=f"Set {VARIABLE}=json for lines of JSON on standard error, or unset it.",
        )
    return _write


def _write(event: Event) -> None:
    """No run ends because nobody reads its log any more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(to_line(event, datetime.now(UTC)) + "\n")
        sys.stderr.flush()
