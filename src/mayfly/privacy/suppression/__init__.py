"""The suppression list: which canonical digests stand for a line of input."""

from __future__ import annotations

import hashlib

SUPPRESSION_KINDS = ("email", "phone", "primary_key")
# Kept beside each phone and not counted: a column of ready digests holds those of the digits alone
# where it was made for Meta, and those with a + where it was made for others.
PHONE_DIGITS = "phone_digits"
# So are digests by earlier forms: states that were made before hold those.
PAST = {"email": "email_past", "phone": "phone_past"}


def primary_key_canonical(text: str) -> bytes:
    """Canonical digest of a single-column primary key, of its rendering as text."""
    return hashlib.sha256(text.encode("utf-8")).digest()
