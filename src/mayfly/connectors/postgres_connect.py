"""What source and destination share of connecting to PostgreSQL: its hosts, and why it failed.

libpq gives a text and no code at that point.
"""

from __future__ import annotations

from typing import Literal

import psycopg
from psycopg import conninfo

from mayfly.domain.errors import ConfigError
from mayfly.ports.source_spec import Revealed

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


def hosts_of(dsn: Revealed) -> frozenset[str]:
    """Hosts that a dsn names; none for a Unix socket."""
    try:
        given = conninfo.conninfo_to_dict(dsn.reveal())
    except psycopg.Error:
        raise ConfigError("bad_dsn", "A dsn is not in PostgreSQL's form.") from None
    hosts = f"{given.get('host') or ''},{given.get('hostaddr') or ''}".split(",")
    return frozenset(h for h in hosts if h and not h.startswith("/"))
