"""Whether a bucket is where the workspace's data may be."""

from __future__ import annotations

import re

_AWS = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-[0-9]+")
_GOOGLE = re.compile(r"[a-z]+-[a-z]+[0-9]+|eu|us|asia|(eur|nam)[0-9]+")
# Regions whose names begin with `eu` lie in London and Zurich, too, and so do pairs of regions.
_EU = frozenset(
    "eu-west-1 eu-west-3 eu-central-1 eu-north-1 eu-south-1 eu-south-2 "
    "eu eur4 europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1 "
    "europe-west3 europe-west4 europe-west8 europe-west9 europe-west10 europe-west12".split()
)
_US = re.compile(r"us-(gov-)?(east|west)-[0-9]|us-(central|east|south|west)[0-9]+|us|nam[0-9]+")
DEFAULT_GEOGRAPHY = "eu"


def expected_region(region: str, *, geography: str | None, own: str | None) -> str:
    """Where a bucket should be instead; empty where it is right.

    Args:
        region: of the bucket.
        geography: of the workspace; the European Union where it has none.
        own: region of the workspace's workers. A bucket of the same cloud is in that very region;
            of one of another cloud, or of a worker in none, the geography decides.
    """
    if own is not None and _cloud(own) == _cloud(region):
        return "" if own == region else own
    where = (geography or DEFAULT_GEOGRAPHY).lower()
    is_there = {"eu": region in _EU, "us": _US.fullmatch(region) is not None}
    return "" if is_there.get(where, False) else where


def _cloud(region: str) -> str:
    if _AWS.fullmatch(region):
        return "aws"
    return "google" if _GOOGLE.fullmatch(region) else ""
