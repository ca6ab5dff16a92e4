"""Text that a person has read and approved: a change of it fails a test, and shows as a diff.

`make approved` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "approved"


def check_approved(name: str, text: str) -> None:
    """Hold a text against the approved one of that name.

    Raises:
        AssertionError: they differ.
    """
    path = FOLDER / name
    if os.environ.get("MAYFLY_APPROVE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    approved = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert text == approved, f"{name} is not as approved: `make approved`, and read the diff"
