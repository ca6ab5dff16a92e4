"""What makes a new name in a folder outlive a crash."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Write the folder's names to disk; without it a crash may bring the earlier file back.

    Raises:
        OSError: the folder cannot be opened or written.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
