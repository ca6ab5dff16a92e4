"""What source and destination share of connecting to PostgreSQL, and to what speaks its protocol:
its hosts, TLS, and why it failed.

libpq gives a text and no code at that point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import psycopg
from psycopg import conninfo

from mayfly.domain.errors import ConfigError, EngineError, TransientError
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


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def verified_conninfo(
    source: str, dsn: Revealed, *, timeout_seconds: int, options: str = ""
) -> str:
    """A source's connection string with what every connection has: UTF-8, and off this machine TLS
    that is verified.

    Args:
        source: its name.
        dsn: a libpq connection string or URI.
        timeout_seconds: for one attempt to connect.
        options: of the server, as on its command line.

    Raises:
        ConfigError: `dsn_invalid`; `tls_required`, the dsn weakens TLS.
    """
    given = _read(source, dsn)
    hosts = str(given.get("hostaddr") or given.get("host") or "")
    if not hosts:
        raise ConfigError(
            "dsn_invalid",
            f"The dsn of source {source} names no host.",
            hint="Name the host, or the folder of its socket, in the dsn.",
        )
    extra: dict[str, str | int | None] = {
        "application_name": "mayfly",
        # From the beginning: the driver reads the names of all columns before anything is set.
        "client_encoding": "UTF8",
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "connect_timeout": timeout_seconds,
    }
    if options:
        extra["options"] = f"{given.get('options') or ''} {options}".strip()
    if not all(h.startswith("/") or h in _LOOPBACK for h in hosts.split(",")):
        extra.update(_verified(source, given.get("sslmode"), given.get("sslrootcert")))
    return conninfo.make_conninfo("", **{**given, **extra})


def role_and_database(source: str, dsn: Revealed) -> tuple[str, str]:
    """To whom rights go, and where, as a source's dsn names them.

    Raises:
        ConfigError: `dsn_invalid`.
    """
    given = _read(source, dsn)
    role, base = given.get("user"), given.get("dbname")
    if not role or not base:
        raise ConfigError(
            "dsn_invalid",
            f"The dsn of source {source} names no user, or no database, to grant rights for.",
            hint="Name both: postgresql://user:password@host:5432/database.",
        )
    return str(role), str(base)


def _read(source: str, dsn: Revealed) -> Mapping[str, str | int | None]:
    try:
        return conninfo.conninfo_to_dict(dsn.reveal())
    except psycopg.ProgrammingError:
        raise ConfigError(
            "dsn_invalid",
            f"The dsn of source {source} is not a PostgreSQL connection string.",
            hint="Write it as postgresql://user:password@host:5432/database.",
        ) from None


def _verified(source: str, mode: object, root: str | int | None) -> dict[str, str | int | None]:
    """TLS for a host off loopback: verified, without exception."""
    if mode not in {None, "verify-full"}:
        raise ConfigError(
            "tls_required",
            f"The dsn of source {source} weakens TLS to a host off this machine.",
            hint="Use sslmode=verify-full, with sslrootcert for an authority of your own.",
        )
    return {
        "sslmode": "verify-full",
        "sslrootcert": root or "system",
        "ssl_min_protocol_version": "TLSv1.2",
    }


def not_connected(source: str, text: str) -> EngineError:
    """The error of a source that libpq did not connect to; see `failure`."""
    found = failure(text)
    if found == "refused":
        return ConfigError(
            "source_refused",
            f"The server of source {source} refuses this role or database.",
            hint="Check user, password and database in the dsn, and pg_hba.conf.",
        )
    if found == "tls":
        return ConfigError(
            "tls_not_verified",
            f"The server of source {source} could not be verified.",
            hint=TLS_HINT,
        )
    return TransientError(
        "source_away",
        f"The server of source {source} does not answer.",
        hint="Check that it runs and that host and port in the dsn are right.",
    )
