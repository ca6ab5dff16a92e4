"""Why PostgreSQL could not be connected to: libpq gives a text and no code at that point."""

from __future__ import annotations

from typing import Literal

Failure = Literal["tls", "refused", "away"]

_TLS = ("certificate", "SSL error:", "does not support SSL")
_COME_BACK = ("starting up", "shutting down", "too many", "recovery", "remaining connection")


def failure(text: str) -> Failure:
    """What a text of libpq says; the text itself holds names and is never passed on.

    FATAL means that a server answered and said no.
    """
    if "FATAL" in text:
        return "away" if any(mark in text for mark in _COME_BACK) else "refused"
    return "tls" if any(mark in text for mark in _TLS) else "away"


TLS_HINT = (
    "Name the authority that signed the server's certificate with sslrootcert, and the host as the "
    "certificate names it; a server off this machine must take TLS 1.2 or later."
)
