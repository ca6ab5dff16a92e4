"""The outer list: the hosts of the project as rules of Kubernetes or nftables.

Both know addresses and no names. An address comes from a file or from a look-up that somebody asked
for, and holds as long as the host keeps it: after that the rules are to be made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from mayfly.services.register import Use

_HEAD = (
    "Made by `mayfly network-policy` from the hosts that the project names; make it again when a",
    "host has another address. What it cannot do: it knows addresses, not names, so that whoever",
    "shares an address with a host below is reached, too, and a host that moves is refused. Names",
    "are held to in the process itself.",
)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A host, what needs it, and its addresses; none where they are not known."""

    host: str
    what: tuple[str, ...]
    addresses: tuple[str, ...]


def reached(uses: Sequence[Use], addresses: Mapping[str, Sequence[str]]) -> list[Reached]:
    """Each host once, with its addresses, sorted. A literal address is its own."""
    found: dict[str, set[str]] = {}
    for use in uses:
        found.setdefault(use.host, set()).add(use.what)
    return [
        Reached(
            host=host,
            what=tuple(sorted(what)),
            addresses=tuple(sorted(addresses.get(host, _literal(host)))),
        )
        for host, what in sorted(found.items())
    ]


def parse_addresses(text: str) -> dict[str, list[str]]:
    """Of lines `HOST ADDRESS`, comments after `#`; `resolver` is the host of name servers.

    Raises:
        ValueError: a line is another; its number is the message.
    """
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            host, address = words
            found.setdefault(host.lower(), []).append(str(ip_address(address)))
        except ValueError:
            raise ValueError(str(number)) from None
    return found


def kubernetes(hosts: Sequence[Reached], workspace: str, resolvers: Sequence[str]) -> str:
    """A NetworkPolicy of `networking.k8s.io/v1`; its flow style is YAML and JSON alike."""
    names = _resolver_peers(resolvers)
    lines = [
        *(f"# {line}" for line in (*_HEAD, *_missing(hosts))),
        "apiVersion: networking.k8s.io/v1",
        "kind: NetworkPolicy",
        "metadata:",
        f"  name: mayfly-{workspace.replace('_', '-')}",
        "spec:",
        "  podSelector: {matchLabels: {app.kubernetes.io/name: mayfly}}",
        "  policyTypes: [Egress]",
        "  egress:",
        f"    - to: {json.dumps(names)}",
        "      ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]",
    ]
    for host in hosts:
        if host.addresses:
            blocks = [{"ipBlock": {"cidr": _cidr(address)}} for address in host.addresses]
            lines += [
                f"    # {host.host}: {', '.join(host.what)}",
                f"    - to: {json.dumps(blocks)}",
                "      ports: [{protocol: TCP, port: 1, endPort: 65535}]",
            ]
    return "\n".join(lines) + "\n"


def nftables(hosts: Sequence[Reached], resolvers: Sequence[str]) -> str:
    """A table for a machine on which nothing but Mayfly runs: what is not listed is refused."""
    addresses = {a for host in hosts for a in host.addresses}
    lines = [
        "#!/usr/sbin/nft -f",
        *(f"# {line}" for line in (*_HEAD, *_missing(hosts))),
        *(
            f"# {host.host}: {', '.join(host.what)}: {', '.join(host.addresses)}"
            for host in hosts
            if host.addresses
        ),
        "table inet mayfly",
        "delete table inet mayfly",
        "table inet mayfly {",
        *_set("hosts4", 4, addresses),
        *_set("hosts6", 6, addresses),
        *_set("resolvers4", 4, resolvers),
        *_set("resolvers6", 6, resolvers),
        "    chain output {",
        "        type filter hook output priority filter; policy drop;",
        '        oifname "lo" accept',
        "        ct state established,related accept",
        "        meta l4proto ipv6-icmp accept",
        "        ip daddr @resolvers4 meta l4proto { tcp, udp } th dport 53 accept",
        "        ip6 daddr @resolvers6 meta l4proto { tcp, udp } th dport 53 accept",
        "        ip daddr @hosts4 meta l4proto tcp accept",
        "        ip6 daddr @hosts6 meta l4proto tcp accept",
        "        counter reject with icmpx type admin-prohibited",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _set(name: str, version: int, addresses: Sequence[str] | set[str]) -> list[str]:
    known = sorted(a for a in addresses if ip_address(a).version == version)
    elements = [f"        elements = {{ {', '.join(known)} }}"] if known else []
    return [f"    set {name} {{", f"        type ipv{version}_addr", *elements, "    }"]


def _missing(hosts: Sequence[Reached]) -> list[str]:
    """Hosts whose addresses nobody told: they are refused."""
    unknown = [host.host for host in hosts if not host.addresses]
    return [f"Without a known address, and refused: {', '.join(unknown)}"] if unknown else []


def _resolver_peers(resolvers: Sequence[str]) -> list[dict[str, object]]:
    if resolvers:
        return [{"ipBlock": {"cidr": _cidr(address)}} for address in resolvers]
    return [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]


def _cidr(address: str) -> str:
    return f"{address}/{32 if ip_address(address).version == 4 else 128}"


def _literal(host: str) -> Sequence[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        return []
