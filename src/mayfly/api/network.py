"""The outer list, and whether it refuses."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.metadata import ADDRESS, metadata_cloud
from mayfly.api.findings import Finding, finding
from mayfly.bootstrap import App
from mayfly.bootstrap.register import declared_hosts
from mayfly.domain.errors import UsageError
from mayfly.services.network_policy import kubernetes, nftables, parse_addresses, reached
from mayfly.services.register import Use

NETWORK_CODES = ("outer_untested",)
"""Codes of findings that keep no run from succeeding."""
RESOLVER = "resolver"
_FILE_MAX = 1_000_000
_PROBE_SECONDS = 3.0

Format = Literal["kubernetes", "nftables"]


def network_policy(
    app: App, form: Format, *, addresses: Path | None, resolve: bool
) -> dict[str, Any]:
    """See `ProcessorActs.network_policy`.

    Raises:
        UsageError: `bad_addresses`.
        EngineError: a secret that holds a host is missing.
    """
    with allow_hosts(key_hosts(app.project.keys)):
        uses = declared_hosts(app.project, app.connections.opened)
    if metadata_cloud(os.environ) is not None:
        uses = [*uses, Use(what="metadata", host=ADDRESS[0])]
    known: dict[str, list[str]] = {} if addresses is None else _read(addresses)
    resolvers = known.pop(RESOLVER, [])
    if resolve:
        known = {**_looked_up(uses), **known}
    hosts = reached(uses, known)
    name = app.project.workspace.name
    text = (
        kubernetes(hosts, name, resolvers) if form == "kubernetes" else nftables(hosts, resolvers)
    )
    unknown = [host.host for host in hosts if not host.addresses]
    return {
        "schema": "mayfly/network-policy/1",
        "ok": not unknown,
        "format": form,
        "hosts": [
            {"host": h.host, "what": list(h.what), "addresses": list(h.addresses)} for h in hosts
        ],
        "unknown": unknown,
        "policy": text,
    }


def network_findings(app: App) -> list[Finding]:
    """What `doctor` says of the outer list: whether a host that nothing names can be reached."""
    probe = app.project.register.probe
    if not probe:
        if not app.project.processors:
            return []
        text = "Nobody told where to try whether the network refuses what the project does not name"
        hint = "Name a server of yours that answers: `processing: {probe: ADDRESS:PORT}`."
        return [finding("outer_untested", f"{text}.", hint)]
    address, _, port = probe.rpartition(":")
    with allow_hosts([address]):
        try:
            socket.create_connection((address, int(port)), _PROBE_SECONDS).close()
        except OSError:
            return []
    return [
        finding(
            "outer_open",
            f"{probe} can be reached, which nothing of the project names: no list outside of the "
            "process refuses it.",
            "Put in force what `mayfly network-policy` makes.",
        )
    ]


def _read(path: Path) -> dict[str, list[str]]:
    try:
        content = path.read_bytes()[:_FILE_MAX].decode()
        return parse_addresses(content)
    except (OSError, ValueError) as error:
        line = str(error) if str(error).isdigit() else ""
        where = f" (line {line})" if line else ""
        raise UsageError(
            "bad_addresses",
            f"The file of addresses cannot be read{where}.",
            hint="It has lines HOST ADDRESS, and resolver ADDRESS for name servers.",
        ) from None


def _looked_up(uses: Sequence[Use]) -> dict[str, list[str]]:
    """What the machine's resolver says now; nothing of what it does not know."""
    found: dict[str, list[str]] = {}
    for host in sorted({use.host for use in uses}):
        with allow_hosts([host]):
            try:
                answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                continue
        found[host] = sorted({str(answer[4][0]) for answer in answers})
    return found
