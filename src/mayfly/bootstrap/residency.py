"""Asks the platforms where the parts of a workspace are, as far as they tell."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from mayfly.adapters.bucket_facts import bucket_region
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.metadata import Cloud, machine_region, metadata_cloud
from mayfly.bootstrap.alerts import alert_host
from mayfly.bootstrap.app import App
from mayfly.bootstrap.connectors import source_hosts
from mayfly.bootstrap.keeping import anchor_hosts, reveal, spool_hosts
from mayfly.bootstrap.register import store_hosts
from mayfly.domain.errors import EngineError
from mayfly.domain.places import region_of_host
from mayfly.domain.settings import AnchorSettings, BucketSettings
from mayfly.services.residency_report import Place

_SAID_BY_ADDRESS = ("aws_kms", "gcp_kms")


def places_of(
    app: App,
    *,
    ask: Callable[[Cloud], str] = machine_region,
    environ: Mapping[str, str] = os.environ,
) -> list[Place]:
    """Every part of the workspace.

    Args:
        app: the opened project.
        ask: which region this machine is in, of the metadata service of a cloud.
        environ: says whether that is to be asked.

    Raises:
        ConfigError: `bad_metadata`.
    """
    stores = _stores(app)
    return [
        _worker(app, ask, environ),
        *(replace(store, part="queue") for store in stores),
        _spool(app),
        _keys(app),
        *stores,
        *_sources(app),
        *_alerts(app),
        *_anchors(app),
        *_telemetry(app),
    ]


def _worker(app: App, ask: Callable[[Cloud], str], environ: Mapping[str, str]) -> Place:
    """A declared geography is the word that the machine is in it."""
    workspace, cloud = app.project.workspace, metadata_cloud(environ)
    said = (workspace.region or workspace.geography or "") if workspace.placed else ""
    observed, failed = "", False
    if cloud is not None:
        try:
            observed = ask(cloud)
        except EngineError:
            failed = True
    return Place(part="worker", declared=said, observed=observed, by="metadata", failed=failed)


def _stores(app: App) -> list[Place]:
    """Of several hosts of one database each has to be where it should."""
    hosts, declared = store_hosts(app.project), app.project.store.region or ""
    if not hosts:
        return [Place(part="store", local=True)]
    names = [""] if len(hosts) == 1 else [str(number) for number in range(1, len(hosts) + 1)]
    return [
        _at_host(Place(part="store", name=name, declared=declared), host)
        for name, host in zip(names, hosts, strict=True)
    ]


def _spool(app: App) -> Place:
    settings = app.project.spool
    if settings is None:
        return Place(part="spool", local=True)
    with allow_hosts(spool_hosts(app.project)):
        found = _asked_bucket(settings)
    return Place(part="spool", declared=settings.region, observed=found, by="bucket")


def _keys(app: App) -> Place:
    settings = app.project.keys
    options = settings.options
    if settings.provider in _SAID_BY_ADDRESS:
        said = str(options.get("region") or str(options.get("key_name", "///")).split("/")[3])
        found = ""
        with suppress(EngineError), allow_hosts(key_hosts(settings)):
            found = app.keys.region()
        return Place(part="keys", declared=said, observed=found, by="key")
    declared = str(options.get("region") or "")
    host = urlsplit(str(options.get("address", ""))).hostname or ""
    # A token is on this machine, unless somebody says that its library reaches another.
    if settings.provider in ("local", "pkcs11") and not declared:
        return Place(part="keys", local=True)
    return _at_host(Place(part="keys", declared=declared), host)


def _sources(app: App) -> Iterator[Place]:
    for name in app.project.sources:
        hosts = ["unknown"]
        with suppress(EngineError):  # a secret that is missing meets who reads
            hosts = sorted(source_hosts(app.project, name))
        said = str(app.project.sources[name].options.get("location", "")).lower()
        told = [region for region in map(region_of_host, hosts) if region]
        local = all(map(_is_here, hosts))
        yield Place(
            part="source",
            name=name,
            declared=said,
            observed=told[0] if told else "",
            by="host_name",
            local=local and not said,
        )


def _alerts(app: App) -> Iterator[Place]:
    for name, settings in app.project.alerts.items():
        host = ""
        with suppress(EngineError):  # a secret that is missing meets who sends
            host = alert_host(settings)
        yield _at_host(Place(part="alerts", name=name, declared=settings.region or ""), host)


def _anchors(app: App) -> Iterator[Place]:
    for name, settings in app.project.anchors.items():
        declared = settings.region or ""
        if settings.bucket is not None:
            with allow_hosts(anchor_hosts(app.project, settings)):
                found = _asked_bucket(settings.bucket)
            yield Place(part="anchor", name=name, declared=declared, observed=found, by="bucket")
        else:
            yield _at_host(
                Place(part="anchor", name=name, declared=declared), _anchor_host(app, settings)
            )


def _telemetry(app: App) -> Iterator[Place]:
    settings = app.project.telemetry
    if settings is not None:
        host = urlsplit(settings.endpoint).hostname or "unknown"
        yield _at_host(Place(part="telemetry", declared=settings.region or ""), host)


def _anchor_host(app: App, settings: AnchorSettings) -> str:
    """A folder outside the project may lie on a disk of another machine: nobody knows."""
    if settings.path is not None:
        return "unknown"
    with suppress(EngineError):
        return next(iter(sorted(anchor_hosts(app.project, settings))), "")
    return "unknown"


def _asked_bucket(settings: BucketSettings) -> str:
    """Empty where the provider does not answer, or the right to ask is missing."""
    with suppress(EngineError):
        return bucket_region(settings, reveal)
    return ""


def _at_host(place: Place, host: str) -> Place:
    """The same, with what its host tells of it."""
    if not place.declared and _is_here(host):
        return Place(part=place.part, name=place.name, local=True)
    return Place(
        part=place.part,
        name=place.name,
        declared=place.declared,
        observed=region_of_host(host),
        by="host_name",
    )


def _is_here(host: str) -> bool:
    """Whether a host is this machine; no host at all is a file, or a socket of it."""
    try:
        return host in ("", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
