"""What source and destination share of connecting to MariaDB: the dsn, TLS, and rows that are sent
as data.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mayfly.connectors.drivers import optional_driver
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.planning.sql.mysql import BYTES
from mayfly.ports.source_spec import Revealed

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPTIONS = ("socket", "ssl_ca")
_FORM = "Write it as mysql://user:password@host:3306/database."
_QUERY = 3
_PACKET_BYTES = 500_000
PORT = 3306
OLDEST_VERSION = (10, 6)
NO_ANSWER = 2003
"""The driver's number of a server that does not answer."""
LOST = frozenset({0, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2027, 2055})
"""Numbers of a connection that is gone."""
REFUSED = frozenset({1044, 1045, 1049, 1129, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 4151})
"""Numbers of a server that says no to a role or a database."""
NOT_VERIFIED = 2026
TLS_HINT = (
    "Name the authority that signed the server's certificate with ?ssl_ca=…, and the host as the "
    "certificate names it; a server off this machine must take TLS 1.2 or later."
)


@dataclass(frozen=True, kw_only=True)
class Dsn:
    """Where a server is, read from a dsn; `host` is empty where `socket` is a path."""

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


def read_dsn(owner: str, dsn: Revealed) -> Dsn:
    """The parts of a dsn.

    Args:
        owner: whose it is, as in `source crm`.
        dsn: `mysql://user:password@host:3306/database`.

    Raises:
        ConfigError: `dsn_invalid`; `tls_required`, it would weaken TLS to a host off this machine.
    """
    try:
        parts = urlsplit(dsn.reveal())
        port = parts.port or PORT
    except ValueError:
        raise _invalid(owner, "is not one of MariaDB") from None
    if parts.scheme not in ("mysql", "mariadb"):
        raise _invalid(owner, "is not one of MariaDB")
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
        raise _invalid(owner, "names no host, no user or no database")
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown and not made.is_local and any("ssl" in o or "tls" in o for o in unknown):
        raise ConfigError(
            "tls_required",
            f"The dsn of {owner} weakens TLS to a host off this machine.",
            hint="Leave its options of TLS out; ?ssl_ca=… names an authority of your own.",
        )
    if unknown:
        raise _invalid(owner, f"has {len(unknown)} options that are not known")
    return made


def _invalid(owner: str, why: str) -> ConfigError:
    return ConfigError("dsn_invalid", f"The dsn of {owner} {why}.", hint=_FORM)


def hosts_of(owner: str, dsn: Revealed) -> frozenset[str]:
    """The host that a dsn names; none for a socket."""
    host = read_dsn(owner, dsn).host
    return frozenset({host}) if host else frozenset()


def driver(of: str = "Sources") -> Any:
    """See `optional_driver`."""
    return optional_driver("pymysql", kind="mysql", logs=["pymysql"], of=of)


def open_connection(
    dsn: Dsn,
    *,
    timeout_seconds: int,
    refused: Callable[[int, bool], EngineError],
    **more: object,
) -> Any:
    """A connection that reads no file whatever the server asks for.

    Args:
        dsn: where to.
        timeout_seconds: for one attempt to connect.
        refused: our error for a number of the server or the driver, and whether it came up while
            the server was verified.
        more: options of the driver.

    Raises:
        EngineError: what `refused` gives.
        ConfigError: `driver_missing`; `dsn_invalid`.
    """
    pymysql = driver()
    flags = pymysql.constants.CLIENT
    where: dict[str, object] = (
        {"unix_socket": dsn.socket} if dsn.socket else {"host": dsn.host, "port": dsn.port}
    )
    context = _verified(dsn)
    try:
        return pymysql.connect(
            **where,
            user=dsn.user,
            password=dsn.password,
            database=dsn.database,
            charset="utf8mb4",
            collation=BYTES,
            # Rows that a statement meets, not those that it leaves different.
            client_flag=flags.FOUND_ROWS | flags.LOCAL_FILES,
            local_infile=False,
            connect_timeout=timeout_seconds,
            program_name="mayfly",
            ssl=context,
            ssl_disabled=context is None,
            **more,
        )
    except pymysql.err.MySQLError as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else NO_ANSWER
        cause = getattr(error, "original_exception", None)
        raise refused(number, isinstance(cause, ssl.SSLError)) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise refused(NO_ANSWER, isinstance(error, ssl.SSLError)) from None


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


def mariadb_version(greeting: str) -> tuple[int, int] | None:
    """Of a server that greets as `5.5.5-10.11.6-MariaDB`; None where it is MySQL: `8.0.36`."""
    if "mariadb" not in greeting.lower():
        return None
    found = re.search(r"(\d+)\.(\d+)\.\d+-mariadb", greeting.lower())
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def send_rows(connection: Any, sql: str, data: Iterable[bytes]) -> tuple[int, int]:
    """Answer the one statement of ours that asks for data, and with nothing but our own.

    Args:
        connection: of `open_connection`.
        sql: a LOAD DATA LOCAL, whose name of a file means nothing.
        data: what it asks for; pieces are put together to packets.

    Returns:
        How many rows there are now, and how many warnings: with LOCAL, a value that does not fit is
        made to fit and a row that is there already left out, whatever the session's mode is.

    Raises:
        ContractError: `query_failed`, the server asked for none.
    """
    connection._execute_command(_QUERY, sql.encode())
    packet = connection._read_packet()
    if not packet.is_load_local_packet():
        raise ContractError("query_failed", "The server did not take data that it asked for.")
    from pymysql.connections import OKPacketWrapper

    for part in _packets(data):
        connection.write_packet(part)
    connection.write_packet(b"")
    done = OKPacketWrapper(connection._read_packet())
    return int(done.affected_rows), int(done.warning_count)


def _packets(data: Iterable[bytes]) -> Iterator[bytes]:
    """Cut anew: a packet ends where it ends, and servers take them up to a size."""
    held = bytearray()
    for piece in data:
        held += piece
        while len(held) > _PACKET_BYTES:
            yield bytes(held[:_PACKET_BYTES])
            del held[:_PACKET_BYTES]
    if held:
        yield bytes(held)
