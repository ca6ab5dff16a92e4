"""The port of what reads free text for names of persons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class FreeText(Protocol):
    """Reads texts in this process: none is kept, none leaves it. Not safe for several threads."""

    def persons(self, texts: Sequence[str]) -> int:
        """How many of some texts name a person. Blocks for as long as that takes."""
