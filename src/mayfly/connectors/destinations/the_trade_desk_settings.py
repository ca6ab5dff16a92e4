"""Which segment of The Trade Desk receives people, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mayfly.connectors.http_replies import check_endpoint
from mayfly.domain.errors import ConfigError
from mayfly.ports.source_spec import Revealed

DATA_CENTRES: Mapping[str, str] = {
    "eu": "euw-data.adsrvr.org",
    "us_west": "usw-data.adsrvr.org",
    "us_east": "use-data.adsrvr.org",
    "singapore": "sin-data.adsrvr.org",
    "tokyo": "tok-data.adsrvr.org",
}
TTL_DAYS = 90
# An operator tells the identifier of before for ninety days: what lives longer could outlive the
# last moment at which it can still be removed.
MAPPED_TTL_DAYS_MAX = 90
_TTL_DAYS_MIN, _TTL_DAYS_MAX = 30, 180
_RENEWED_AFTER = 3
_SEGMENT_MAX = 256


@dataclass(frozen=True, kw_only=True)
class TradeDeskSettings:
    """Which advertiser's segment receives people.

    Args:
        advertiser_id: of the advertiser.
        token: for the header `TTD-Auth`.
        segment: exact name; the first member makes it.
        data_provider_id: where somebody uploads for the advertiser.
        host: of the data centre.
        ttl_days: how long a member stays that is not sent again.
        endpoint: the data centre's own, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_advertiser_id`, `bad_segment`, `bad_ttl`, `bad_endpoint`.
    """

    advertiser_id: str
    token: Revealed = field(repr=False)
    segment: str
    data_provider_id: str = ""
    host: str = DATA_CENTRES["eu"]
    ttl_days: int = TTL_DAYS
    endpoint: str = f"https://{DATA_CENTRES['eu']}"

    def __post_init__(self) -> None:
        for name in (self.advertiser_id, self.data_provider_id or "none"):
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
                raise ConfigError(
                    "bad_advertiser_id",
                    "advertiser_id and data_provider_id must be letters and digits, as the "
                    "platform shows them.",
                )
        if not self.segment.strip() or len(self.segment) > _SEGMENT_MAX:
            raise ConfigError(
                "bad_segment", f"audience must be a name of 1 to {_SEGMENT_MAX} characters."
            )
        if not _TTL_DAYS_MIN <= self.ttl_days <= _TTL_DAYS_MAX:
            raise ConfigError(
                "bad_ttl", f"ttl_days must be from {_TTL_DAYS_MIN} to {_TTL_DAYS_MAX}."
            )
        check_endpoint(self.endpoint, self.host)

    @property
    def owner(self) -> dict[str, str]:
        """Whose data a request is about."""
        owner = {"AdvertiserId": self.advertiser_id}
        return owner | ({"DataProviderId": self.data_provider_id} if self.data_provider_id else {})

    def segments(self, minutes: int) -> list[dict[str, object]]:
        """The segment as items name it, with a time to live."""
        return [{"Name": self.segment, "TtlInMinutes": minutes}]


def renewal(ttl_days: int) -> timedelta:
    """When a member is sent again: once a third of the time to live is over, so that two thirds
    are left for a run to come.
    """
    return timedelta(days=ttl_days) / _RENEWED_AFTER
