"""The peak is the process's own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = "from mayfly.adapters.processes import peak_memory_bytes; print(peak_memory_bytes())"


def test_the_peak_is_not_that_of_the_starting_process() -> None:
    """A small program started from a large one says what it held itself."""
    large = bytearray(400_000_000)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert 1_000_000 < int(done.stdout) < len(large)
