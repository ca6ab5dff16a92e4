"""Which hosts this process may talk to, held by an audit hook below every Python socket.

`guard_sockets` closes the process for good, except for its base list; `allow_hosts` opens hosts
for the length of one run. Lists of runs that overlap are joined: a hook cannot tell whose call it
sees, since lookups run in pool threads. Not seen are the sockets of C libraries (libpq), and the
lookup, not the connection, of a name handed straight to `socket.connect`; the network policy
outside the process is for those.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mayfly.domain.errors import PolicyError

# An unnamed peer only asks for this machine's own address or for a listening socket's.
_NO_HOST = frozenset({None, "", b""})


class _Egress:
    """The lists in force, and the addresses that allowed names were resolved to."""

    def __init__(self) -> None:
        self.installed = False
        self.closed = False
        self.refused = 0
        self._lock = threading.Lock()
        self._lists: list[frozenset[str]] = []
        self._base: frozenset[str] = frozenset()
        self._resolved: dict[str, frozenset[str]] = {}

    @property
    def active(self) -> bool:
        """Whether anything is refused now."""
        return self.closed or bool(self._lists)

    def close(self, base: frozenset[str]) -> None:
        with self._lock:
            self.closed = True
            self._base = base

    def push(self, hosts: frozenset[str]) -> None:
        with self._lock:
            self._lists.append(hosts)

    def pop(self, hosts: frozenset[str]) -> None:
        with self._lock:
            self._lists.remove(hosts)
            allowed = self._hosts()
            self._resolved = {h: a for h, a in self._resolved.items() if h in allowed}

    def named(self, host: str) -> bool:
        return host in self._hosts()

    def reachable(self, host: str) -> bool:
        """Whether a socket may connect: a listed host, or an address of a listed name."""
        return self.named(host) or any(host in found for found in self._resolved.values())

    def remember(self, host: str, addresses: Collection[str]) -> None:
        with self._lock:
            if host in self._hosts():
                self._resolved[host] = self._resolved.get(host, frozenset()) | set(addresses)

    def _hosts(self) -> frozenset[str]:
        return self._base.union(*self._lists)


_EGRESS = _Egress()
_INSTALLING = threading.Lock()


def guard_sockets(allowed: Iterable[str] = ()) -> None:
    """Refuse, from now to the end of the process, every host that is not on a list.

    The hook goes in once and cannot be taken out; a later call only sets another base list.

    Args:
        allowed: hosts that are allowed outside runs too: exact names or literal addresses.
            Loopback is allowed only where a list says so. Unix sockets always are.
    """
    _install()
    _EGRESS.close(_hosts(allowed))


@contextmanager
def allow_hosts(hosts: Iterable[str]) -> Iterator[None]:
    """Allow these hosts while the block runs, and no others but the base list.

    Without `guard_sockets` before, sockets are guarded inside the block only. A refused call
    raises PolicyError `host_not_allowed` where the socket was used.
    """
    _install()
    mine = _hosts(hosts)
    _EGRESS.push(mine)
    try:
        yield
    finally:
        _EGRESS.pop(mine)


def require_host(host: str) -> None:
    """Refuse a host that is not on a list; for libraries whose sockets the hook does not see.

    Raises:
        PolicyError: `host_not_allowed`.
    """
    if refuses(host):
        raise _refusal()


def refuses(host: str) -> bool:
    """Whether a host would be refused now. To ask is no attempt, and is not counted as one."""
    return _EGRESS.active and not _EGRESS.named(_host(host))


def _install() -> None:
    with _INSTALLING:
        if _EGRESS.installed:
            return
        _EGRESS.installed = True
        socket.getaddrinfo = _remembering(socket.getaddrinfo)
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not _EGRESS.active:
        return
    match event:
        case "socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyaddr":
            if arguments[0] not in _NO_HOST and not _EGRESS.named(_host(arguments[0])):
                raise _refusal()
        case "socket.connect" | "socket.sendto" | "socket.sendmsg":
            _check_peer(arguments[0], arguments[1] if len(arguments) > 1 else None)


def _check_peer(peer: socket.socket, address: object) -> None:
    if peer.family == socket.AF_UNIX:
        return
    if peer.family not in (socket.AF_INET, socket.AF_INET6):
        raise _refusal()
    if address is None:  # a message on a connected socket, whose connect was checked
        return
    if not isinstance(address, tuple) or not _EGRESS.reachable(_host(address[0])):
        raise _refusal()


def _remembering(lookup: Callable[..., Any]) -> Callable[..., Any]:
    """`socket.getaddrinfo` that tells the guard which addresses an allowed name has.

    Whoever holds the original function gets addresses the guard does not know, and is refused.
    """

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        found = lookup(host, *args, **kwargs)
        if host not in _NO_HOST and _EGRESS.active:
            _EGRESS.remember(_host(host), {_host(entry[4][0]) for entry in found})
        return found

    return getaddrinfo


def _hosts(hosts: Iterable[str]) -> frozenset[str]:
    return frozenset(_host(host) for host in hosts)


def _host(host: object) -> str:
    """One spelling per host: lower case, no closing dot; addresses as `ipaddress` writes them."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    text = text.strip("[]").lower().rstrip(".")
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def refused_connections() -> int:
    """How often this process refused to look up or connect, since it began."""
    return _EGRESS.refused


def _refusal() -> PolicyError:
    _EGRESS.refused += 1
    return PolicyError(
        "host_not_allowed",
        "A socket was meant for a host that is not on the run's list.",
        hint="The list holds source, keys, store, spool and the chosen destinations' own hosts.",
    )
