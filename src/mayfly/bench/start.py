"""Begins a measured run as a command begins, before anything large is imported."""

from __future__ import annotations

import sys
from pathlib import Path

from mayfly.adapters.processes import own_process

if __name__ == "__main__":
    own_process()
    from mayfly.bench.worker import print_measured

    print_measured(Path(sys.argv[1]), sys.argv[2])
