"""Another time for a process of its own, on all its clocks but the monotonic one: `faketime`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest


def shifted(days: float) -> tuple[list[str], Mapping[str, str]]:
    """What a command is begun with, and its environment, so that all its clocks but the monotonic
    one stand some days ahead of the real time, or behind.
    """
    program = shutil.which("faketime")
    if program is None:
        pytest.skip("needs faketime (apt-get install faketime)")
    # Of the programs that are started by it those of several threads need the other library.
    words = [program, "-m", "-f", f"{days:+g}d"]
    return words, {**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
