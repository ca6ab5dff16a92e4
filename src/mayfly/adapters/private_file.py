"""A file that a library will write to, and nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path


def make_private(file: Path) -> None:
    """The file is there with mode 0600 before anything is written to it; an old one gets it.

    Raises:
        OSError: it cannot be made, or is somebody else's.
    """
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
