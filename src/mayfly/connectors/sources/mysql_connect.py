"""Connections to MariaDB: the dsn, TLS, and what each session pins."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.sources.mysql_errors import not_connected
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.mysql import BYTES
from mayfly.ports.source_spec import Revealed

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPTIONS = ("socket", "ssl_ca")
_FORM = "Write it as mysql://user:password@host:3306/database."
PORT = 3306
IDLE_SECONDS = 900
LOCK_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Dsn:
    """Where a source is, read from its dsn; `host` is empty where `socket` is a path."""

    host: str
    port: int
    socket: str
    user: str
    password: str = field(repr=False)
    database: str
    ssl_ca: str

    @property
    def is_local(self) -> bool:
        """Whether nothing of it goes over a network."""
        return bool(self.socket) or self.host in _LOOPBACK


def parse_dsn(source: str, dsn: Revealed) -> Dsn:
    """The parts of a dsn.

    Raises:
        ConfigError: `dsn_invalid`; `tls_required`, it would weaken TLS to a host off this machine.
    """
    try:
        parts = urlsplit(dsn.reveal())
        port = parts.port or PORT
    except ValueError:
        raise _invalid(source, "is not one of MariaDB") from None
    if parts.scheme not in ("mysql", "mariadb"):
        raise _invalid(source, "is not one of MariaDB")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    made = Dsn(
        host="" if options.get("socket") else (parts.hostname or ""),
        port=port,
        socket=options.get("socket", ""),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.removeprefix("/")),
        ssl_ca=options.get("ssl_ca", ""),
    )
    if not (made.host or made.socket) or not made.user or not made.database:
        raise _invalid(source, "names no host, no user or no database")
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown and not made.is_local and any("ssl" in o or "tls" in o for o in unknown):
        raise ConfigError(
            "tls_required",
            f"The dsn of source {source} weakens TLS to a host off this machine.",
            hint="Leave its options of TLS out; ?ssl_ca=… names an authority of your own.",
        )
    if unknown:
        raise _invalid(source, f"has {len(unknown)} options that are not known")
    return made


def _invalid(source: str, why: str) -> ConfigError:
    return ConfigError("dsn_invalid", f"The dsn of source {source} {why}.", hint=_FORM)


def hosts_of(source: str, dsn: Revealed) -> frozenset[str]:
    """The host that a dsn names; none for a socket."""
    host = parse_dsn(source, dsn).host
    return frozenset({host}) if host else frozenset()


def driver() -> Any:
    """See `optional_driver`."""
    return optional_driver("pymysql", kind="mysql", logs=["pymysql"])


def connect(source: str, dsn: Dsn, *, timeout_seconds: int) -> Any:
    """A connection that gives bytes as they come, and reads no file whatever the server asks for.

    Raises:
        TransientError: `source_away`.
        ConfigError: `source_refused`; `tls_not_verified`; `driver_missing`.
    """
    pymysql = driver()
    flags = pymysql.constants.CLIENT
    where: dict[str, object] = (
        {"unix_socket": dsn.socket} if dsn.socket else {"host": dsn.host, "port": dsn.port}
    )
    try:
        context = _verified(dsn)
        return pymysql.connect(
            **where,
            user=dsn.user,
            password=dsn.password,
            database=dsn.database,
            charset="utf8mb4",
            collation=BYTES,
            use_unicode=False,
            conv={},
            autocommit=True,
            # Rows that a statement meets, not those that it leaves different.
            client_flag=flags.FOUND_ROWS | flags.LOCAL_FILES,
            local_infile=False,
            connect_timeout=timeout_seconds,
            program_name="mayfly",
            ssl=context,
            ssl_disabled=context is None,
        )
    except pymysql.err.MySQLError as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 2003
        cause = getattr(error, "original_exception", None)
        raise not_connected(source, number, tls=isinstance(cause, ssl.SSLError)) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise not_connected(source, 2003, tls=isinstance(error, ssl.SSLError)) from None


def _verified(dsn: Dsn) -> ssl.SSLContext | None:
    """TLS for a host off loopback, verified without exception; elsewhere none, unless an authority
    is named.
    """
    if dsn.is_local and not dsn.ssl_ca:
        return None
    try:
        context = ssl.create_default_context(cafile=dsn.ssl_ca or None)
    except (OSError, ssl.SSLError):
        raise ConfigError(
            "dsn_invalid",
            "The file that ssl_ca names in a dsn cannot be read.",
            hint="Name a file of certificates in PEM.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def settings(*, write: bool) -> list[str]:
    """Statements that pin what the session's results depend on."""
    pinned = {
        "time_zone": "'+00:00'",
        # A quotation mark begins a text, a backslash an escape, and what does not fit is an error.
        "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "lc_messages": "'en_US'",
        "lc_time_names": "'en_US'",
        "div_precision_increment": "4",
        "group_concat_max_len": "4294967295",
        "old_mode": "''",
        "sql_safe_updates": "0",
        "sql_select_limit": "DEFAULT",
        "sql_big_selects": "1",
        "sql_auto_is_null": "0",
        "default_week_format": "0",
        "innodb_lock_wait_timeout": str(LOCK_SECONDS),
        "lock_wait_timeout": str(LOCK_SECONDS),
        "wait_timeout": str(IDLE_SECONDS),
        # A reader may be slow: it waits for destinations.
        "net_write_timeout": str(IDLE_SECONDS),
        "default_storage_engine": "InnoDB",
        "default_tmp_storage_engine": "InnoDB",
        # Without an index MariaDB would compare every row with every row.
        "join_cache_level": "4",
        # A statement that is ended works on until its buffer is empty.
        "join_buffer_size": str(8 * 1024 * 1024),
        "join_buffer_space_limit": str(64 * 1024 * 1024),
    }
    listed = ", ".join(f"SESSION {name} = {value}" for name, value in pinned.items())
    access = "READ WRITE" if write else "READ ONLY"
    return [
        f"SET {listed}",
        # Each statement sees what was committed when it began; reading for an INSERT locks nothing.
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        f"SET SESSION TRANSACTION {access}",
    ]
