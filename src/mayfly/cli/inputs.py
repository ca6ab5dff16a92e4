"""What commands read from standard input, or from a file that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from mayfly.domain.errors import UsageError


def input_content(file: Path | None, what: str) -> bytes:
    """The content of a file; of standard input where it is None or `-`.

    Args:
        file: as the command line names it.
        what: for the message.

    Raises:
        UsageError: `file_unreadable`.
    """
    if file is None or str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            "file_unreadable",
            f"The file of the {what} cannot be read ({error.strerror}).",
            hint="Name a file that this user may read, or - for standard input.",
        ) from None
