"""The tables of regions and plans."""

from __future__ import annotations

import re
from typing import get_args

import botocore.session
import pytest

from mayfly.domain.places import EEA, EU, GEOGRAPHIES, REGIONS, Region, geography_of, regions_in
from mayfly.domain.plans import PLANS, Plan, plans_with

SECRET = re.compile(r"aws-iso.*")
"""Partitions for governments that no company is let into; nothing can be placed there."""
GOOGLE = """
africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1
asia-south2 asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1
australia-southeast2 europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1
europe-west10 europe-west12 europe-west2 europe-west3 europe-west4 europe-west6 europe-west8
europe-west9 me-central1 me-central2 me-west1 northamerica-northeast1 northamerica-northeast2
northamerica-south1 southamerica-east1 southamerica-west1 us-central1 us-east1 us-east4 us-east5
us-south1 us-west1 us-west2 us-west3 us-west4
"""
"""Google Cloud's regions, as its page of locations lists them."""
PLACES = {
    "Ireland": "IE", "Frankfurt": "DE", "Germany": "DE", "Zurich": "CH", "Stockholm": "SE",
    "Milan": "IT", "Spain": "ES", "London": "GB", "Paris": "FR", "Cape Town": "ZA",
    "Hong Kong": "HK", "Taipei": "TW", "Tokyo": "JP", "Seoul": "KR", "Osaka": "JP", "Mumbai": "IN",
    "Hyderabad": "IN", "Singapore": "SG", "Sydney": "AU", "Jakarta": "ID", "Melbourne": "AU",
    "Malaysia": "MY", "New Zealand": "NZ", "Thailand": "TH", "Canada": "CA", "Calgary": "CA",
    "Tel Aviv": "IL", "UAE": "AE", "Bahrain": "BH", "Mexico": "MX", "Sao Paulo": "BR",
    "Virginia": "US", "Ohio": "US", "California": "US", "Oregon": "US", "GovCloud": "US",
    "Beijing": "CN", "Ningxia": "CN", "Chile": "CL", "Saudi Arabia": "SA",
}  # fmt: skip


def amazon() -> dict[str, str]:
    """AWS's regions with what AWS calls them, as its own client knows them."""
    loader = botocore.session.get_session().get_component("data_loader")
    found: dict[str, str] = {}
    for name in ("endpoints", "partitions"):
        for partition in loader.load_data(name)["partitions"]:
            if SECRET.fullmatch(partition.get("partition") or partition["id"]):
                continue
            regions = partition["regions"].items()
            found |= {r: facts["description"] for r, facts in regions if "global" not in r}
    return found


def test_every_region_of_aws_stands_in_the_table() -> None:
    """And no other; what AWS's client learns has to be entered here, with its country."""
    assert {r.name for r in REGIONS.values() if r.provider == "aws"} == set(amazon())


def test_a_region_of_aws_is_in_the_country_of_its_place() -> None:
    """The place is AWS's own word for it."""
    for name, described in amazon().items():
        assert {PLACES[p] for p in PLACES if p in described} == {REGIONS[name].country}, name


def test_every_region_of_google_stands_in_the_table() -> None:
    """Single regions are those that Google lists; locations of several have no country."""
    ours = [r for r in REGIONS.values() if r.provider == "gcp"]
    assert {r.name for r in ours if r.country} == set(GOOGLE.split())
    assert {r.geography for r in ours if not r.country} == {"eu", "us"}


@pytest.mark.parametrize(
    ("name", "country", "geography", "in_eea"),
    [
        ("eu-west-2", "GB", "uk", False),
        ("europe-west2", "GB", "uk", False),
        ("eu-central-2", "CH", "switzerland", False),
        ("europe-west6", "CH", "switzerland", False),
        ("eusc-de-east-1", "DE", "eu", True),
        ("eu", "", "eu", True),
        ("us-gov-west-1", "US", "us", False),
        ("me-west1", "IL", "israel", False),
    ],
)
def test_names_that_mislead(name: str, country: str, geography: str, in_eea: bool) -> None:
    """The country decides, not how the name begins."""
    region: Region = REGIONS[name]
    assert (region.country, region.geography, region.in_eea) == (country, geography, in_eea)


def test_every_geography_has_a_region() -> None:
    """None is offered in which nothing could be placed; the EEA is the EU and three more."""
    for geography in GEOGRAPHIES:
        assert regions_in("aws", geography) or regions_in("gcp", geography), geography
    assert (len(EU), len(EEA), geography_of("NO"), geography_of("FR")) == (27, 30, None, "eu")


def test_what_each_plan_chooses() -> None:
    """The matrix; what is assumed is marked."""
    chosen = {
        p: {k for k in ("provider", "geography", "region") if getattr(o, k)}
        for p, o in PLANS.items()
    }
    assert chosen == {
        "free": set(),
        "starter": set(),
        "standard": set(),
        "business": {"provider", "geography"},
        "enterprise": {"provider", "geography", "region"},
    }
    assert set(PLANS) == set(get_args(Plan))
    assert [p for p, o in PLANS.items() if o.assumed] == ["business"]
    assert plans_with("region") == ["enterprise"]
