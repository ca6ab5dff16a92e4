"""Audiences of ad platforms, as destinations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.destinations.base import (
    AudienceLists,
    app_id,
    app_secret,
    granted_token,
    own_endpoint,
    pasted_token,
)
from mayfly.config.fields import (
    Account,
    ApiVersion,
    Digits,
    Formed,
    GoogleAdsAccount,
    Line,
    Login,
    Name,
    PinterestAccount,
    PlatformId,
    RedirectUri,
    Reference,
    VendorEndpoint,
)

META = "https://graph.facebook.com"


class MetaAdsDestination(AudienceLists):
    """Custom audiences of a Meta ad account."""

    vendor = META

    type: Literal["meta_ads"] = Field(description="Kind of destination.")
    account_id: Account = Field(description="The ad account, quoted.", examples=["1234567890"])
    access_token: Login = pasted_token()
    app_secret: Reference | None = Field(default=None, description="Reference to the app secret.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the Graph API.", examples=["v26.0"]
    )
    endpoint: Annotated[str, VendorEndpoint(META)] | None = own_endpoint("Meta's")


TIKTOK = "https://business-api.tiktok.com"


class TiktokAdsDestination(AudienceLists):
    """Custom audiences of a TikTok advertiser."""

    vendor = TIKTOK

    type: Literal["tiktok_ads"] = Field(description="Kind of destination.")
    account_id: Digits = Field(description="The advertiser, quoted.", examples=["1234567890"])
    access_token: Login = pasted_token()
    endpoint: Annotated[str, VendorEndpoint(TIKTOK)] | None = own_endpoint("TikTok's")


TRADE_DESK = "https://euw-data.adsrvr.org"


class TheTradeDeskDestination(AudienceLists):
    """First-party segments of an advertiser of The Trade Desk."""

    vendor = TRADE_DESK
    together = ("uid2_api_key", "uid2_client_secret")

    type: Literal["the_trade_desk"] = Field(description="Kind of destination.")
    advertiser_id: PlatformId = Field(description="The advertiser.", examples=["abc123"])
    data_provider_id: PlatformId | None = Field(
        default=None, description="Who uploads for the advertiser, where that is another."
    )
    token: Login = Field(
        description="Reference to the platform's API token, or `connection:NAME`, see "
        "`mayfly connect`."
    )
    data_centre: Literal["eu", "us_west", "us_east", "singapore", "tokyo"] = Field(
        default="eu", description="The one that data goes to; the platform copies it to all."
    )
    identity: Literal["euid", "uid2"] = Field(
        default="euid",
        description="What `EMAIL` and `PHONE` are mapped to: EUID for Europe, UID2 elsewhere.",
    )
    uid2_api_key: Reference | None = Field(
        default=None, description="Reference to the API key for UID2 or EUID."
    )
    uid2_client_secret: Reference | None = Field(
        default=None, description="Reference to the client secret that belongs to the API key."
    )
    uid2_operator: Literal["global", "us_west", "australia", "japan", "singapore", "test"] = Field(
        default="global", description="Who maps; of EUID there are `global` and `test`."
    )
    ttl_days: int = Field(
        default=90,
        ge=30,
        le=180,
        description="How long a member stays that is not sent again; at most 90 with `EMAIL` or "
        "`PHONE`.",
    )
    endpoint: Annotated[str, VendorEndpoint(TRADE_DESK)] | None = own_endpoint("the data centre's")


GOOGLE = "https://datamanager.googleapis.com"


class GoogleAdsDestination(AudienceLists):
    """Customer Match lists of a Google Ads account, through the Data Manager API."""

    logins = ("access_token", "service_account_key")
    vendor = GOOGLE

    type: Literal["google_ads"] = Field(description="Kind of destination.")
    account_id: GoogleAdsAccount = Field(
        description="The Google Ads account of the list, without dashes.", examples=["1234567890"]
    )
    login_account_id: GoogleAdsAccount | None = Field(
        default=None,
        description="The manager account that the credentials belong to, where it is another.",
    )
    access_token: Login | None = Field(
        default=None,
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token.",
    )
    client_id: Line | None = Field(
        default=None, description="OAuth client that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to the client's secret."
    )
    service_account_key: Reference | None = Field(
        default=None, description="Reference to the JSON key of a service account, in its place."
    )
    customer_match_terms: Literal["accepted"] = Field(
        description="That the account has accepted the Customer Match terms of service; every "
        "upload says so to Google."
    )
    ad_user_data: list[Name] = Field(
        min_length=1,
        description="Purposes whose consent covers sending a person's data to Google "
        "(`ad_user_data`). A sync of another purpose is refused.",
        examples=["[ads]"],
    )
    ad_personalization: list[Name] = Field(
        description="Purposes whose consent covers ads made for a person (`ad_personalization`); "
        "for any other Google is told that it is denied.",
        examples=["[ads]"],
    )
    send_addresses: bool = Field(
        default=False,
        description="Whether names with postcode and country may go, too. Removals go by e-mail "
        "and phone: whom Google found by the address alone stays until the membership ends.",
    )
    membership_days: int | None = Field(
        default=None,
        ge=1,
        le=540,
        description="How long somebody stays in the list; 540, Google's longest, by default. Who "
        "is in it is sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(GOOGLE)] | None = own_endpoint("Google's")


SNAP = "https://adsapi.snapchat.com"


class SnapDestination(AudienceLists):
    """Customer lists of a Snap ad account."""

    vendor = SNAP

    type: Literal["snap"] = Field(description="Kind of destination.")
    account_id: PlatformId = Field(
        description="The ad account.", examples=["8adc3db7-8148-4fbf-999c-8d2266369d74"]
    )
    access_token: Login = granted_token()
    client_id: Line | None = Field(
        default=None, description="Of the OAuth app that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = app_secret()
    redirect_uri: RedirectUri | None = Field(
        default=None,
        description="Redirect address of the app, where it is not "
        "`http://localhost:8976/callback`; `mayfly connect` then asks for the address that the "
        "browser ended at.",
        examples=["https://shop.example.com/snap"],
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=540,
        description="How long somebody stays in the list; for good by default. Who is in it is "
        "sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(SNAP)] | None = own_endpoint("Snap's")


LINKEDIN = "https://api.linkedin.com"


class LinkedInAdsDestination(AudienceLists):
    """Segments of people of a LinkedIn ad account (Matched Audiences)."""

    vendor = LINKEDIN

    type: Literal["linkedin_ads"] = Field(description="Kind of destination.")
    account_id: Digits = Field(description="The ad account, quoted.", examples=["516848833"])
    access_token: Login = granted_token()
    client_id: Line | None = app_id()
    client_secret: Reference | None = app_secret()
    source_platform: Annotated[str, Formed("[A-Z][A-Z0-9_]{0,63}")] | None = Field(
        default=None,
        description="What a segment that is made says it comes from, where LinkedIn has given your "
        "app a name; `MAYFLY` by default.",
    )
    api_version: Annotated[str, Formed("20[0-9]{2}(0[1-9]|1[0-2])")] | None = Field(
        default=None,
        description="Year and month, quoted; `202604` by default.",
        examples=["202609"],
    )
    endpoint: Annotated[str, VendorEndpoint(LINKEDIN)] | None = own_endpoint("LinkedIn's")


PINTEREST = "https://api.pinterest.com"


class PinterestDestination(AudienceLists):
    """Customer lists of a Pinterest ad account."""

    vendor = PINTEREST

    type: Literal["pinterest"] = Field(description="Kind of destination.")
    account_id: PinterestAccount = Field(
        description="The ad account, quoted.", examples=["549755885175"]
    )
    access_token: Login = granted_token()
    client_id: Line | None = Field(
        default=None, description="Of the app that `mayfly connect` logs in with, quoted."
    )
    client_secret: Reference | None = app_secret()
    endpoint: Annotated[str, VendorEndpoint(PINTEREST)] | None = own_endpoint("Pinterest's")


MICROSOFT = "https://campaign.api.bingads.microsoft.com"


class MicrosoftAdsDestination(AudienceLists):
    """Customer lists of a Microsoft Advertising account."""

    vendor = MICROSOFT

    type: Literal["microsoft_ads"] = Field(description="Kind of destination.")
    account_id: Digits = Field(
        description="The ad account, quoted: `aid` in the address of Microsoft Advertising.",
        examples=["123456789"],
    )
    customer_id: Digits = Field(
        description="The manager account above it, quoted: `cid` there.", examples=["987654321"]
    )
    developer_token: Reference = Field(description="Reference to the developer token.")
    access_token: Login = granted_token()
    client_id: Line | None = app_id()
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret, where it has one."
    )
    customer_match_terms: Literal["accepted"] = Field(
        description="That whoever answers for the account accepts the Customer Match terms; every "
        "request says so to Microsoft."
    )
    membership_days: int | None = Field(
        default=None,
        ge=1,
        le=390,
        description="How long somebody stays in the list; 390, the longest that ends, by default. "
        "Who is in it is sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(MICROSOFT)] | None = own_endpoint("Microsoft's")
