"""What a kind of destination says of itself: its specification, and how one is opened.

One `CONNECTOR` stands in each connector's file; a table of them is all that the rest of the program
knows of kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.destination import Destination, DestinationContext, DestinationSpec
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed

FIRST_ADDRESS = ("account_id", "dsn", "schema", "path", "format")
"""`Connector.address` of the kinds that once shared one, whose states it names."""


@dataclass(frozen=True, kw_only=True)
class DestinationRequest:
    """One destination of a project, as its connector is given it.

    Args:
        settings: as the project files have them; paths are absolute.
        sync: that it serves.
        context: what of the sync a connector may know.
        reveal: the secret that a reference of the settings names.
        connect: a client that connects to the destination's hosts and to no other.
    """

    settings: DestinationSettings
    sync: SyncSettings
    context: DestinationContext
    reveal: Callable[[object], Revealed]
    connect: Callable[[], HttpClient]

    def text(self, option: str, default: str = "") -> str:
        """An option as text."""
        value = self.settings.options.get(option)
        return default if value is None else str(value)

    def path(self) -> Path:
        """The option `path`."""
        return Path(self.text("path"))

    def secret(self, option: str) -> Revealed:
        """The secret that an option refers to.

        Raises:
            ConfigError: `secret_missing`.
        """
        return self.reveal(self.settings.options.get(option))

    def secret_if(self, option: str) -> Revealed | None:
        """The same, None where the project does not give it."""
        return self.secret(option) if self.settings.options.get(option) else None


@dataclass(frozen=True, kw_only=True)
class HostsRequest:
    """What the hosts of a destination follow from.

    Args:
        settings: of the destination.
        reveal: the secret that a reference of the settings names.
    """

    settings: DestinationSettings
    reveal: Callable[[object], Revealed]


@dataclass(frozen=True, kw_only=True)
class ConnectorPage:
    """What the page of a kind of destination says beside its specification.

    Args:
        title: the product's name.
        example: `destinations` and `syncs` of a project file, as YAML. A test loads them, beside a
            model `people` with the columns that the mapping names.
        rights: what the credentials must be allowed to do, a line each.
        notes: what a person must know who uses it, a paragraph each, as Markdown.
        untested: what could not be tried without an account of the vendor, a line each.
    """

    title: str
    example: str
    rights: tuple[str, ...]
    notes: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One kind of destination.

    Args:
        spec: what it can do.
        open: makes one, on the running loop; connects to nothing yet.
        address: options that, with endpoint and object, tell one destination from another. Part of
            a state's identity: neither their names nor their order may change.
        hosts: those that it connects to, where they follow from its settings; else the
            specification's.
        page: its page in the reference.
        renewal: how long after its last delivery a row is sent again, so that the destination does
            not forget it; None where it forgets nothing.
        refuses: why a sync may not go there, as codes and messages: what its keys and those of the
            destination tell, before any row is read.
    """

    spec: DestinationSpec
    open: Callable[[DestinationRequest], Destination]
    address: tuple[str, ...]
    hosts: Callable[[HostsRequest], frozenset[str]] | None = None
    page: ConnectorPage | None = None
    renewal: Callable[[DestinationSettings], timedelta] | None = None
    refuses: Callable[[DestinationSettings, SyncSettings], Iterable[tuple[str, str]]] | None = None
