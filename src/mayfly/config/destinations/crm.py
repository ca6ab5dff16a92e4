"""CRMs, as destinations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.destinations.base import Limited, Owned, app_id, app_secret, own_endpoint
from mayfly.config.fields import (
    ApiVersion,
    Digits,
    Formed,
    Line,
    Login,
    Name,
    Part,
    Reference,
    SalesforceDomain,
    SalesforceId,
    VendorEndpoint,
)

HUBSPOT = "https://api.hubapi.com"


class HubspotSubscription(Part):
    """A subscription type of HubSpot, and on what basis people are subscribed to it."""

    id: Digits = Field(description="Of the type, quoted.", examples=["4471"])
    legal_basis: (
        Literal[
            "LEGITIMATE_INTEREST_PQL",
            "LEGITIMATE_INTEREST_CLIENT",
            "LEGITIMATE_INTEREST_OTHER",
            "PERFORMANCE_OF_CONTRACT",
            "CONSENT_WITH_NOTICE",
            "PROCESS_AND_STORE",
            "NON_GDPR",
        ]
        | None
    ) = Field(default=None, description="Needed where HubSpot's privacy settings are on.")
    explanation: Line | None = Field(
        default=None, description="How the basis came about.", examples=["ticked in the shop"]
    )


class HubspotDestination(Owned, Limited):
    """Records and static lists of a HubSpot account."""

    modes = ("upsert", "mirror", "audience")
    takes = ("table",)
    keyed = ("upsert", "mirror", "audience")
    listed = ("audience",)
    vendor = HUBSPOT
    inner = {"subscriptions": ("NAME", HubspotSubscription)}  # noqa: RUF012, never changed

    type: Literal["hubspot"] = Field(description="Kind of destination.")
    account_id: Digits = Field(description="The Hub ID, quoted.", examples=["1234567"])
    access_token: Login = Field(
        description="Reference to a private app's token, or `connection:NAME`, see "
        "`mayfly connect`."
    )
    client_id: Line | None = app_id()
    client_secret: Reference | None = app_secret()
    region: Literal["eu1"] | None = Field(
        default=None, description="`eu1` for the host in the EU; the account must be there."
    )
    api_version: Annotated[str, Formed("v3|20[0-9]{2}-(03|09)")] | None = Field(
        default=None, description="Style of the paths, `v3` by default.", examples=["2026-09"]
    )
    subscriptions: dict[Name, HubspotSubscription] = Field(
        default={}, description="Subscription types, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(HUBSPOT)] | None = own_endpoint("HubSpot's")


SALESFORCE = "https://login.salesforce.com"


class SalesforceConsent(Part):
    """Where Salesforce keeps what people said of one thing: a flag, or consents to a purpose."""

    flag: (
        Literal[
            "HasOptedOutOfEmail",
            "HasOptedOutOfFax",
            "DoNotCall",
            "HasOptedOutProcessing",
            "HasOptedOutProfiling",
            "HasOptedOutSolicit",
            "HasOptedOutTracking",
            "HasOptedOutGeoTracking",
        ]
        | None
    ) = Field(default=None, description="Field of the object that is true where they refused.")
    contact_point: Literal["Email", "Phone", "MailingAddress", "Social", "Web"] | None = Field(
        default=None, description="Kind of address that they may be reached by."
    )
    data_use_purpose: SalesforceId | None = Field(
        default=None, description="Id of the `DataUsePurpose`.", examples=["0ZW000000000001AAA"]
    )
    capture_source: Line | None = Field(
        default=None, description="As consents say where they were given; `Mayfly` by default."
    )


class SalesforceDestination(Owned, Limited):
    """Records of an object in a Salesforce organisation, by an external id."""

    modes = ("upsert", "mirror")
    needs = ("table",)
    keyed = ("upsert", "mirror")
    logins = ("consumer_secret", "private_key")
    vendor = SALESFORCE
    inner = {"consents": ("NAME", SalesforceConsent)}  # noqa: RUF012, never changed

    type: Literal["salesforce"] = Field(description="Kind of destination.")
    domain: SalesforceDomain = Field(
        description="The organisation's My Domain.", examples=["acme.my.salesforce.com"]
    )
    consumer_key: Line = Field(description="Of the external client app.")
    consumer_secret: Login | None = Field(
        default=None,
        description="Reference to the app's secret, or `connection:NAME`: client credentials.",
    )
    private_key: Login | None = Field(
        default=None,
        description="Reference to the PEM of an RSA key, or `connection:NAME`, in its place: JWT "
        "bearer.",
    )
    username: Line | None = Field(default=None, description="User that the private key logs in.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the API, `v62.0` by default.", examples=["v67.0"]
    )
    consents: dict[Name, SalesforceConsent] = Field(
        default={}, description="Consents, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(SALESFORCE)] | None = own_endpoint("the organisation's")
