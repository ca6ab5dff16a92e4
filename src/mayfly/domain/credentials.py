"""What the store remembers of connections: names, versions, sealed bytes; never a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

KEPT_FOR = timedelta(days=7)
"""How long a replaced version stays, for runs that began with it."""


class ConnectionState(StrEnum):
    """Whether a connection can be used."""

    CONNECTED = "connected"
    NEEDS_CONSENT = "needs_consent"


@dataclass(frozen=True, kw_only=True, order=True)
class ConnectionKey:
    """Which connection: of a destination, under a target."""

    target: str
    name: str


@dataclass(frozen=True, kw_only=True)
class SealedCredential:
    """One version of a connection's credential. Versions are inserted and never changed.

    Args:
        key: whose it is.
        version: counts from 1.
        place: type and endpoint of the destination that it was made for.
        key_version: name of the key encryption key's version that wraps the data key.
        wrapped_key: the data key; bound, as the content is, to all of the above but `key_version`.
        sealed: the credential under that key.
        created_at: when it was put here.
        replaced_at: when a later version was; None while it is the current one.
    """

    key: ConnectionKey
    version: int
    place: str
    key_version: str
    wrapped_key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    created_at: datetime
    replaced_at: datetime | None = None
