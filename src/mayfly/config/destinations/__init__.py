"""Kinds of destinations in the project files: one model each, with what a sync to it must say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mayfly.config.destinations.ad_audiences import (
    GoogleAdsDestination,
    LinkedInAdsDestination,
    MetaAdsDestination,
    MicrosoftAdsDestination,
    PinterestDestination,
    SnapDestination,
    TheTradeDeskDestination,
    TiktokAdsDestination,
)
from mayfly.config.destinations.ad_events import (
    MetaConversionsDestination,
    TiktokEventsDestination,
)
from mayfly.config.destinations.crm import (
    HubspotDestination,
    SalesforceDestination,
)
from mayfly.config.destinations.files import (
    FilesDestination,
    GcsDestination,
    S3Destination,
    SftpDestination,
)
from mayfly.config.destinations.messaging import (
    BrazeDestination,
    IntercomDestination,
    ZendeskDestination,
)
from mayfly.config.destinations.tables import (
    DuckdbDestination,
    MysqlDestination,
    PostgresDestination,
    SqliteDestination,
)
from mayfly.config.destinations.webhook import (
    WebhookDestination,
)

AnyDestination = (
    MetaAdsDestination
    | MetaConversionsDestination
    | HubspotDestination
    | SalesforceDestination
    | TiktokAdsDestination
    | TiktokEventsDestination
    | BrazeDestination
    | TheTradeDeskDestination
    | GoogleAdsDestination
    | LinkedInAdsDestination
    | MicrosoftAdsDestination
    | SnapDestination
    | PinterestDestination
    | PostgresDestination
    | MysqlDestination
    | DuckdbDestination
    | SqliteDestination
    | FilesDestination
    | S3Destination
    | GcsDestination
    | SftpDestination
    | WebhookDestination
    | ZendeskDestination
    | IntercomDestination
)
DestinationFile = Annotated[AnyDestination, Field(discriminator="type")]
