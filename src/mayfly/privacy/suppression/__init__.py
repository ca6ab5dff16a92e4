"""The suppression list: which canonical digests stand for a line of input."""

from __future__ import annotations

import hashlib

SUPPRESSION_KINDS = ("email", "phone", "primary_key")


def primary_key_canonical(text: str) -> bytes:
    """Canonical digest of a single-column primary key, of its rendering as text."""
    return hashlib.sha256(text.encode("utf-8")).digest()
