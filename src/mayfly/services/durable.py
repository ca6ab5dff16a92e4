"""What makes a new file, and its name in a folder, outlive a crash."""

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


def write_private(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, whatever the umask, and write its content to disk; its name is
    there for good once its folder was synced, too. On an error part of it may be left.

    Raises:
        FileExistsError: there is one of that name, or a link.
        OSError: it cannot be made or written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
