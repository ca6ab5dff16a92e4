"""Values as far as a person may see them who checks a plan: a beginning and a size, no more."""

from __future__ import annotations

_CLASSES = ((0, "empty"), (3, "1-3"), (7, "4-7"), (15, "8-15"), (31, "16-31"))
_SHOWN = 2
# Two characters of fewer would be most of them.
_SHOWN_FROM = 5
_DIGITS = 8
NOTHING = "–"


def masked(start: str | None, length: int | None) -> str:
    """First characters and length class of a text.

    Args:
        start: its first characters; more than two are cut.
        length: in characters, None where there is no value.
    """
    if length is None:
        return NOTHING
    size = next((name for most, name in _CLASSES if length <= most), "32+")
    shown = (start or "")[:_SHOWN] if length >= _SHOWN_FROM else ""
    return f"{''.join(c if c.isprintable() else '·' for c in shown)}… ({size})"


def masked_digest(digest: bytes | None) -> str:
    """The first eight digits of a digest: enough to compare it with another one."""
    return NOTHING if digest is None else f"{digest.hex()[:_DIGITS]}…"
