"""Hosts that are the operator's affair: whoever is behind them has to stand in the register."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address

from sqlalchemy.engine import make_url

from mayfly.adapters.alerts.slack import HOSTS as SLACK_HOSTS
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap.alerts import alert_host
from mayfly.bootstrap.connections import token_hosts
from mayfly.bootstrap.connectors import destination_hosts, source_hosts
from mayfly.bootstrap.keeping import anchor_hosts, spool_hosts
from mayfly.bootstrap.telemetry import telemetry_host
from mayfly.config.secrets import resolve_store_url
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import AlertSettings, DestinationSettings, Project
from mayfly.services.register import Use

_OF_THE_MACHINE = frozenset({"metadata.google.internal", "localhost"})


def operator_hosts(project: Project) -> Sequence[Use]:
    """Hosts of keys, spool, store, anchors, alerts and telemetry, each once for what it is used.

    What the customer chose is not among them: sources, and destinations, which are recipients. Nor
    is the machine itself: loopback, and the addresses at which a cloud hands out its credentials.
    """
    return sorted({use for use in _operators(project) if not _is_here(use.host)})


def declared_hosts(
    project: Project, opened: Callable[[DestinationSettings], DestinationSettings]
) -> Sequence[Use]:
    """Every host that this process may connect to in some run; the outer list is made from them.

    Args:
        project: under its target.
        opened: gives a destination with what opens its connection.

    Raises:
        EngineError: a secret that holds an address is missing.
    """
    found = set(_operators(project))
    for name in project.sources:
        found |= {Use(what=f"sources.{name}", host=h) for h in source_hosts(project, name)}
    for name, settings in project.destinations.items():
        hosts = destination_hosts(opened(settings)) | token_hosts(settings)
        found |= {Use(what=f"destinations.{name}", host=host) for host in hosts}
    return sorted(use for use in found if not _is_loopback(use.host))


def _operators(project: Project) -> Iterator[Use]:
    for host in key_hosts(project.keys):
        yield Use(what="keys", host=host)
    for host in spool_hosts(project):
        yield Use(what="spool", host=host)
    for host in store_hosts(project):
        yield Use(what="store", host=host)
    for name, anchor in project.anchors.items():
        if anchor.source is None:
            for host in anchor_hosts(project, anchor):
                yield Use(what=f"anchors.{name}", host=host)
    for name, alert in project.alerts.items():
        yield Use(what=f"alerts.{name}", host=_alert_host(alert))
    if project.telemetry is not None:
        yield Use(what="telemetry", host=telemetry_host(project.telemetry))


def store_hosts(project: Project) -> list[str]:
    """Hosts of the store's server, of which there may be several; none of a file or a socket."""
    url = resolve_store_url(project.store.url, os.environ)
    if url == "sqlite":
        return []
    parsed = make_url(url)
    several = parsed.query.get("host", ())
    named = [several] if isinstance(several, str) else list(several)
    hosts = [part.rpartition(":")[0] or part for text in named for part in text.split(",")]
    return [h for h in [parsed.host or "", *hosts] if h and not h.startswith("/")]


def _alert_host(settings: AlertSettings) -> str:
    """Of Slack its own host where the secret, which has the address, is not there."""
    try:
        return alert_host(settings)
    except EngineError:
        return SLACK_HOSTS[0]


def _is_here(host: str) -> bool:
    if not host or host in _OF_THE_MACHINE:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")
