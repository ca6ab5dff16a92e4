"""Where services of AWS are, by their region."""

from __future__ import annotations


def service_host(service: str, region: str) -> str:
    """Host of a service of AWS in a region."""
    return f"{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def credential_hosts(region: str) -> frozenset[str]:
    """Hosts that the machine's own credentials come from."""
    metadata = {"169.254.169.254", "169.254.170.2", "169.254.170.23"}
    return frozenset({service_host("sts", region), *metadata})
