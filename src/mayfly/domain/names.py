"""Names people give to things in a project; they become parts of file and table names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def is_name(text: str) -> bool:
    """Whether `text` may name a sync, model, source, destination, target or purpose."""
    return _NAME.fullmatch(text) is not None


def nearest(text: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that `text` was probably meant to be, None where none is close."""
    words = sorted({*allowed})
    folded = {word.casefold(): word for word in reversed(words)}
    found = difflib.get_close_matches(text[:100].casefold(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None
