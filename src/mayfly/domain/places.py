"""Regions of the clouds: which country each lies in, and in which geography.

A name says little: `eu-west-2` and `europe-west2` are London, `eu-central-2` and `europe-west6`
Zurich. A region that does not stand here is nowhere, and nothing that is bound to a geography may
be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Provider = Literal["gcp", "aws", "own"]
"""`own` are machines of one's own: no table tells where they are."""
Geography = Literal[
    "eu", "uk", "us", "switzerland", "canada", "mexico", "brazil", "chile", "japan", "korea",
    "taiwan", "hong_kong", "china", "singapore", "malaysia", "thailand", "indonesia", "india",
    "australia", "new_zealand", "israel", "uae", "bahrain", "qatar", "saudi_arabia",
    "south_africa",
]  # fmt: skip
DEFAULT_PROVIDER: Provider = "gcp"
DEFAULT_GEOGRAPHY: Geography = "eu"
GEOGRAPHIES: tuple[Geography, ...] = get_args(Geography)

EU = frozenset(
    "AT BE BG HR CY CZ DE DK EE ES FI FR GR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)
EEA = EU | {"IS", "LI", "NO"}
_GEOGRAPHY_OF: Mapping[str, Geography] = {
    "GB": "uk", "US": "us", "CH": "switzerland", "CA": "canada", "MX": "mexico", "BR": "brazil",
    "CL": "chile", "JP": "japan", "KR": "korea", "TW": "taiwan", "HK": "hong_kong", "CN": "china",
    "SG": "singapore", "MY": "malaysia", "TH": "thailand", "ID": "indonesia", "IN": "india",
    "AU": "australia", "NZ": "new_zealand", "IL": "israel", "AE": "uae", "BH": "bahrain",
    "QA": "qatar", "SA": "saudi_arabia", "ZA": "south_africa",
}  # fmt: skip

_AWS = {
    "DE": "eu-central-1 eusc-de-east-1",
    "IE": "eu-west-1",
    "FR": "eu-west-3",
    "SE": "eu-north-1",
    "IT": "eu-south-1",
    "ES": "eu-south-2",
    "GB": "eu-west-2",
    "CH": "eu-central-2",
    "US": "us-east-1 us-east-2 us-west-1 us-west-2 us-gov-east-1 us-gov-west-1",
    "CA": "ca-central-1 ca-west-1",
    "MX": "mx-central-1",
    "BR": "sa-east-1",
    "CL": "sa-west-1",
    "JP": "ap-northeast-1 ap-northeast-3",
    "KR": "ap-northeast-2",
    "TW": "ap-east-2",
    "HK": "ap-east-1",
    "CN": "cn-north-1 cn-northwest-1",
    "SG": "ap-southeast-1",
    "MY": "ap-southeast-5",
    "TH": "ap-southeast-7",
    "ID": "ap-southeast-3",
    "IN": "ap-south-1 ap-south-2",
    "AU": "ap-southeast-2 ap-southeast-4",
    "NZ": "ap-southeast-6",
    "IL": "il-central-1",
    "AE": "me-central-1",
    "BH": "me-south-1",
    "SA": "me-west-1",
    "ZA": "af-south-1",
}
_GCP = {
    "BE": "europe-west1",
    "DE": "europe-west3 europe-west10",
    "NL": "europe-west4",
    "IT": "europe-west8 europe-west12",
    "FR": "europe-west9",
    "FI": "europe-north1",
    "SE": "europe-north2",
    "PL": "europe-central2",
    "ES": "europe-southwest1",
    "GB": "europe-west2",
    "CH": "europe-west6",
    "US": "us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4",
    "CA": "northamerica-northeast1 northamerica-northeast2",
    "MX": "northamerica-south1",
    "BR": "southamerica-east1",
    "CL": "southamerica-west1",
    "JP": "asia-northeast1 asia-northeast2",
    "KR": "asia-northeast3",
    "TW": "asia-east1",
    "HK": "asia-east2",
    "SG": "asia-southeast1",
    "ID": "asia-southeast2",
    "TH": "asia-southeast3",
    "IN": "asia-south1 asia-south2",
    "AU": "australia-southeast1 australia-southeast2",
    "IL": "me-west1",
    "QA": "me-central1",
    "SA": "me-central2",
    "ZA": "africa-south1",
}
# Locations of several regions that all lie in one geography. `eur5` has London, `nam14` Montréal.
_GCP_WIDE: Mapping[Geography, str] = {
    "eu": "eu eur3 eur4",
    "us": "us nam3 nam4 nam6 nam7 nam8 nam9 nam10 nam11 nam12",
}


@dataclass(frozen=True, kw_only=True)
class Region:
    """One region of a cloud; `country` is empty where it spans several of one geography."""

    name: str
    provider: Provider
    geography: Geography
    country: str = ""

    @property
    def in_eea(self) -> bool:
        """Whether all of it lies in the European Economic Area."""
        return self.geography == "eu" or self.country in EEA


def geography_of(country: str) -> Geography | None:
    """The geography of a country, by its code of two letters; None where it is in none."""
    return "eu" if country in EU else _GEOGRAPHY_OF.get(country)


def _regions() -> Iterable[Region]:
    tables: tuple[tuple[Provider, Mapping[str, str]], ...] = (("aws", _AWS), ("gcp", _GCP))
    for provider, table in tables:
        for country, names in table.items():
            where = geography_of(country)
            assert where is not None, country
            for name in names.split():
                yield Region(name=name, provider=provider, geography=where, country=country)
    for where, names in _GCP_WIDE.items():
        for name in names.split():
            yield Region(name=name, provider="gcp", geography=where)


REGIONS: Mapping[str, Region] = {region.name: region for region in _regions()}


def regions_in(provider: str, geography: str) -> list[str]:
    """Names of the single regions of a cloud in a geography, sorted."""
    return sorted(
        r.name
        for r in REGIONS.values()
        if r.provider == provider and r.geography == geography and r.country
    )


def expected_region(region: str, *, geography: str | None, own: str | None) -> str:
    """Where a bucket or key should be instead; empty where it is right.

    Args:
        region: of the bucket or key.
        geography: of the workspace; the European Union where it has none.
        own: region of the workspace's workers. What is of the same cloud is in that very region;
            of another cloud, or where the worker is in none, the geography decides.
    """
    here, mine = REGIONS.get(region), REGIONS.get(own or "")
    if here and mine and here.provider == mine.provider:
        return "" if own == region else mine.name
    where = geography or DEFAULT_GEOGRAPHY
    return "" if here is not None and here.geography == where.lower() else where


def geography_of_place(place: str | None) -> str | None:
    """Of a geography or a cloud's region; None of what is neither."""
    name = (place or "").lower()
    if name in GEOGRAPHIES:
        return name
    known = REGIONS.get(name)
    return known.geography if known else None


_AWS_NAME = re.compile(r"(?:^|[.-])([a-z]{2,5}(?:-[a-z]+)+-[0-9]{1,2})(?=\.)")
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".redshift-serverless.aws")
_GOOGLE_SQL = re.compile(r"\.([a-z]+-[a-z]+[0-9]{1,2})\.sql\.goog$")


def region_of_host(host: str) -> str:
    """The region that a cloud's own name of a host tells, such as that of a database of RDS, of
    Redshift, of SES, of Cloud SQL or of Snowflake; empty where it tells none.
    """
    name = host.lower().rstrip(".")
    if name.endswith(_AWS_DOMAINS):
        found = [part for part in _AWS_NAME.findall(name) if part in REGIONS]
        return str(found[-1]) if found else ""
    if name.endswith(".snowflakecomputing.com"):
        return next((label for label in name.split(".") if label in REGIONS), "")
    google = _GOOGLE_SQL.search(name)
    return google[1] if google is not None and google[1] in REGIONS else ""
