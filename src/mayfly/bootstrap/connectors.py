"""Sources and destinations by their settings, and the hosts they need."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from mayfly.adapters.http import HttpxClient
from mayfly.adapters.limited_http import LimitedHttpClient
from mayfly.bootstrap.guarded_source import GuardedSource
from mayfly.bootstrap.registry import CONNECTORS, SOURCES
from mayfly.config.plugins import load_plugin
from mayfly.config.secrets import resolve
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import (
    DestinationSettings,
    Project,
    SecretRef,
    SyncSettings,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.connector import DestinationRequest, HostsRequest
from mayfly.ports.destination import Destination, DestinationContext
from mayfly.ports.http import HttpClient
from mayfly.ports.source import Dialect, Source
from mayfly.ports.source_spec import Revealed, SourceRequest, SourceSpec, require_accepted
from mayfly.services.compiled_sync import Refusal
from mayfly.services.limited import AccountGate


def address(settings: DestinationSettings, sync: SyncSettings) -> tuple[str, ...]:
    """What tells one destination from another; part of the state's identity and the approval."""
    options = settings.options
    parts = [str(options.get(key, "")) for key in CONNECTORS[settings.type].address]
    return (settings.endpoint or "", *parts, sync.audience or sync.table or "")


def account_digest(settings: DestinationSettings) -> str:
    """What tells one account from another, without naming it: all syncs to it have the same."""
    options = settings.options
    parts = [str(options.get(key, "")) for key in CONNECTORS[settings.type].address]
    named = json.dumps([settings.type, settings.endpoint or "", *parts])
    return hashlib.sha256(named.encode()).hexdigest()


def refusals(settings: DestinationSettings, sync: SyncSettings) -> tuple[Refusal, ...]:
    """Why a sync may not go to a destination, as its connector says."""
    refuses = CONNECTORS[settings.type].refuses
    found = () if refuses is None else refuses(settings, sync)
    return tuple(Refusal(code=code, column=None, message=text) for code, text in found)


class Opened:
    """In place of a reference to a connection: opens it when the connector is made."""

    def __init__(self, open_: Callable[[], Revealed]) -> None:
        self.open = open_

    def __repr__(self) -> str:
        return "Opened()"


def _secret(reference: object) -> Revealed:
    """The secret behind a reference of a destination's options."""
    if isinstance(reference, Opened):
        return reference.open()
    if not isinstance(reference, SecretRef):
        raise ConfigError("secret_missing", "A destination needs a secret that is not set.")
    return resolve(reference, os.environ)


def source_spec(project: Project, name: str) -> SourceSpec:
    """What the kind of a source says of itself."""
    type_ = project.sources[name].type
    known = SOURCES.get(type_)
    return known or load_plugin(project.plugins[type_]).spec


def source_request(project: Project, name: str) -> SourceRequest:
    """A source as its connector is given it."""
    return SourceRequest(
        settings=project.sources[name],
        root=project.root,
        resolve=lambda reference: resolve(reference, os.environ),
    )


def open_source(project: Project, name: str) -> Source:
    """A source by its settings.

    Raises:
        PolicyError: `source_untested`.
    """
    spec, request = source_spec(project, name), source_request(project, name)
    require_accepted(spec, request.settings)
    return GuardedSource(spec.open(request), spec.hosts(request))


def name_of_dialect(project: Project, name: str) -> Dialect:
    """The name of a source's SQL; nothing is opened."""
    return source_spec(project, name).open(source_request(project, name)).dialect


def dialect_of(project: Project, name: str) -> SqlDialect:
    """The SQL of a source."""
    return source_spec(project, name).dialect()


def destination_hosts(settings: DestinationSettings) -> frozenset[str]:
    """Hosts a destination needs."""
    connector = CONNECTORS[settings.type]
    if settings.endpoint:
        return frozenset({"127.0.0.1"})
    if connector.hosts is not None:
        return connector.hosts(HostsRequest(settings=settings, reveal=_secret))
    return connector.spec.hosts


def source_hosts(project: Project, name: str) -> frozenset[str]:
    """Hosts a source needs."""
    return source_spec(project, name).hosts(source_request(project, name))


def renew_before_ms(settings: DestinationSettings, now_ms: int) -> int | None:
    """See `PlanSpec.renew_before_ms`."""
    renewal = CONNECTORS[settings.type].renewal
    return None if renewal is None else now_ms - renewal(settings) // timedelta(milliseconds=1)


def make_destination(
    project: Project,
    settings: DestinationSettings,
    context: DestinationContext,
    sync: SyncSettings,
    gate: AccountGate | None = None,
) -> Destination:
    """A connector, on the running loop; its requests pass the gate where there is one."""
    rooted = settings
    if "path" in settings.options:
        path = project.root / str(settings.options["path"])
        rooted = replace(settings, options={**settings.options, "path": path})
    return CONNECTORS[settings.type].open(
        DestinationRequest(
            settings=rooted,
            sync=sync,
            context=context,
            reveal=_secret,
            connect=lambda: _client(settings, gate),
        )
    )


def _client(settings: DestinationSettings, gate: AccountGate | None) -> HttpClient:
    client = HttpxClient(destination_hosts(settings))
    return client if gate is None else LimitedHttpClient(client, gate)
