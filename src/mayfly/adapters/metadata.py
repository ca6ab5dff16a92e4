"""Which region this machine is in, as its cloud's metadata service says.

The service answers on a link-local address and speaks no TLS: it is the one place off loopback
that is asked without. It is asked only where the operator switched it on, since nothing else here
looks anything up by itself.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Literal, get_args

from mayfly.adapters.egress import allow_hosts
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.places import REGIONS

Cloud = Literal["aws", "gcp"]
_CLOUDS: tuple[Cloud, ...] = get_args(Cloud)
VARIABLE = "MAYFLY_METADATA"
"""Names the cloud whose metadata service is asked; nothing is asked without it."""
ADDRESS = ("169.254.169.254", 80)
TIMEOUT_SECONDS = 2
_ANSWER_BYTES_MAX = 4_096
_LIFE_SECONDS = "60"


def metadata_cloud(environ: Mapping[str, str]) -> Cloud | None:
    """The cloud to ask, None where it is switched off.

    Raises:
        ConfigError: `bad_metadata`.
    """
    name = environ.get(VARIABLE, "")
    cloud = next((known for known in _CLOUDS if known == name), None)
    if name and cloud is None:
        raise ConfigError(
            "bad_metadata",
            f"{VARIABLE} names no cloud whose machines tell where they are.",
            hint=f"Set it to {' or '.join(_CLOUDS)}, or leave it out.",
        )
    return cloud


def machine_region(cloud: Cloud, *, address: tuple[str, int] = ADDRESS) -> str:
    """Ask the service of a cloud; on AWS by its version 2, which gives a token first.

    Args:
        cloud: whose machine this is.
        address: of the service.

    Raises:
        TransientError: `metadata_unknown`, there is no answer, or none that names a region.
    """
    with allow_hosts([address[0]]):
        region = _aws(address) if cloud == "aws" else _gcp(address)
    known = REGIONS.get(region)
    if known is None or known.provider != cloud:
        raise _unknown()
    return region


def _aws(address: tuple[str, int]) -> str:
    seconds = {"X-aws-ec2-metadata-token-ttl-seconds": _LIFE_SECONDS}
    token = _ask(address, "PUT", "/latest/api/token", seconds)[0]
    headers = {"X-aws-ec2-metadata-token": token}
    return _ask(address, "GET", "/latest/meta-data/placement/region", headers)[0]


def _gcp(address: tuple[str, int]) -> str:
    """`projects/NUMBER/zones/REGION-ZONE`; whoever else answers there does not say whose it is."""
    flavor = {"Metadata-Flavor": "Google"}
    text, answered = _ask(address, "GET", "/computeMetadata/v1/instance/zone", flavor)
    if answered.get("metadata-flavor") != "Google":
        raise _unknown()
    return text.rpartition("/")[2].rpartition("-")[0]


def _ask(
    address: tuple[str, int], method: str, path: str, headers: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, headers=dict(headers))
        with connection.getresponse() as answer:
            text = answer.read(_ANSWER_BYTES_MAX).decode("ascii")
            if answer.status != 200:
                raise _unknown()
            return text.strip(), {k.lower(): v for k, v in answer.getheaders()}
    except (OSError, http.client.HTTPException, ValueError):
        raise _unknown() from None
    finally:
        connection.close()


def _unknown() -> TransientError:
    return TransientError(
        "metadata_unknown",
        "The cloud's metadata service does not say in which region this machine is.",
        hint=f"Run it on a machine of that cloud, or leave {VARIABLE} out and declare the region.",
    )
